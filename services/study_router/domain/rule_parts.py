"""The parts of a rule that must all hold, so that a refusal can name the one that does not."""

from study_router.domain.rule_types import TOKENS


def conjuncts(expression: str) -> tuple[str, ...]:
    """Return what ``&&`` joins at the outermost level of a checked rule; the whole rule where it is no such chain."""
    parts: list[str] = []
    depth = start = 0
    for match in TOKENS.finditer(expression):
        symbol = match.group()
        if match.lastgroup != "operator":
            continue
        if symbol in {"(", "["}:
            depth += 1
        elif symbol in {")", "]"}:
            depth -= 1
        elif depth == 0 and symbol in {"||", "?"}:
            return (expression.strip(),)
        elif depth == 0 and symbol == "&&":
            parts.append(expression[start : match.start()].strip())
            start = match.end()
    return (*parts, expression[start:].strip())
