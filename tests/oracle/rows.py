"""Template rows as data, and the one rule by which a content item is held against them (PS3.16 6.1)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oracle.content import Code, Item

ValueCheck = Callable[[Item], str | None]
"""Says what is wrong with the value of an item, or None."""


def any_value(_item: Item) -> str | None:
    """Accept every value."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a template.

    Args:
        label: Template, row and concept, as violations name it.
        relationship: Relationship to the parent.
        value_types: Permitted value types.
        names: Permitted concept names; empty for any name.
        least: Fewest times the row occurs: 1 for M, 0 for U and C.
        most: Most times it occurs; None for n.
        check: What the value must be.
        rows: Rows below this one.
    """

    label: str
    relationship: str
    value_types: tuple[str, ...]
    names: tuple[Code, ...] = ()
    least: int = 0
    most: int | None = 1
    check: ValueCheck = any_value
    rows: tuple["Row", ...] = ()

    def fits(self, item: Item) -> bool:
        """Say whether an item is an instance of this row."""
        return (
            item.relationship == self.relationship
            and item.value_type in self.value_types
            and (not self.names or item.name in self.names)
        )


def violations_below(parent: Item, rows: Sequence[Row], *, where: str) -> list[str]:
    """Hold the children of an item against the rows of its template.

    A child that fits no row is an extension, which these templates permit, unless it bears the name of a row: then it
    has the wrong relationship or value type.

    Args:
        parent: The item.
        rows: The rows one level below it.
        where: The template, for messages.

    Returns:
        One line per violation, with the row and the path of the item.
    """
    found: list[list[Item]] = [[] for _ in rows]
    spoken_for = {name for row in rows for name in row.names}
    violations = []
    for child in parent.children:
        # A row for any name leaves the names of other rows alone, or a misplaced item would pass as an evaluation.
        fitting = [
            index for index, row in enumerate(rows) if row.fits(child) and (row.names or child.name not in spoken_for)
        ]
        if fitting:
            found[fitting[0]].append(child)
            continue
        misfits = [row for row in rows if child.name in row.names]
        if misfits:
            row = misfits[0]
            violations.append(
                f"{row.label}: item {child.path} is {child.relationship} {child.value_type}, "
                f"not {row.relationship} {'/'.join(row.value_types)}"
            )
    for row, items in zip(rows, found, strict=True):
        if len(items) < row.least:
            violations.append(f"{row.label}: missing from item {parent.path} ({where})")
        if row.most is not None and len(items) > row.most:
            violations.append(f"{row.label}: {len(items)} times in item {parent.path}, at most {row.most}")
        for item in items:
            wrong = _value_fault(item) or row.check(item)
            if wrong:
                violations.append(f"{row.label}: item {item.path} {wrong}")
            violations.extend(violations_below(item, row.rows, where=row.label))
    return violations


def one_of(*codes: Code) -> ValueCheck:
    """Demand a code value from a list."""

    def check(item: Item) -> str | None:
        return None if item.code in codes else f"has the value {item.code}, not one of {[str(code) for code in codes]}"

    return check


def from_scheme(*schemes: str) -> ValueCheck:
    """Demand a code value of certain coding schemes."""

    def check(item: Item) -> str | None:
        scheme = item.code.scheme if item.code else ""
        return None if scheme in schemes else f"has a value of scheme {scheme!r}, not of {schemes}"

    return check


def _value_fault(item: Item) -> str | None:
    """Say what is wrong with an item whatever its row (PS3.3 C.17.3.2, C.18)."""
    match item.value_type:
        case "CODE":
            return None if item.code and item.code.value and item.code.meaning else "has no complete code value"
        case "TEXT" | "UIDREF" | "PNAME":
            return None if item.text.strip() else "has an empty value"
        case "NUM":
            return _number_fault(item)
        case "IMAGE" | "COMPOSITE":
            return None if item.dataset.get("ReferencedSOPSequence") else "references nothing"
        case _:
            return None


def _number_fault(item: Item) -> str | None:
    measured = item.dataset.get("MeasuredValueSequence")
    if not measured:
        return None if item.dataset.get("NumericValueQualifierCodeSequence") else "has neither value nor qualifier"
    if item.unit is None or item.unit.scheme != "UCUM":
        return f"has the unit {item.unit}, not one of UCUM"
    if not math.isfinite(float(measured[0].NumericValue)):
        return "has a value that is not a finite number"
    return None
