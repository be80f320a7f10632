"""Golden cases of the reference devices: their numbers are those of the drawn scenes."""

import math
from pathlib import Path

import pytest

from cli.golden import WrittenCase, read_cases
from udckit.errors import InvalidRequestError
from udcmodel.golden import check_golden
from udcmodel.manifest import parse
from udcphantom import LEFT_BLEED, LEFT_LOWER, RIGHT_BLEED, RIGHT_UPPER, Lesion, Shadow

DEVICES = Path(__file__).parents[3] / "examples" / "devices"
BRAIN = DEVICES / "ct-brain-hyperdensity"
CHEST = DEVICES / "cxr-opacity"
LESIONS: dict[str, list[Lesion]] = {
    "healthy": [],
    "left-bleed": [LEFT_BLEED],
    "two-bleeds-tilted": [LEFT_BLEED, RIGHT_BLEED],
}
SHADOWS: dict[str, list[Shadow]] = {"clear": [], "left-lower": [LEFT_LOWER], "right-upper": [RIGHT_UPPER]}


def cases_of(device: Path) -> dict[str, WrittenCase]:
    return {item.case.case: item for item in read_cases(device / "golden")[0]}


@pytest.mark.parametrize("device", [BRAIN, CHEST], ids=lambda path: path.name)
def test_the_cases_are_of_the_device_and_always_the_same(device: Path) -> None:
    _, golden = read_cases(device / "golden")
    assert golden is not None
    check_golden(golden, parse((device / "manifest.yaml").read_bytes()))
    assert read_cases(device / "golden")[1] == golden


@pytest.mark.parametrize("name", LESIONS)
def test_what_is_expected_of_a_head_is_what_was_drawn(name: str) -> None:
    (expected,) = cases_of(BRAIN)[name].case.expect
    drawn = LESIONS[name]
    volume_ml = sum(lesion.volume_ml for lesion in drawn)

    assert expected.presence == ("present" if drawn else "absent")
    assert expected.probability is not None
    # The device's documented formula, on the drawn volume.
    assert expected.probability.value == pytest.approx(volume_ml / (volume_ml + 0.5), abs=0.0006)
    assert len(expected.regions or ()) == len(drawn)
    for region, lesion in zip(expected.regions or (), drawn, strict=True):
        assert region.centroid_mm.at == lesion.centroid_mm
        assert region.volume_ml is not None
        assert region.volume_ml.value == pytest.approx(lesion.volume_ml, abs=0.006)
        if region.max_diameter_mm is not None:
            assert region.max_diameter_mm.value == 2 * max(lesion.ellipsoid.semi_axes)


@pytest.mark.parametrize("name", SHADOWS)
def test_what_is_expected_of_a_chest_is_what_was_drawn(name: str) -> None:
    (expected,) = cases_of(CHEST)[name].case.expect
    drawn = SHADOWS[name]

    assert expected.presence == ("present" if drawn else "absent")
    boxes = [(box.left, box.top, box.right, box.bottom) for box in expected.boxes or ()]
    truths = [shadow.opacity(512, 512).box for shadow in drawn]
    assert len(boxes) == len(truths)
    assert all(
        math.isclose(a, b) for box, truth in zip(boxes, truths, strict=True) for a, b in zip(box, truth, strict=True)
    )


CASE = """
picture: "a head"
inputs:
  ct: {phantom: head-ct, slices: 4, spacing_mm: 40, matrix: 32, seed: 1}
expect:
  - {finding: hyperdensity, presence: absent}
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("head-ct", "knee-mr", "head-ct"),
        ("matrix: 32", "matrix: 9999", "less than or equal to 512"),
        ("presence: absent", "presence: abscent", "expect.0.presence"),
        ("picture:", "pictures:", "picture"),
        ("expect:", "expect: [", "is not YAML"),
        ("expect:", "on: 2026-13-45\nexpect:", "is not YAML: this is no timestamp"),
        (
            "{phantom: head-ct, slices: 4, spacing_mm: 40, matrix: 32, seed: 1}",
            "{dicom: ../..}",
            "outside of its folder",
        ),
        ("{phantom: head-ct, slices: 4, spacing_mm: 40, matrix: 32, seed: 1}", "{dicom: images}", "holds no images"),
    ],
)
def test_a_case_that_cannot_be_used_is_named_with_its_file(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in CASE
    (tmp_path / "broken.yaml").write_text(CASE.replace(old, new))

    with pytest.raises(InvalidRequestError) as refusal:
        read_cases(tmp_path)

    assert words in refusal.value.message


def test_the_vendors_own_files_are_a_picture(tmp_path: Path) -> None:
    drawn = cases_of(CHEST)["clear"]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.dcm").write_bytes(b"DICM")
    (tmp_path / "own.yaml").write_text(
        CASE.replace("{phantom: head-ct, slices: 4, spacing_mm: 40, matrix: 32, seed: 1}", "{dicom: images}")
    )

    (written,), _ = read_cases(tmp_path)

    assert written.image_count == drawn.image_count == 1
    (body,) = written.bodies.values()
    assert body.endswith(b"\r\n\r\nDICM\r\n--udc-golden-case--\r\n")


def test_a_device_without_cases_has_none(tmp_path: Path) -> None:
    assert read_cases(tmp_path) == ([], None)
