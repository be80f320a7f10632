"""What comes back from the archive is the object that was sent, up to a written list of differences."""

import io
from collections.abc import Callable

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from result_archiver.adapters.dicom.comparison import difference
from result_archiver.domain.coercions import COERCIONS
from udcphantom.ct import render_ct
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head

SENT = render_ct(head(), scan(evenly(1, spacing=5.0), rows=16, columns=16)).instances[0].encoded


def held(change: Callable[[Dataset], object]) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(SENT))
    change(dataset)
    target = io.BytesIO()
    pydicom.dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()


def annotate(dataset: Dataset) -> None:
    dataset.private_block(0x0011, "ARCHIVE", create=True).add_new(1, "LO", "note")


def recode(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


ALLOWED: dict[str, Callable[[Dataset], object]] = {
    "other writer of the file": lambda ds: setattr(ds.file_meta, "ImplementationVersionName", "ARCHIVE_9"),
    "where it can be retrieved": lambda ds: setattr(ds, "RetrieveAETitle", "ARCHIVE"),
    "availability": lambda ds: setattr(ds, "InstanceAvailability", "ONLINE"),
    "private note": annotate,
    "other uncompressed syntax": recode,
    "padding": lambda ds: ds.add_new(0xFFFCFFFC, "OB", b"\0\0"),
}

DIFFERENT: dict[str, Callable[[Dataset], object]] = {
    "another patient": lambda ds: setattr(ds, "PatientID", "OTHER"),
    "a corrected name": lambda ds: setattr(ds, "PatientName", "Другой"),
    "another time": lambda ds: setattr(ds, "ContentTime", "000000"),
    "other pixels": lambda ds: setattr(ds, "PixelData", ds.PixelData[:-2] + b"\1\1"),
    "a lost attribute": lambda ds: ds.__delattr__("SliceThickness"),
    "an added attribute": lambda ds: setattr(ds, "ImageComments", "x"),
    "another instance": lambda ds: setattr(ds, "SOPInstanceUID", "1.2.3"),
}


def test_the_same_bytes_are_the_same_object() -> None:
    assert difference(SENT, SENT) is None


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_what_is_the_archives_to_change_does_not_count(name: str) -> None:
    assert difference(SENT, held(ALLOWED[name])) is None


@pytest.mark.parametrize("name", sorted(DIFFERENT))
def test_any_other_difference_counts(name: str) -> None:
    assert difference(SENT, held(DIFFERENT[name])) is not None


def test_a_difference_names_tags_and_never_values() -> None:
    said = difference(SENT, held(lambda ds: setattr(ds, "PatientID", "SECRET-7")))
    assert said is not None
    assert "(0010,0020)" in said
    assert "SECRET-7" not in said


def test_an_answer_that_is_no_dicom_file_is_a_difference() -> None:
    assert difference(SENT, b"<html>") is not None


def test_every_allowed_difference_has_a_reason() -> None:
    assert all(len(row.reason) > 20 and row.changes for row in COERCIONS)
