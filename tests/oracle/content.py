"""The content tree of a structured report (PS3.3 C.17.3), read without interpretation."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value and coding scheme; the meaning is only for people."""

    value: str
    scheme: str
    meaning: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Code) and (self.value, self.scheme) == (other.value, other.scheme)

    def __hash__(self) -> int:
        return hash((self.value, self.scheme))

    def __str__(self) -> str:
        return f"({self.value}, {self.scheme}, {self.meaning!r})"


@dataclass(frozen=True, slots=True)
class Item:
    """A content item.

    Args:
        dataset: Its attributes.
        path: Where it stands, one-based, such as ``1.4.2``.
    """

    dataset: Dataset
    path: str = "1"

    @property
    def relationship(self) -> str:
        """Relationship Type (0040,A010); empty for the root."""
        return str(self.dataset.get("RelationshipType", ""))

    @property
    def value_type(self) -> str:
        """Value Type (0040,A040); empty for a reference to another item of the tree."""
        return str(self.dataset.get("ValueType", ""))

    @property
    def name(self) -> Code | None:
        """Concept Name (0040,A043)."""
        return _first_code(self.dataset, "ConceptNameCodeSequence")

    @property
    def code(self) -> Code | None:
        """The value of a CODE item."""
        return _first_code(self.dataset, "ConceptCodeSequence")

    @property
    def text(self) -> str:
        """The value of a TEXT, UIDREF or PNAME item; empty if there is none."""
        for keyword in ("TextValue", "UID", "PersonName"):
            if keyword in self.dataset:
                return str(self.dataset[keyword].value)
        return ""

    @property
    def unit(self) -> Code | None:
        """The unit of a NUM item."""
        measured = self.dataset.get("MeasuredValueSequence")
        return _first_code(measured[0], "MeasurementUnitsCodeSequence") if measured else None

    @property
    def template(self) -> str:
        """Template Identifier (0040,DB00); empty if absent."""
        template = self.dataset.get("ContentTemplateSequence")
        return str(template[0].get("TemplateIdentifier", "")) if template else ""

    @property
    def children(self) -> list["Item"]:
        """The items below this one."""
        below = self.dataset.get("ContentSequence") or []
        return [Item(child, f"{self.path}.{number}") for number, child in enumerate(below, start=1)]

    def named(self, name: Code) -> list["Item"]:
        """The children with a concept name."""
        return [child for child in self.children if child.name == name]

    def walk(self) -> Iterator["Item"]:
        """This item and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def _first_code(dataset: Dataset, keyword: str) -> Code | None:
    codes = dataset.get(keyword)
    if not codes:
        return None
    code = codes[0]
    value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue") or ""
    return Code(str(value), str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeMeaning", "")))
