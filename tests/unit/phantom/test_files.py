"""Files are valid, reproducible and read back as they were written."""

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from oracle.validators import Allowed, dcentvfy, dciodvfy
from udcphantom import TRANSFER_SYNTAXES, VARIANTS, PixelForm, Study, evenly, head, render_ct, scan, variant

OVERLAY_IN_PIXELS = Allowed(
    r"\(6000,0100\)|\(6000,0102\)|\(6000,3000\)",
    "PS3.5-2004 8.1.2 and PS3.3-2004 C.9.2: overlay bits inside Pixel Data, retired since, still in archives",
)
UNDECLARED_TEXT = Allowed(
    r"Character invalid for character repertoire .* = '' \(0x",
    "none: PS3.5 6.1.2.3 forbids it, and senders that do it are the reason for this variant",
)
ALLOWED = {"overlay-bits": [OVERLAY_IN_PIXELS], "charset-undeclared": [UNDECLARED_TEXT]}

FEW = ("routine", "enhanced", "cr", "charset-undeclared", "jpeg-2000", "shuffled-numbers", "odd-headers")


@cache
def made(name: str) -> Study:
    return variant(name)


def inflated(path: Path) -> None:
    """Rewrite a deflated file: the validator cannot inflate."""
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_every_variant_is_valid(name: str, tmp_path: Path) -> None:
    study = made(name)
    paths = study.write(tmp_path)
    one_per_series = {path.parent: path for path in paths}
    for path in one_per_series.values():
        if name == "deflated":
            inflated(path)
        assert dciodvfy(path, allowed=ALLOWED.get(name, [])) == []


@pytest.mark.parametrize("name", ["routine", "charset-cyrillic-extended", "enhanced"])
def test_the_files_of_a_study_agree_with_each_other(name: str, tmp_path: Path) -> None:
    paths = made(name).write(tmp_path)
    one_per_series = {path.parent: path for path in paths}
    assert dcentvfy([*dict.fromkeys([*paths[:3], *one_per_series.values()])]) == []


def digest(name: str, seed: int) -> str:
    return hashlib.sha256(b"".join(one.encoded for one in variant(name, seed=seed).instances)).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib, sys; from udcphantom import variant\n"
        "for name in sys.argv[1:]:\n"
        "    files = b''.join(one.encoded for one in variant(name, seed=7).instances)\n"
        "    print(hashlib.sha256(files).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program, *FEW], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [digest(name, 7) for name in FEW]


@pytest.mark.parametrize("name", FEW)
def test_another_seed_gives_other_identifiers_and_other_noise(name: str) -> None:
    first, second = variant(name, seed=1), variant(name, seed=2)
    assert first.uid != second.uid
    assert not {one.sop_instance_uid for one in first.instances} & {one.sop_instance_uid for one in second.instances}
    assert first.instances[0].read().PixelData != second.instances[0].read().PixelData


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_identifiers_are_unique_and_under_the_uuid_root(name: str) -> None:
    study = made(name)
    uids = [one.sop_instance_uid for one in study.instances]
    assert len(set(uids)) == len(uids)
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    assert {str(dataset.StudyInstanceUID) for dataset in study.datasets()} == {study.uid}
    assert {str(dataset.SeriesInstanceUID) for dataset in study.datasets()} == {one.uid for one in study.series}


@pytest.mark.parametrize("name", FEW)
def test_written_files_read_back_equal(name: str, tmp_path: Path) -> None:
    study = made(name)
    paths = study.write(tmp_path)
    assert len(paths) == len(study.instances)
    for path, instance in zip(paths, study.instances, strict=True):
        dataset = pydicom.dcmread(path)
        assert dataset == instance.read()
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == instance.sop_instance_uid


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
@pytest.mark.parametrize(
    "pixels",
    [PixelForm(), PixelForm(bits_stored=16, signed=True, intercept=0.0)],
    ids=["unsigned-12", "signed-16"],
)
def test_every_transfer_syntax_keeps_every_pixel(transfer_syntax: str, pixels: PixelForm) -> None:
    geometry = scan(evenly(2, spacing=10.0), rows=45, columns=51)
    plain = render_ct(head(), geometry, pixels=pixels)
    coded = render_ct(head(), geometry, pixels=pixels, transfer_syntax=transfer_syntax)
    for before, after in zip(plain.datasets(), coded.datasets(), strict=True):
        assert after.file_meta.TransferSyntaxUID == transfer_syntax
        assert np.array_equal(before.pixel_array, after.pixel_array)


def test_an_unknown_transfer_syntax_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.2\.840\.10008\.1\.2\.4\.50"):
        render_ct(head(), scan(evenly(2, spacing=10.0)), transfer_syntax="1.2.840.10008.1.2.4.50")
