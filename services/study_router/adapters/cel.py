"""CEL, from the package ``common-expression-language``: the only module that knows it.

What was seen of it and is relied on here: ``||`` and ``&&`` absorb an error of one side when the other decides, in
either order; a missing key is a ``KeyError``; ``exists`` and ``all`` pass an error of an element on, which is on the
safe side. Variables that are not given are errors of the same kind, which is why names are checked beforehand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cel

from study_router.domain.matching import Answer, Condition, Preference, Scope, Truth
from study_router.domain.rule_facts import BOOL, NUMBERS
from study_router.domain.rule_parts import conjuncts
from study_router.domain.rule_types import RuleError, check_rule

# Division by zero, a number beyond 64 bits and an index beyond the list are errors of Python, not of the package.
_EVALUATION_ERRORS = (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class CelPart:
    """One of the parts that must all hold, and the facts that it asks for."""

    source: str
    program: cel.Program
    asks_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CelCondition:
    """``matching.Condition`` in CEL."""

    source: str
    program: cel.Program
    scope: Scope
    parts: tuple[CelPart, ...]

    def of(self, facts: Mapping[str, Any]) -> Answer:
        """Return what the rule is."""
        try:
            value = self.program.execute(dict(facts))
        except _EVALUATION_ERRORS:
            known = facts[self.scope.value]
            undecided = [part for part in self.parts if _value(part.program, facts) is None]
            absent = {name: None for part in undecided for name in part.asks_for if name not in known}
            return Answer(Truth.UNKNOWN, tuple(f"{self.scope.value}.{name}" for name in absent))
        if value is True:
            return Answer(Truth.TRUE)
        return Answer(
            Truth.FALSE, failing=tuple(part.source for part in self.parts if _value(part.program, facts) is False)
        )


@dataclass(frozen=True, slots=True)
class CelPreference:
    """``matching.Preference`` in CEL."""

    program: cel.Program

    def of(self, facts: Mapping[str, Any]) -> float | None:
        """Return the number, or None where a fact is absent."""
        try:
            return float(self.program.execute(dict(facts)))
        except _EVALUATION_ERRORS:
            return None


class CelCompiler:
    """``matching.Compiler`` for CEL."""

    def condition(self, expression: str, *, scope: Scope, name: str) -> Condition:
        """Compile a rule that must be of type bool."""
        checked = check_rule(expression, scope=scope, name=name)
        if checked.type != BOOL:
            raise RuleError(f"{name}: position 1: the rule must be bool, not {checked.type}")
        parts = tuple(
            CelPart(part, _compiled(part, name), check_rule(part, scope=scope, name=name).facts)
            for part in conjuncts(expression)
        )
        return CelCondition(expression, _compiled(expression, name), scope, parts)

    def preference(self, expression: str, *, scope: Scope, name: str) -> Preference:
        """Compile a rule that must be a number."""
        checked = check_rule(expression, scope=scope, name=name)
        if checked.type not in NUMBERS:
            raise RuleError(f"{name}: position 1: the rule must be a number, not {checked.type}")
        return CelPreference(_compiled(expression, name))


def _value(part: cel.Program, facts: Mapping[str, Any]) -> bool | None:
    """Return what a part is; None where that is unknown."""
    try:
        return part.execute(dict(facts)) is True
    except _EVALUATION_ERRORS:
        return None


def _compiled(expression: str, name: str) -> cel.Program:
    try:
        return cel.compile(expression)
    except ValueError as error:
        raise RuleError(f"{name}: {str(error).splitlines()[0]}") from error
