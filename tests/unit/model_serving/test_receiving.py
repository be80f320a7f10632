"""One stack out of the parts of an answer: whatever way an image takes, the same pixels come to the same place."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from integration.model_serving.world import stack_of
from model_serving.adapters.decoding import Decoding
from model_serving.adapters.multipart import Parts
from model_serving.adapters.receiving import StackReceiver
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.pixels import PixelDescription, stored_values
from udcmodel.stack import StackDescriptor
from udcphantom.ct import render_ct
from udcphantom.encoding import encode
from udcphantom.geometry import evenly, scan
from udcphantom.heads import head
from udcphantom.pixels import PixelForm
from unit.model_serving.multipart_bytes import BOUNDARY, Bytes, answer

GEOMETRY = scan(evenly(3, spacing=5.0), rows=48, columns=40)
FORMS = {"12 bits": PixelForm(), "16 bits signed": PixelForm(bits_stored=16, signed=True, intercept=0.0)}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Received:
    """What came, by slot, and why it did not go straight to its place."""

    def __init__(self) -> None:
        self.stored: dict[int, NDArray[Any]] = {}
        self.fallbacks: list[str] = []

    def place(self, slot: int, raw: NDArray[Any], description: PixelDescription) -> None:
        self.stored[slot] = stored_values(raw, description).copy()


def receive(pool: ThreadPoolExecutor, stack: StackDescriptor, body: bytes) -> Received:
    received = Received()
    receiver = StackReceiver(
        stack,
        place=received.place,
        decoding=Decoding(pool, longest_queue=1 << 20, matrix=(stack.frames[0].rows, stack.frames[0].columns)),
        count_fallback=received.fallbacks.append,
    )
    receiver.receive(Parts(Bytes(body), BOUNDARY, longest_part=1 << 20))
    return received


def a_stack(form: PixelForm = FORMS["12 bits"]) -> tuple[StackDescriptor, list[Dataset]]:
    study = render_ct(head(), GEOMETRY, pixels=form)
    return stack_of(study, study.series[0]), [instance.read() for instance in study.instances]


def encoded(datasets: list[Dataset], transfer_syntax: str = ExplicitVRLittleEndian) -> list[bytes]:
    for dataset in datasets:
        del dataset.file_meta
    return [encode(dataset, transfer_syntax).encoded for dataset in datasets]


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize(
    "transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless]
)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_pixels_are_those_of_the_files(
    pool: ThreadPoolExecutor, form: PixelForm, transfer_syntax: str, *, with_length: bool
) -> None:
    stack, datasets = a_stack(form)
    slots = {frame.sop_instance_uid: slot for slot, frame in enumerate(stack.frames)}
    truth = {slots[dataset.SOPInstanceUID]: dataset.pixel_array for dataset in datasets}

    received = receive(pool, stack, answer(encoded(datasets, transfer_syntax), with_length=with_length))

    assert sorted(received.stored) == [0, 1, 2]
    for slot, stored in received.stored.items():
        np.testing.assert_array_equal(stored, truth[slot])


def a_window_table(dataset: Dataset) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [2, 0, 16])
    table.add_new("LUTData", "OW", b"\0\0\1\0")
    dataset.VOILUTSequence = [table]
    dataset["VOILUTSequence"].is_undefined_length = True


def a_place_in_functional_groups(dataset: Dataset) -> None:
    position, groups = Dataset(), Dataset()
    position.ImagePositionPatient = dataset.ImagePositionPatient
    groups.PlanePositionSequence = [position]
    dataset.PerFrameFunctionalGroupsSequence = [groups]
    del dataset.ImagePositionPatient


@pytest.mark.parametrize(
    ("change", "why"), [(a_window_table, "voi-lut"), (a_place_in_functional_groups, "functional-groups")]
)
@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_what_stands_in_a_sequence_is_not_overlooked(
    pool: ThreadPoolExecutor, transfer_syntax: str, change: Callable[[Dataset], None], why: str
) -> None:
    stack, datasets = a_stack()
    for dataset in datasets:
        change(dataset)

    received = receive(pool, stack, answer(encoded(datasets, transfer_syntax)))

    assert sorted(received.stored) == [0, 1, 2]
    assert set(received.fallbacks) == {why if transfer_syntax == ExplicitVRLittleEndian else "JPEG2000Lossless"}


def test_an_image_that_says_it_has_millions_of_frames_is_refused_at_once(pool: ThreadPoolExecutor) -> None:
    stack, datasets = a_stack()
    datasets[1].NumberOfFrames = 2**31 - 1
    with pytest.raises(RunFailedError, match="says that it has 2147483647 frames"):
        receive(pool, stack, answer(encoded(datasets)))


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, JPEG2000Lossless])
def test_a_position_that_is_no_number_is_named(pool: ThreadPoolExecutor, transfer_syntax: str) -> None:
    stack, datasets = a_stack()
    files = encoded(datasets, transfer_syntax)
    position = "\\".join(map(str, datasets[1].ImagePositionPatient)).encode()
    assert files[1].count(position) == 1
    files[1] = files[1].replace(position, b"?" * len(position))

    with pytest.raises(RunFailedError) as failure:
        receive(pool, stack, answer(files))
    assert failure.value.reason is Reason.INPUT_UNSUITABLE
