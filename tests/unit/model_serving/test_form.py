"""A loaded model whose tensors are not those of the manifest is named before anybody waits for it."""

from dataclasses import replace

import pytest

from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.form import ModelForm, TensorForm, disagreements, form_of
from model_serving.usecases import Models
from unit.model_serving.manifests import BRAIN, CHEST
from unit.model_serving.plain_parts import PlainBackend, no_golden_cases
from unit.model_serving.test_models import model_of

BRAIN_FORM = ModelForm(
    inputs={"VOLUME": TensorForm("FP32", (None, None, None))},
    outputs={"MASK": TensorForm("UINT8", (None, None, None)), "PROBABILITY": TensorForm("FP32", (1,))},
)
CHEST_FORM = ModelForm(
    inputs={"IMAGE": TensorForm("FP32", (1, 1, 512, 512))},
    outputs={"PROBABILITY": TensorForm("FP32", (1, 1)), "BOX": TensorForm("FP32", (1, 4))},
)


def test_a_manifest_says_what_the_tensors_are() -> None:
    assert form_of(BRAIN) == BRAIN_FORM
    assert form_of(CHEST) == CHEST_FORM


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        (BRAIN_FORM, []),
        (replace(BRAIN_FORM, outputs={**BRAIN_FORM.outputs, "HEAT": TensorForm("FP32", (3,))}), []),
        (
            replace(BRAIN_FORM, inputs={**BRAIN_FORM.inputs, "PRIOR": TensorForm("FP32", (3,))}),
            ["wants an input PRIOR"],
        ),
        (
            replace(BRAIN_FORM, inputs={"IMAGE": TensorForm("FP32", (None,) * 3)}),
            ["wants an input IMAGE", "no input VOLUME; it has IMAGE"],
        ),
        (
            replace(BRAIN_FORM, inputs={"VOLUME": TensorForm("INT16", (None,) * 3)}),
            ["input VOLUME is FP32 [free, free, free] in the manifest and INT16 [free, free, free] in the model"],
        ),
        (replace(BRAIN_FORM, inputs={"VOLUME": TensorForm("FP32", (None, 512, 512))}), ["FP32 [free, 512, 512]"]),
        (
            replace(BRAIN_FORM, inputs={"VOLUME": TensorForm("FP32", (1, None, None, None))}),
            ["FP32 [1, free, free, free]"],
        ),
        (replace(BRAIN_FORM, outputs={"MASK": BRAIN_FORM.outputs["MASK"]}), ["no output PROBABILITY; it has MASK"]),
        (
            replace(BRAIN_FORM, outputs={**BRAIN_FORM.outputs, "PROBABILITY": TensorForm("FP32", (2,))}),
            ["output PROBABILITY is FP32 [1] in the manifest and FP32 [2] in the model"],
        ),
    ],
)
def test_what_does_not_fit_is_said(loaded: ModelForm, words: list[str]) -> None:
    found = disagreements(form_of(BRAIN), loaded)

    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_a_model_with_a_free_batch_takes_one_image() -> None:
    free = replace(CHEST_FORM, inputs={"IMAGE": TensorForm("FP32", (None, 1, 512, 512))})

    assert disagreements(form_of(CHEST), free) == []


async def test_a_model_of_another_form_is_never_handed_out() -> None:
    backend = PlainBackend(forms={BRAIN.model.name: replace(BRAIN_FORM, outputs={})})
    models = Models(backend, no_golden_cases, slots=2, runs_per_model=1, load_s=1, canary_s=1)

    with pytest.raises(RunFailedError) as failure:
        async with models.used(model_of(BRAIN), BRAIN):
            pytest.fail("a model of another form was handed out")

    assert failure.value.reason is Reason.MODEL_FORM
    assert backend.inferred == []
    assert "the model has no output MASK" in models.statuses()[0].canary
