"""Rules are checked when they are written, and three-valued when they are asked."""

from typing import Any

import pytest

from study_router.adapters.cel import CelCompiler
from study_router.domain.facts import stack_facts
from study_router.domain.matching import Scope, Truth
from study_router.domain.rule_facts import STACK_FACTS
from study_router.domain.rule_types import RuleError, check_rule
from unit.study_router.phantoms import stacks_of_phantom

COMPILER = CelCompiler()
T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN


def truth(expression: str, study: dict[str, Any]) -> Truth:
    return COMPILER.condition(expression, scope=Scope.STUDY, name="rule").of({"study": study}).truth


@pytest.mark.parametrize(
    ("expression", "known", "unknown"),
    [
        ("study.age_years >= 18.0", T, U),
        ("study.age_years < 18.0", F, U),
        ("study.age_years == 40.0", T, U),
        ("study.age_years != 40.0", F, U),
        ("!(study.age_years >= 18.0)", F, U),
        ("study.age_years >= 18.0 && true", T, U),
        ("study.age_years >= 18.0 && false", F, F),
        ("false && study.age_years >= 18.0", F, F),
        ("study.age_years >= 18.0 || true", T, T),
        ("true || study.age_years >= 18.0", T, T),
        ("study.age_years >= 18.0 || false", T, U),
        ("study.age_years >= 18.0 ? true : false", T, U),
        ("has(study.age_years)", T, F),
        ("has(study.age_years) && study.age_years >= 18.0", T, F),
        ("study.age_years in [40.0, 50.0]", T, U),
        ("size(study.modalities) == 1", T, U),
        ("study.modalities.exists(m, m == 'CT')", T, U),
        ("study.stacks.exists(s, s.kvp > 100.0)", T, U),
    ],
)
def test_what_is_absent_is_unknown_unless_the_rest_decides(expression: str, known: Truth, unknown: Truth) -> None:
    assert truth(expression, {"age_years": 40.0, "modalities": ["CT"], "stacks": [{"kvp": 120.0}]}) is known
    assert truth(expression, {}) is unknown


def test_an_absent_fact_of_one_stack_leaves_the_whole_unknown_unless_another_decides() -> None:
    assert truth("study.stacks.all(s, s.kvp > 100.0)", {"stacks": [{"kvp": 120.0}, {}]}) is U
    assert truth("study.stacks.all(s, s.kvp > 100.0)", {"stacks": [{"kvp": 120.0}]}) is T


def test_the_answer_names_what_is_unknown() -> None:
    rule = COMPILER.condition('study.sex == "F" && study.age_years >= 18.0', scope=Scope.STUDY, name="rule")
    assert rule.of({"study": {"sex": "F"}}).why == "study.age_years"
    assert rule.of({"study": {}}).why == "study.sex, study.age_years"


@pytest.mark.parametrize(
    "expression",
    [
        "100 / size(study.stacks) > 1",
        "100 % size(study.stacks) > 1",
        "9223372036854775807 + size(study.modalities) > 0",
        "int(study.age_years * 1.0e300) > 0",
        "study.stacks[0].kvp > 100.0",
    ],
)
def test_arithmetic_that_has_no_answer_is_unknown_and_no_error(expression: str) -> None:
    assert truth(expression, {"age_years": 40.0, "modalities": ["CT"], "stacks": []}) is U


def test_a_preference_without_an_answer_is_no_number() -> None:
    preference = COMPILER.preference("100 / (stack.rows - 512)", scope=Scope.STACK, name="prefer")
    assert preference.of({"stack": {"rows": 512}}) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("(" * 2000 + "true" + ")" * 2000, "the rule is nested too deeply"),
        ("!" * 4000 + "true", "the rule is nested too deeply"),
        ("true && " * 600 + "true", "a rule has at most 4096 characters"),
        (
            "study.stacks.all(a, study.stacks.all(b, study.stacks.all(c, a.rows == b.rows)))",
            "at most 2 of exists, all and exists_one may stand inside each other",
        ),
    ],
)
def test_a_rule_that_could_hold_up_the_router_is_refused(expression: str, problem: str) -> None:
    with pytest.raises(RuleError, match=problem):
        COMPILER.condition(expression, scope=Scope.STUDY, name="rule")


