"""Whether a study is what a device is for, and which stacks it would get. Three-valued: unknown is not yes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final, Protocol, assert_never

from study_router.domain.exclusions import Exclusion
from study_router.domain.facts import GEOMETRY_FACTS, stack_facts
from study_router.domain.stacks import Stack
from study_router.domain.work import Ending
from udcmodel.geometry import GeometryPolicy, GeometryReason, Objection, Orientation, objections
from udcmodel.manifest import GeometrySpec, ImageInput, Manifest
from udcmodel.vocabulary import ErrorCategory

_NAMED: Final = 3
"""How many reasons are told where no stack can be an input; the explanation has all."""


@unique
class Truth(StrEnum):
    """What a rule can be."""

    TRUE = "TRUE"
    FALSE = "FALSE"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule is: ``unknown`` names the facts that are absent, ``failing`` the parts that are false."""

    truth: Truth
    unknown: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """What is unknown, for a sentence; empty where the rule is decided."""
        if self.truth is not Truth.UNKNOWN:
            return ""
        # Types were checked: without an absent fact it is arithmetic, such as an index beyond the end.
        return ", ".join(self.unknown) or "the value"


@unique
class Scope(StrEnum):
    """Which variable a rule may use."""

    STUDY = "study"
    STACK = "stack"


class Condition(Protocol):
    """A compiled rule that is true or not."""

    @property
    def source(self) -> str:
        """The rule as written."""

    def of(self, facts: Mapping[str, Any]) -> Answer:
        """Return what the rule is; a fact that is absent makes it unknown unless the rest decides."""


class Preference(Protocol):
    """A compiled rule that is a number."""

    def of(self, facts: Mapping[str, Any]) -> float | None:
        """Return the number, or None where a fact is absent."""


class Compiler(Protocol):
    """Compiles and checks rules. Raises InvalidRequestError with clause, position and reason."""

    def condition(self, expression: str, *, scope: Scope, name: str) -> Condition:
        """Compile a rule that must be of type bool."""

    def preference(self, expression: str, *, scope: Scope, name: str) -> Preference:
        """Compile a rule that must be a number."""


@dataclass(frozen=True, slots=True)
class CompiledClause:
    """A condition with its name and the sentence shown where it does not hold."""

    name: str
    explain: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class CompiledInput:
    """Which stacks an input accepts, and which it takes first."""

    spec: ImageInput
    where: Condition
    prefer: tuple[Preference, ...]


@dataclass(frozen=True, slots=True)
class CompiledRules:
    """Everything that decides for one attachment."""

    clauses: tuple[CompiledClause, ...]
    inputs: tuple[CompiledInput, ...]


