"""The type check that refuses a rule at registration instead of at the first study.

The language is CEL; its syntax is read here once more, because the checker must point to the place of a mistake.
Whatever this module does not know it refuses.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from study_router.domain.matching import Scope
from study_router.domain.rule_facts import BOOL, DOUBLE, FACTS, INT, NUMBERS, STRING, list_of
from udckit.errors import InvalidRequestError


class RuleError(InvalidRequestError):
    """A rule cannot be used; the sentence names the clause and the position."""

    reason = "INVALID_RULE"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


TOKENS: Final = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)
  | (?P<int>\d+)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<operator>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])
    """,
    re.VERBOSE,
)

_RELATIONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_STRING_METHODS: Final = frozenset({"contains", "startsWith", "endsWith", "matches"})
_MACROS: Final = frozenset({"exists", "all", "exists_one"})
_LITERALS: Final = {"true": BOOL, "false": BOOL}

_LONGEST: Final = 4096
"""Characters of a rule, in a manifest and in an attachment alike."""
_DEEPEST_MACRO: Final = 2
"""Macros inside each other: each level goes through all stacks again, and five levels over twenty stacks take a quarter
of a minute, in which the router does nothing else."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule that may be used.

    Attributes:
        type: What it gives.
        facts: The facts of its own variable that it asks for, in the order in which it does.
    """

    type: str
    facts: tuple[str, ...]


def check_rule(expression: str, *, scope: Scope, name: str) -> Checked:
    """Return the type of a rule and the facts it asks for.

    Args:
        expression: CEL.
        scope: The one variable that it may use, beside those it binds itself.
        name: What the rule is called, for the error.

    Raises:
        RuleError: it cannot be read, names an unknown fact, or joins types that do not fit.
    """
    return _Checker(expression, scope, name).check()