def test_two_macros_inside_each_other_compare_stacks() -> None:
    rule = "study.stacks.exists(a, study.stacks.exists(b, a.rows > b.rows)) && study.stacks.exists(a, a.rows == 256)"
    assert truth(rule, {"stacks": [{"rows": 512}, {"rows": 256}]}) is T


@pytest.mark.parametrize(
    ("expression", "position", "problem"),
    [
        ("study.age >= 18.0", 7, "study has no fact 'age'; the closest is 'age_years'"),
        ("stack.modality == 'CT'", 1, "there is no variable 'stack'; there is study"),
        ("patient.name == 'x'", 1, "there is no variable 'patient'"),
        ("nothing || true", 1, "there is no variable 'nothing'"),
        ("study.age_years >= '18'", 17, "double and string cannot be compared"),
        ("study.age_years", 1, "the rule must be bool, not double"),
        ("study.modalities >= study.modalities", 18, "list(string) has no order"),
        ("study.sex + 1 == 2", 11, "'+' does not join string and int"),
        ("size(study.stacks) + 1.0 > 2.0", 20, "'+' does not join int and double"),
        ("study.age_years in ['a']", 17, "'in' needs a list of double, not list(string)"),
        ("study.sex && true", 1, "what stands before '&&' must be bool, not string"),
        ("true && study.sex", 9, "what stands after '&&' must be bool, not string"),
        ("study.age_years >=", 19, "'end of the rule' is not expected here"),
        ("study.age_years >= 18.0)", 24, "')' is not expected here"),
        ("study.stacks.exists(s, s.kvpp > 1.0)", 26, "stack has no fact 'kvpp'; the closest is 'kvp'"),
        ("study.stacks.exists(s, s.kvp)", 24, "the condition of exists must be bool, not double"),
        ("study.sex.upper() == 'F'", 11, "string has no function 'upper'"),
        ("now() > 1", 5, "')' is not expected here"),
        ("study.sex == 'F' # comment", 18, "'#' cannot be read"),
        ("[1, 'a'] == [1]", 1, "a list needs elements of one type"),
        ("true ? 1 : 'a'", 12, "both sides of ':' must have one type, not int and string"),
    ],
)
def test_a_mistake_is_refused_with_clause_and_position(expression: str, position: int, problem: str) -> None:
    with pytest.raises(RuleError) as refused:
        COMPILER.condition(expression, scope=Scope.STUDY, name="purpose adult")
    assert refused.value.message.startswith(f"purpose adult: position {position}: {problem}")


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("stack.kernel_class == 'SOFT' ? 1.0 : 0.0", "double"),
        ("double(stack.frame_count)", "double"),
        ("-stack.slice_spacing_mm", "double"),
        ("stack.frame_count * 2 + 1", "int"),
        ("stack.image_type[0] == 'ORIGINAL'", "bool"),
        ("stack.description.contains('мозг') || stack.description.startsWith(\"CT\")", "bool"),
        ("stack.frame_count > 10.5", "bool"),
        ("(stack.kvp + 1.0) / 2.0 <= 60.0", "bool"),
    ],
)
def test_the_type_of_a_rule_is_known(expression: str, kind: str) -> None:
    assert check_rule(expression, scope=Scope.STACK, name="rule").type == kind


def test_a_preference_that_depends_on_something_absent_is_no_number() -> None:
    preference = COMPILER.preference("stack.kernel_class == 'SOFT' ? 1.0 : 0.0", scope=Scope.STACK, name="prefer")
    assert preference.of({"stack": {"kernel_class": "SOFT"}}) == 1.0
    assert preference.of({"stack": {}}) is None


def test_every_fact_has_the_type_that_rules_are_checked_against() -> None:
    kinds = {"string": str, "int": int, "double": float, "bool": bool}
    for name in ("routine", "mr", "dx", "enhanced"):
        for stack in stacks_of_phantom(name):
            for fact, value in stack_facts(stack).items():
                declared = STACK_FACTS[fact]
                if declared == "list(string)":
                    assert all(isinstance(item, str) for item in value)
                else:
                    assert type(value) is kinds[declared], fact