def compile_rules(manifest: Manifest, *, rule: str, compiler: Compiler) -> CompiledRules:
    """Compile the rules of a manifest and an attachment.

    Raises:
        InvalidRequestError: a rule is no CEL, uses an unknown variable or has the wrong type.
    """
    clauses = [
        CompiledClause(
            clause.name,
            clause.explain,
            compiler.condition(clause.expression, scope=Scope.STUDY, name=f"purpose {clause.name}"),
        )
        for clause in manifest.purpose
    ]
    if rule:
        condition = compiler.condition(rule, scope=Scope.STUDY, name="rule of the attachment")
        clauses.append(CompiledClause("rule", "The rule of the attachment does not select this study.", condition))
    inputs = tuple(
        CompiledInput(
            spec,
            compiler.condition(spec.where, scope=Scope.STACK, name=f"where of input {spec.name}"),
            tuple(
                compiler.preference(expression, scope=Scope.STACK, name=f"prefer {number} of input {spec.name}")
                for number, expression in enumerate(spec.prefer, start=1)
            ),
        )
        for spec in manifest.inputs
    )
    return CompiledRules(tuple(clauses), inputs)


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """One clause, decided."""

    name: str
    expression: str
    answer: Answer
    explain: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A stack taken for an input."""

    name: str
    stack: Stack


@dataclass(frozen=True, slots=True)
class Matched:
    """The device shall see ``chosen``; ``candidates`` is everything that could have been chosen."""

    chosen: tuple[Chosen, ...]
    candidates: tuple[Stack, ...]

    @property
    def latest_arrival_at(self) -> datetime:
        """When the latest image of all candidates came."""
        return max(stack.last_arrival_at for stack in self.candidates)


@dataclass(frozen=True, slots=True)
class NotEligible:
    """The study is not what the device is for."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class Insufficient:
    """The study is what the device is for, and its images cannot be used."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class Decision:
    """What comes of a study for an attachment, with everything that led to it."""

    verdict: Matched | NotEligible | Insufficient
    clauses: tuple[ClauseResult, ...]
    notes: tuple[str, ...]


def decide(rules: CompiledRules, *, study: Mapping[str, Any], age_why: str, stacks: Sequence[Stack]) -> Decision:
    """Decide for one attachment.

    Args:
        rules: The compiled rules.
        study: Facts of the study.
        age_why: Why the age is unknown, for the explanation.
        stacks: All stacks, also excluded ones.
    """
    clauses = tuple(
        ClauseResult(clause.name, clause.condition.source, clause.condition.of({"study": study}), clause.explain)
        for clause in rules.clauses
    )
    notes: list[str] = []
    failing = next((clause for clause in clauses if clause.answer.truth is not Truth.TRUE), None)
    if failing is not None:
        return Decision(NotEligible(_not_eligible(failing, age_why)), clauses, tuple(notes))
    chosen: list[Chosen] = []
    candidates: list[Stack] = []
    for item in rules.inputs:
        picked = _pick(item, stacks, notes)
        if isinstance(picked, NotEligible | Insufficient):
            return Decision(picked, clauses, tuple(notes))
        taken, considered = picked
        chosen.extend(taken)
        candidates.extend(considered)
    return Decision(Matched(tuple(chosen), tuple(candidates)), clauses, tuple(notes))


def name_of(verdict: Matched | NotEligible | Insufficient) -> str:
    """Return what a verdict is called where people read it."""
    match verdict:
        case Matched():
            return "MATCHED"
        case NotEligible():
            return "NOT_ELIGIBLE"
        case Insufficient():
            return "INSUFFICIENT"
        case _:
            assert_never(verdict)


def _not_eligible(clause: ClauseResult, age_why: str) -> Ending:
    if clause.answer.truth is Truth.FALSE:
        return Ending(reason="PURPOSE", detail=f"{clause.name}: {clause.explain}")
    unknown = clause.answer.why
    if unknown == "study.age_years":
        return Ending(reason="AGE_UNKNOWN", detail=f"{clause.name}: age unknown: {age_why}")
    return Ending(reason="PURPOSE_UNKNOWN", detail=f"{clause.name}: {unknown} is unknown")


def _pick(
    item: CompiledInput, stacks: Sequence[Stack], notes: list[str]
) -> tuple[list[Chosen], list[Stack]] | NotEligible | Insufficient:
    name = item.spec.name
    candidates, rejected = _meant(item, stacks, notes)
    if not candidates and rejected:
        detail = f"{name}: {_label(rejected[0])} was rejected: {rejected[0].exclusion_why}"
        return Insufficient(Ending(reason="REJECTED", detail=detail, category=ErrorCategory.SERIES))
    if not candidates:
        why = "; ".join(list(dict.fromkeys(notes))[-_NAMED:]) or name
        return NotEligible(Ending(reason="NO_INPUT", detail=f"no stack of the study can be the input {why}"))
    ranked = sorted(candidates, key=lambda stack: _rank(item, stack))
    accepted: list[Stack] = []
    refused: list[Objection] = []
    for stack in ranked:
        found = _objections(item, stack)
        if found:
            notes.append(f"{name}: {_label(stack)}: " + "; ".join(objection.detail for objection in found))
            refused.extend(found)
        else:
            accepted.append(stack)
    if not accepted:
        first = refused[0]
        return Insufficient(
            Ending(reason=first.reason.value, detail=f"{name}: {first.detail}", category=first.category)
        )
    taken = accepted[: item.spec.at_most or 1]
    for stack in accepted:
        notes.append(f"{name}: {_label(stack)}: " + ("chosen" if stack in taken else _why_not(item, stack, taken[0])))
    return [Chosen(name, stack) for stack in taken], candidates


def _meant(item: CompiledInput, stacks: Sequence[Stack], notes: list[str]) -> tuple[list[Stack], list[Stack]]:
    """Return the stacks that the input is meant for, and those that it would be had they not been rejected."""
    meant: list[Stack] = []
    rejected: list[Stack] = []
    for stack in stacks:
        label = f"{item.spec.name}: {_label(stack)}"
        answer = item.where.of({"stack": stack_facts(stack)})
        if stack.exclusion is not None:
            why = f": {stack.exclusion_why}" if stack.exclusion_why else ""
            notes.append(f"{label}: excluded as {stack.exclusion.value}{why}")
            if stack.exclusion is Exclusion.REJECTED and answer.truth is Truth.TRUE:
                rejected.append(stack)
        elif answer.truth is Truth.TRUE or _is_only_lost(answer, stack):
            meant.append(stack)
        elif answer.truth is Truth.UNKNOWN:
            notes.append(f"{label}: {answer.why} is unknown")
        else:
            notes.append(f"{label}: not selected, false is " + "; ".join(answer.failing))
    return meant, rejected


def _is_only_lost(answer: Answer, stack: Stack) -> bool:
    """Say whether nothing but a missing geometry speaks against a stack: it is meant, and cannot be used."""
    is_lost = stack.geometry.normal is None
    return is_lost and bool(answer.unknown) and {name.partition(".")[2] for name in answer.unknown} <= GEOMETRY_FACTS


def _objections(item: CompiledInput, stack: Stack) -> tuple[Objection, ...]:
    """Say why a stack that is meant cannot be used; slices without any place are no projections."""
    is_nowhere = stack.geometry.orientation is Orientation.PROJECTION
    if is_nowhere and (item.spec.geometry is not None or not _selects(item, stack)):
        count = len(stack.headers)
        detail = f"none of {count} images has Image Position and Orientation (Patient) (0020,0032) and (0020,0037)"
        return (Objection(GeometryReason.UNPLACED, detail),)
    return objections(stack.geometry, policy_of(item.spec.geometry))


def _selects(item: CompiledInput, stack: Stack) -> bool:
    return item.where.of({"stack": stack_facts(stack)}).truth is Truth.TRUE


def _rank(item: CompiledInput, stack: Stack) -> tuple[Any, ...]:
    """Order by preferences, larger first and unknown last; then as scanned, so that the choice is always the same."""
    numbers = [(1, 0.0) if value is None else (0, -value) for value in _preferences(item, stack)]
    number = stack.first.series_number
    return (numbers, number if number is not None else 1 << 31, stack.scanned, stack.key)


def _preferences(item: CompiledInput, stack: Stack) -> list[float | None]:
    facts = {"stack": stack_facts(stack)}
    return [preference.of(facts) for preference in item.prefer]


def _why_not(item: CompiledInput, stack: Stack, taken: Stack) -> str:
    """Say what put ``taken`` before ``stack``."""
    values = zip(item.spec.prefer, _preferences(item, taken), _preferences(item, stack), strict=True)
    for expression, better, worse in values:
        if better != worse:
            shown = " instead of ".join("unknown" if value is None else f"{value:g}" for value in (better, worse))
            return f"{_label(taken)} is preferred by {expression}: {shown}"
    return f"{_label(taken)} is as good and was scanned first"


def _label(stack: Stack) -> str:
    header = stack.common
    number = "?" if header.series_number is None else header.series_number
    unit = "objects" if stack.exclusion is Exclusion.DERIVED_OBJECT else "images"
    part = header.body_part or "no body part"
    return f"series {number} ({header.modality}, {part}, {len(stack.headers)} {unit})"


def policy_of(spec: GeometrySpec | None) -> GeometryPolicy:
    """Return what a manifest accepts as the geometry of an input; an image input accepts any single image."""
    if spec is None:
        return GeometryPolicy(min_frames=1, max_frames=1)
    return GeometryPolicy(
        tilt=spec.tilt,
        max_tilt_deg=spec.max_tilt_deg,
        spacing=spec.spacing,
        gap=spec.gap,
        duplicates=spec.duplicates,
        min_frames=spec.min_frames,
        max_frames=spec.max_frames,
        max_spacing_mm=spec.max_spacing_mm,
        min_coverage_mm=spec.min_coverage_mm,
    )