class _Checker:
    """Reads one expression from left to right and returns types; one method per level of precedence."""

    def __init__(self, expression: str, scope: Scope, name: str) -> None:
        self._name = name
        self._scope = scope.value
        self._variables: dict[str, str] = {scope.value: scope.value}
        self._facts: dict[str, None] = {}
        self._tokens = self._tokenise(expression)
        self._next = 0

    def check(self) -> Checked:
        """Read the whole expression."""
        try:
            kind = self._ternary()
        except RecursionError:
            raise self._error(self._peek(), "the rule is nested too deeply") from None
        token = self._peek()
        if token.kind != "end":
            raise self._error(token, f"{token.text!r} is not expected here")
        return Checked(kind, tuple(self._facts))

    def _tokenise(self, expression: str) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        if len(expression) > _LONGEST:
            raise self._error(_Token("", "", _LONGEST), f"a rule has at most {_LONGEST} characters")
        while position < len(expression):
            match = TOKENS.match(expression, position)
            if match is None:
                raise self._error(_Token("", "", position), f"{expression[position]!r} cannot be read")
            kind = match.lastgroup or ""
            if kind != "space":
                tokens.append(_Token(kind, match.group(), position))
            position = match.end()
        tokens.append(_Token("end", "end of the rule", position))
        return tokens

    def _error(self, token: _Token, problem: str) -> RuleError:
        return RuleError(f"{self._name}: position {token.position + 1}: {problem}")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _is_next(self, *texts: str) -> bool:
        token = self._peek()
        return token.text in texts and token.kind in {"operator", "name"}

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.text != text or token.kind == "string":
            raise self._error(token, f"{text!r} is expected instead of {token.text!r}")

    def _ternary(self) -> str:
        start = self._peek()
        condition = self._logical(("||",), self._conjunction)
        if not self._is_next("?"):
            return condition
        self._require(condition, BOOL, start, "a condition before '?'")
        self._take()
        first = self._ternary()
        self._expect(":")
        middle = self._peek()
        second = self._ternary()
        if first != second:
            raise self._error(middle, f"both sides of ':' must have one type, not {first} and {second}")
        return first

    def _conjunction(self) -> str:
        return self._logical(("&&",), self._relation)

    def _logical(self, operators: tuple[str, ...], operand: Callable[[], str]) -> str:
        start = self._peek()
        kind = operand()
        while self._is_next(*operators):
            self._require(kind, BOOL, start, f"what stands before {operators[0]!r}")
            self._take()
            start = self._peek()
            self._require(operand(), BOOL, start, f"what stands after {operators[0]!r}")
        return kind

    def _relation(self) -> str:
        left = self._sum()
        while self._is_next(*_RELATIONS):
            token = self._take()
            right = self._sum()
            self._check_relation(token, left, right)
            left = BOOL
        return left

    def _check_relation(self, token: _Token, left: str, right: str) -> None:
        if token.text == "in":
            if right != list_of(left):
                raise self._error(token, f"'in' needs a list of {left}, not {right}")
        elif left != right and not {left, right} <= NUMBERS:
            raise self._error(token, f"{left} and {right} cannot be compared")
        elif token.text not in {"==", "!="} and left not in {*NUMBERS, STRING}:
            raise self._error(token, f"{left} has no order")

    def _sum(self) -> str:
        return self._arithmetic(("+", "-"), self._product)

    def _product(self) -> str:
        return self._arithmetic(("*", "/", "%"), self._unary)

    def _arithmetic(self, operators: tuple[str, ...], operand: Callable[[], str]) -> str:
        left = operand()
        while self._is_next(*operators):
            token = self._take()
            right = operand()
            allowed = {INT} if token.text == "%" else NUMBERS | ({STRING} if token.text == "+" else set())
            if left != right or left not in allowed:
                raise self._error(token, f"{token.text!r} does not join {left} and {right}; convert with double()")
        return left

    def _unary(self) -> str:
        token = self._peek()
        if self._is_next("!"):
            self._take()
            self._require(self._unary(), BOOL, token, "what stands after '!'")
            return BOOL
        if self._is_next("-"):
            self._take()
            kind = self._unary()
            if kind not in NUMBERS:
                raise self._error(token, f"'-' needs a number, not {kind}")
            return kind
        return self._member()

    def _member(self) -> str:
        kind = self._primary()
        while self._is_next(".", "["):
            if self._take().text == "[":
                kind = self._element(kind)
                continue
            name = self._take()
            if name.kind != "name":
                raise self._error(name, "the name of a fact is expected after '.'")
            kind = self._call_method(kind, name) if self._is_next("(") else self._fact(kind, name)
        return kind

    def _element(self, kind: str) -> str:
        token = self._peek()
        self._require(self._ternary(), INT, token, "the index of a list")
        self._expect("]")
        return self._element_type(kind, token)

    def _element_type(self, kind: str, token: _Token) -> str:
        if not kind.startswith("list("):
            raise self._error(token, f"{kind} is no list")
        return kind.removeprefix("list(").removesuffix(")")

    def _fact(self, kind: str, name: _Token) -> str:
        facts = FACTS.get(kind)
        if facts is None:
            raise self._error(name, f"{kind} has no facts")
        if name.text not in facts:
            longer = [fact for fact in facts if fact.startswith(name.text)]
            closest = (longer or get_close_matches(name.text, facts, n=1, cutoff=0.0))[0]
            raise self._error(name, f"{kind} has no fact {name.text!r}; the closest is {closest!r}")
        if kind == self._scope:
            self._facts[name.text] = None
        return facts[name.text]

    def _call_method(self, kind: str, name: _Token) -> str:
        self._expect("(")
        if name.text in _MACROS:
            return self._macro(kind, name)
        if name.text == "size":
            self._expect(")")
            return self._size(kind, name)
        if name.text not in _STRING_METHODS or kind != STRING:
            raise self._error(name, f"{kind} has no function {name.text!r}")
        token = self._peek()
        self._require(self._ternary(), STRING, token, f"the argument of {name.text}")
        self._expect(")")
        return BOOL

    def _macro(self, kind: str, name: _Token) -> str:
        element = self._element_type(kind, name)
        variable = self._take()
        if variable.kind != "name" or variable.text in self._variables:
            raise self._error(variable, "a new variable is expected here")
        if len(self._variables) > _DEEPEST_MACRO:
            raise self._error(
                name, f"at most {_DEEPEST_MACRO} of exists, all and exists_one may stand inside each other"
            )
        self._expect(",")
        self._variables[variable.text] = element
        token = self._peek()
        self._require(self._ternary(), BOOL, token, f"the condition of {name.text}")
        del self._variables[variable.text]
        self._expect(")")
        return BOOL

    def _size(self, kind: str, token: _Token) -> str:
        if kind != STRING and not kind.startswith("list("):
            raise self._error(token, f"{kind} has no size")
        return INT

    def _primary(self) -> str:
        token = self._take()
        if token.kind in {INT, DOUBLE, STRING}:
            return token.kind
        if token.text == "(" and token.kind == "operator":
            kind = self._ternary()
            self._expect(")")
            return kind
        if token.text == "[" and token.kind == "operator":
            return self._list(token)
        if token.kind == "name":
            return self._named(token)
        raise self._error(token, f"{token.text!r} is not expected here")

    def _named(self, token: _Token) -> str:
        if token.text in _LITERALS:
            return _LITERALS[token.text]
        if self._is_next("("):
            return self._call(token)
        if token.text not in self._variables:
            known = ", ".join(sorted(self._variables))
            raise self._error(token, f"there is no variable {token.text!r}; there is {known}")
        return self._variables[token.text]

    def _call(self, name: _Token) -> str:
        self._expect("(")
        token = self._peek()
        if name.text == "has":
            kind = self._member()
            if kind in FACTS or token.kind != "name":
                raise self._error(token, "has() asks for one fact, such as has(study.age_years)")
            self._expect(")")
            return BOOL
        kind = self._ternary()
        self._expect(")")
        if name.text == "size":
            return self._size(kind, token)
        if name.text == "double" and kind in {INT, DOUBLE}:
            return DOUBLE
        if name.text == "int" and kind in {INT, DOUBLE}:
            return INT
        raise self._error(name, f"there is no function {name.text}({kind})")

    def _list(self, token: _Token) -> str:
        kinds: list[str] = []
        while not self._is_next("]"):
            kinds.append(self._ternary())
            if not self._is_next(","):
                break
            self._take()
        self._expect("]")
        if len(set(kinds)) != 1:
            raise self._error(token, "a list needs elements of one type")
        return list_of(kinds[0])

    def _require(self, kind: str, wanted: str, token: _Token, what: str) -> None:
        if kind != wanted:
            raise self._error(token, f"{what} must be {wanted}, not {kind}")
