"""What a model's answer must be."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_serving.domain.answer import (
    DTYPES,
    Answer,
    AnsweredOutput,
    ExpectedOutput,
    check_answer,
    datatype_of,
    expected_outputs,
)
from model_serving.domain.failure import CONSEQUENCES, Reason, RunFailedError, failed
from udcmodel.vocabulary import ErrorCategory
from unit.model_serving.manifests import BRAIN

SCORE = ExpectedOutput(name="P", datatype="FP32", shape=(2,), is_probability=True)
LABELS = ExpectedOutput(name="L", datatype="UINT8", shape=(2, 3), is_probability=False)
GOOD = {
    "P": AnsweredOutput(datatype="FP32", shape=(2,), content=np.array([0.0, 1.0], "<f4").tobytes()),
    "L": AnsweredOutput(datatype="UINT8", shape=(2, 3), content=bytes(range(6))),
}


def answer(**changed: AnsweredOutput) -> Answer:
    return Answer(model_version="1", outputs={**GOOD, **changed})


def reason_of(given_answer: Answer, *, model_version: int = 1) -> Reason:
    with pytest.raises(RunFailedError) as failure:
        check_answer(given_answer, [SCORE, LABELS], model_version=model_version)
    return failure.value.reason


def score(*values: float) -> AnsweredOutput:
    return replace(GOOD["P"], content=np.array(values, "<f4").tobytes())


def test_a_good_answer_comes_back_as_arrays() -> None:
    tensors = check_answer(answer(), [SCORE, LABELS], model_version=1)
    np.testing.assert_array_equal(tensors["P"], [0.0, 1.0])
    np.testing.assert_array_equal(tensors["L"], [[0, 1, 2], [3, 4, 5]])


def test_outputs_that_nobody_declared_are_ignored() -> None:
    assert set(check_answer(answer(X=GOOD["P"]), [SCORE], model_version=1)) == {"P"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (replace(GOOD["P"], content=b""), Reason.OUTPUT_EMPTY),
        (replace(GOOD["P"], content=b"", shape=(0,)), Reason.OUTPUT_EMPTY),
        (replace(GOOD["P"], shape=(1, 2)), Reason.OUTPUT_SHAPE),
        (replace(GOOD["P"], shape=(3,)), Reason.OUTPUT_SHAPE),
        (replace(GOOD["P"], content=bytes(4)), Reason.OUTPUT_SIZE),
        (replace(GOOD["P"], content=bytes(12)), Reason.OUTPUT_SIZE),
        (replace(GOOD["P"], datatype="FP64"), Reason.OUTPUT_DATATYPE),
        (replace(GOOD["P"], datatype="BYTES"), Reason.OUTPUT_DATATYPE),
        (score(0.5, float("nan")), Reason.OUTPUT_NOT_FINITE),
        (score(0.5, float("inf")), Reason.OUTPUT_NOT_FINITE),
        (score(0.5, float("-inf")), Reason.OUTPUT_NOT_FINITE),
        (score(0.5, 1.0000001), Reason.OUTPUT_OUT_OF_RANGE),
        (score(0.5, -1e-30), Reason.OUTPUT_OUT_OF_RANGE),
    ],
)
def test_a_broken_promise_is_named(changed: AnsweredOutput, reason: Reason) -> None:
    assert reason_of(answer(P=changed)) is reason


def test_an_output_that_is_missing_is_named() -> None:
    assert reason_of(Answer(model_version="1", outputs={"P": GOOD["P"]})) is Reason.OUTPUT_MISSING


@pytest.mark.parametrize("version", ["", "2", "01"])
def test_another_version_of_the_model_is_named(version: str) -> None:
    assert reason_of(replace(answer(), model_version=version)) is Reason.MODEL_VERSION


@given(arrays.arrays(np.float32, 2, elements=st.floats(width=32)))
def test_exactly_probabilities_pass(values: np.ndarray) -> None:
    is_good = bool(np.all((values >= 0) & (values <= 1)))
    try:
        check_answer(answer(P=score(*values)), [SCORE], model_version=1)
    except RunFailedError:
        assert not is_good
    else:
        assert is_good


def test_the_manifest_says_what_to_expect() -> None:
    assert expected_outputs(BRAIN, {"ct": (10, 20, 30)}) == (
        ExpectedOutput(name="MASK", datatype="UINT8", shape=(10, 20, 30), is_probability=False),
        ExpectedOutput(name="PROBABILITY", datatype="FP32", shape=(1,), is_probability=True),
    )


def test_every_type_of_a_manifest_has_its_name_in_the_protocol() -> None:
    assert {datatype_of(dtype) for dtype in DTYPES.values()} == set(DTYPES)


def test_every_reason_has_a_consequence() -> None:
    assert set(CONSEQUENCES) == set(Reason)


@pytest.mark.parametrize("reason", [reason for reason in Reason if CONSEQUENCES[reason].is_insufficient])
def test_an_unsuitable_input_is_no_fault_of_the_device_and_not_repeated(reason: Reason) -> None:
    consequence = CONSEQUENCES[reason]
    assert not consequence.is_retryable
    assert not consequence.category.is_fault_of_device


@pytest.mark.parametrize(
    "reason", [reason for reason in Reason if reason.name.startswith(("OUTPUT", "MODEL", "INFER"))]
)
def test_a_failure_of_the_model_is_the_fault_of_the_device(reason: Reason) -> None:
    assert CONSEQUENCES[reason].category.is_fault_of_device


def test_a_more_precise_category_wins() -> None:
    ending = failed(RunFailedError(Reason.INPUT_UNSUITABLE, "no HU", category=ErrorCategory.MODALITY))
    assert ending.consequence.category is ErrorCategory.MODALITY
    assert ending.consequence.is_insufficient
