"""Every variant has the trait it is named for."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from udcphantom import GEOMETRIES, SMALL, VARIANTS, Charset, PixelForm, Study, variant, write_demo


@cache
def made(name: str) -> Study:
    return variant(name)


@cache
def headers(name: str) -> list[Dataset]:
    return list(made(name).datasets())


def positions(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([dataset.ImagePositionPatient for dataset in headers(name)], dtype=np.float64)


def hounsfield(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept))


@pytest.mark.parametrize(("name", "tilt_deg"), [("tilt-plus-25", 25.0), ("tilt-minus-25", -25.0)])
def test_a_tilted_scan_inclines_its_planes_and_moves_along_the_table(name: str, tilt_deg: float) -> None:
    cosines = np.array(headers(name)[0].ImageOrientationPatient, dtype=float)
    angle = np.deg2rad(tilt_deg)
    assert cosines == pytest.approx([1, 0, 0, 0, np.cos(angle), np.sin(angle)], abs=1e-9)
    assert headers(name)[0].GantryDetectorTilt == tilt_deg
    steps = np.diff(positions(name), axis=0)
    assert steps == pytest.approx(np.tile([0, 0, 5.0], (len(steps), 1)), abs=1e-6)


@pytest.mark.parametrize("name", ["two-spacings", "tilted-two-spacings"])
def test_two_spacings_are_thin_below_and_thick_above(name: str) -> None:
    steps = np.diff(positions(name)[:, 2])
    assert steps == pytest.approx([2.5] * 15 + [5.0] + [7.5] * 15)
    assert [float(one.SliceThickness) for one in headers(name)] == [2.5] * 16 + [7.5] * 16


def test_an_oblique_scan_moves_along_its_normal_and_along_no_axis() -> None:
    cosines = np.array(headers("oblique")[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(cosines[:3], cosines[3:])
    steps = np.diff(positions("oblique"), axis=0)
    assert steps == pytest.approx(np.tile(normal * 5.0, (len(steps), 1)), abs=1e-6)
    assert np.abs(normal).max() < 0.99


def test_a_reversed_scan_runs_towards_the_feet() -> None:
    assert (np.diff(positions("reversed")[:, 2]) < 0).all()


def test_a_gap_is_two_steps_wide_and_lies_in_a_lesion() -> None:
    steps = np.diff(positions("gap")[:, 2])
    assert sorted(steps.round(6).tolist()) == [5.0] * 27 + [10.0]


def test_a_duplicate_position_has_two_instances_with_different_noise() -> None:
    first, second = (headers("duplicate-position")[index] for index in (14, 15))
    assert list(first.ImagePositionPatient) == list(second.ImagePositionPatient)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.PixelData != second.PixelData


@pytest.mark.parametrize(
    ("name", "position", "row", "column"),
    [
        ("axial", "HFS", (1, 0, 0), (0, 1, 0)),
        ("prone", "HFP", (-1, 0, 0), (0, -1, 0)),
        ("feet-first", "FFS", (-1, 0, 0), (0, 1, 0)),
        ("feet-first-prone", "FFP", (1, 0, 0), (0, -1, 0)),
    ],
)
def test_how_the_patient_lies_turns_the_image(
    name: str, position: str, row: tuple[int, ...], column: tuple[int, ...]
) -> None:
    dataset = headers(name)[0]
    assert dataset.PatientPosition == position
    assert tuple(dataset.ImageOrientationPatient) == (*row, *column)


def test_non_square_pixels_name_the_distance_between_rows_first() -> None:
    dataset = headers("non-square-pixels")[0]
    assert (dataset.Rows, dataset.Columns) == (80, 56)
    assert [float(value) for value in dataset.PixelSpacing] == [3.0, 4.2]


@pytest.mark.parametrize("name", ["shuffled-numbers", "descending-numbers"])
def test_instance_numbers_do_not_follow_the_positions(name: str) -> None:
    numbers = [int(dataset.InstanceNumber) for dataset in headers(name)]
    assert sorted(numbers) == list(range(1, 31))
    assert numbers != sorted(numbers)


def test_four_dimensions_repeat_every_position_at_another_time() -> None:
    places = positions("four-dimensional")
    assert np.array_equal(places[:30], places[30:])
    assert [int(one.TemporalPositionIdentifier) for one in headers("four-dimensional")] == [1] * 30 + [2] * 30
    assert len({one.AcquisitionTime for one in headers("four-dimensional")}) == 2


@pytest.mark.parametrize(
    "name", ["signed-16", "signed-12", "rescale-varies", "overlay-bits", "monochrome1", "voi-lut", "big-endian"]
)
def test_hounsfield_units_are_the_same_however_they_are_stored(name: str) -> None:
    for plain, other in zip(headers("axial")[::7], headers(name)[::7], strict=True):
        stored = other.pixel_array & 0x0FFF if name == "overlay-bits" else other.pixel_array
        hu = stored * float(other.RescaleSlope) + float(other.RescaleIntercept)
        assert np.abs(hu - hounsfield(plain)).max() <= 1.01  # quantisation of either


def test_rescale_varies_from_slice_to_slice() -> None:
    rescales = {(float(one.RescaleSlope), float(one.RescaleIntercept)) for one in headers("rescale-varies")}
    assert len(rescales) > 10


@pytest.mark.parametrize(("name", "padding"), [("padding-signed", -2000), ("padding-unsigned", 63536)])
def test_padding_fills_what_lies_outside_the_circle(name: str, padding: int) -> None:
    dataset = headers(name)[15]
    assert dataset.PixelPaddingValue == padding
    assert dataset.pixel_array[0, 0] == padding
    assert (dataset.pixel_array == padding).mean() == pytest.approx(1 - np.pi / 4, abs=0.02)


def test_overlay_bits_lie_above_the_stored_bits() -> None:
    dataset = headers("overlay-bits")[0]
    raw = np.frombuffer(dataset.PixelData, dtype="<u2").reshape(dataset.Rows, dataset.Columns)
    assert dataset.BitsStored == 12
    assert (raw[32, 32] >> 12, raw[0, 0] >> 12) == (1, 0)


def test_overlay_bits_need_a_free_bit() -> None:
    with pytest.raises(ValueError, match="12 bits"):
        PixelForm(bits_stored=16, overlay=True)


@pytest.mark.parametrize(
    ("name", "charset", "encoding"),
    [
        ("axial", Charset.UTF_8, "utf-8"),
        ("charset-cyrillic", Charset.CYRILLIC, "iso8859-5"),
        ("charset-undeclared", Charset.UNDECLARED_CP1251, "cp1251"),
    ],
)
def test_the_name_is_written_in_the_bytes_of_its_character_set(name: str, charset: Charset, encoding: str) -> None:
    encoded = made(name).instances[0].encoded
    assert "Фантомов^Синтет^Тестович".encode(encoding) in encoded
    assert "Синтетическая процедура".encode(encoding) in encoded
    assert headers(name)[0].get("SpecificCharacterSet", "") == charset.value


def test_an_extended_character_set_escapes_to_cyrillic() -> None:
    dataset = headers("charset-cyrillic-extended")[0]
    assert list(dataset.SpecificCharacterSet) == ["", "ISO 2022 IR 144"]
    assert b"\x1b-L" + "Фантомов".encode("iso8859-5") in made("charset-cyrillic-extended").instances[0].encoded
    assert str(dataset.PatientName) == "Фантомов^Синтет^Тестович"


@pytest.mark.parametrize("name", ["odd-headers", "odd-headers-implicit"])
def test_odd_headers_hold_a_private_block_and_a_sequence_of_undefined_length(name: str) -> None:
    instance = made(name).instances[0]
    dataset = instance.read()
    assert dataset.private_block(0x0009, "UDC PHANTOM 1.0")[0x02].value == bytes(range(16))
    assert dataset["RequestAttributesSequence"].is_undefined_length
    assert b"\x40\x00\x75\x02" in instance.encoded


def test_a_routine_study_holds_what_must_not_be_analysed() -> None:
    study = made("routine")
    assert [one.role for one in study.series] == [
        "volume",
        "bone",
        "localizer",
        "mpr",
        "bolus-monitoring",
        "dose-sheet",
        "dose-report",
    ]
    types = {one.role: one.instances[0].read().get("ImageType") for one in study.series}
    assert list(types["localizer"]) == ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert list(types["mpr"]) == ["DERIVED", "SECONDARY", "MPR"]
    bolus = next(one for one in study.series if one.role == "bolus-monitoring")
    assert len({tuple(one.read().ImagePositionPatient) for one in bolus.instances}) == 1


def test_an_enhanced_file_holds_a_frame_for_every_plane() -> None:
    (dataset,) = headers("enhanced")
    frames = dataset.PerFrameFunctionalGroupsSequence
    assert dataset.NumberOfFrames == len(frames) == len(GEOMETRIES["axial"].planes)
    written = [tuple(frame.PlanePositionSequence[0].ImagePositionPatient) for frame in frames]
    assert written == [plane.position for plane in GEOMETRIES["axial"].planes]


@pytest.mark.parametrize("name", ["cr-monochrome1", "dx-monochrome1"])
def test_an_inverted_radiograph_shows_the_same_picture(name: str) -> None:
    (inverted,) = headers(name)
    (plain,) = headers(name.removesuffix("-monochrome1"))
    assert inverted.PhotometricInterpretation == "MONOCHROME1"
    assert np.abs(4095 - inverted.pixel_array.astype(int) - plain.pixel_array).max() <= 1


def test_healthy_variants_have_no_finding() -> None:
    for name in ("healthy", "cr-clear", "fluorography-clear"):
        assert made(name).truth.summary() == {"lesions": [], "opacities": []}


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(KeyError):
        variant("no such variant")


def test_every_geometry_is_a_variant() -> None:
    assert set(GEOMETRIES) <= set(VARIANTS)


def test_the_demonstration_lists_what_it_wrote(tmp_path: Path) -> None:
    manifest: Any = write_demo(tmp_path, size=SMALL)
    studies = {one["name"]: one for one in manifest["studies"]}
    for one in studies.values():
        files = [pydicom.dcmread(tmp_path / path, stop_before_pixels=True) for path in one["files"] + one["late"]]
        assert {str(dataset.StudyInstanceUID) for dataset in files} == {one["study_instance_uid"]}
        assert {dataset.PatientID for dataset in files} == {one["patient_id"]}
    listed = {path for one in studies.values() for path in one["files"] + one["late"]}
    assert listed == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.dcm")}
    assert {name: len(one["late"]) for name, one in studies.items() if one["late"]} == {"ct-late-slice": 1}
    assert [name for name, one in studies.items() if one["sends"] == 2] == ["ct-sent-twice"]
    assert [len(studies[name]["truth"]["lesions"]) for name in ("ct-two-bleeds", "ct-healthy", "ct-tilted")] == [
        2,
        0,
        1,
    ]
    assert [len(studies[name]["truth"]["opacities"]) for name in ("cr-opacity", "cr-clear")] == [1, 0]
    assert len({one["patient_id"] for one in studies.values()}) == len(studies)


def test_the_command_prints_the_manifest_it_saves(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "udcphantom", "--out", str(tmp_path), "--small"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"},
    )
    manifest = json.loads(done.stdout)
    assert manifest == json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    first = tmp_path / manifest["studies"][0]["files"][0]
    again: Any = write_demo(tmp_path / "again", size=SMALL)
    assert first.read_bytes() == (tmp_path / "again" / again["studies"][0]["files"][0]).read_bytes()
