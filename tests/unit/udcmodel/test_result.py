"""A result that cannot be true is refused; one that can survives the wire unchanged."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udckit.errors import InvalidRequestError
from udcmodel.codec import decode_result, encode_result
from udcmodel.result import (
    AiResult,
    Box,
    Code,
    Contour,
    Finding,
    Location,
    Measurement,
    Provenance,
    QualityFlag,
    Segment,
    SegmentFrame,
    SegmentLocation,
    SourceInstance,
    Text,
    TextKind,
    Timing,
    check,
    pack_mask,
    unpack_mask,
)
from udcmodel.vocabulary import Presence

HEMORRHAGE = Code("50960005", "SCT", "Hemorrhage")
MORPHOLOGY = Code("49755003", "SCT", "Morphologically Abnormal Structure")
VOLUME = Code("118565006", "SCT", "Volume")
MASK = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.bool_)
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)

RESULT = AiResult(
    provenance=Provenance(
        job="3a0f", device="d", version="1.0.0", manifest_digest="sha256:1", model_digest="sha256:2",
        processing_version="1", input_digests=("sha256:3",),
    ),
    language="ru",
    findings=(
        Finding(
            id="l1", code=HEMORRHAGE, presence=Presence.PRESENT, category=MORPHOLOGY, probability=0.75,
            measurements=(Measurement(name=VOLUME, value=12.5, unit=Code("ml", "UCUM", "ml")),),
            locations=(
                SegmentLocation(segment_number=1),
                Box(sop_instance_uid="1.2.3", left=0.5, top=1.0, right=2.0, bottom=2.0),
                Contour(sop_instance_uid="1.2.3", points=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0))),
            ),
        ),
    ),
    sources=(
        SourceInstance(
            sop_class_uid="1.2", sop_instance_uid="1.2.3", series_instance_uid="1.2.4", study_instance_uid="1.2.5"
        ),
    ),
    segments=(
        Segment(
            number=1, label="l1", category=MORPHOLOGY, type=HEMORRHAGE, rows=2, columns=3,
            frames=(SegmentFrame(sop_instance_uid="1.2.3", packed_mask=pack_mask(MASK)),),
        ),
    ),
    texts=(Text(TextKind.CONCLUSION, "Обнаружен гиперденсный участок"),),
    quality_flags=(QualityFlag("MOTION", "blurred"),),
    timings=(Timing("infer", NOON, NOON),),
)  # fmt: skip
FINDING = RESULT.findings[0]
SEGMENT = RESULT.segments[0]


def test_a_full_result_is_accepted_and_survives_the_wire() -> None:
    check(RESULT)

    assert decode_result(encode_result(RESULT)) == RESULT


def located(location: Location) -> AiResult:
    return replace(RESULT, findings=(replace(FINDING, locations=(location,)),))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (replace(RESULT, findings=()), "at least one finding"),
        (replace(RESULT, sources=()), "names the instances"),
        (replace(RESULT, findings=(FINDING, FINDING)), "'l1' is used twice"),
        (replace(RESULT, findings=(replace(FINDING, probability=1.7),)), "probability 1.7"),
        (replace(RESULT, findings=(replace(FINDING, probability=float("nan")),)), "probability nan"),
        (
            replace(
                RESULT,
                findings=(replace(FINDING, measurements=(replace(FINDING.measurements[0], value=float("inf")),)),),
            ),
            "'Volume' that is not a finite number",
        ),
        (located(SegmentLocation(segment_number=2)), "segment 2, which does not exist"),
        (located(Box(sop_instance_uid="9", left=0, top=0, right=1, bottom=1)), "an instance that is not a source"),
        (located(Box(sop_instance_uid="1.2.3", left=1, top=0, right=1, bottom=1)), "a box without extent"),
        (located(Box(sop_instance_uid="1.2.3", left=-1, top=0, right=1, bottom=1)), "outside the image"),
        (located(Contour(sop_instance_uid="1.2.3", points=((0, 0), (1, 0), (1, 1), (0, 1)))), "not closed"),
        (replace(RESULT, segments=(replace(SEGMENT, frames=()),)), "segment 1 is empty"),
        (replace(RESULT, segments=(replace(SEGMENT, rows=9),)), "does not hold 9 x 3 bits"),
        (
            replace(
                RESULT,
                segments=(
                    replace(SEGMENT, frames=(replace(SEGMENT.frames[0], packed_mask=pack_mask(np.zeros_like(MASK))),)),
                ),
            ),
            "empty plane",
        ),
    ],
)
def test_a_result_that_cannot_be_true_is_refused(result: AiResult, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check(result)

    assert words in caught.value.message


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_a_packed_plane_unpacks_to_itself(rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.5

    assert np.array_equal(unpack_mask(pack_mask(mask), rows=rows, columns=columns), mask)


def test_a_plane_that_inflates_without_end_is_refused_early() -> None:
    bomb = pack_mask(np.zeros((4096, 4096), dtype=np.bool_))

    with pytest.raises(InvalidRequestError, match="does not hold 2 x 3 bits"):
        unpack_mask(bomb, rows=2, columns=3)
