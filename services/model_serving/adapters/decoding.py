"""Pixels of whatever is not plain little-endian: decoded by libraries, off the reading thread where that pays."""

import io
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import imagecodecs
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.utils import get_expected_length, pixel_array
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from model_serving.adapters.codestreams import DECLARED
from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.pixels import PixelDescription
from udcmodel.vocabulary import ErrorCategory

_FILE_META: Final = 0x0002

Decoder = Callable[[bytes], NDArray[Any]]
Deliver = Callable[[NDArray[Any]], None]

IN_THREADS: Final[Mapping[str, Decoder]] = MappingProxyType(
    {
        JPEG2000Lossless: imagecodecs.jpeg2k_decode,
        JPEG2000: imagecodecs.jpeg2k_decode,
        JPEGLSLossless: imagecodecs.jpegls_decode,
        JPEGLSNearLossless: imagecodecs.jpegls_decode,
    }
)
"""Decoders worth a thread, by transfer syntax: others hold the interpreter's lock or are faster than handing over."""

Matrix = tuple[int, int]
"""Rows and columns."""

MOST_FRAMES: Final = 1 << 16
"""Of one image: beyond the longest series in use, far below what a number that lies can ask for."""


def read(content: bytes | bytearray, *, longest: int) -> Dataset:
    """Return the DICOM file ``content``.

    Args:
        content: The file.
        longest: No file is longer when its deflated data set (PS3.5 A.5) is inflated, in bytes.

    Raises:
        RunFailedError: it is none, or longer.
    """
    file = io.BytesIO(content)
    try:
        _refuse_if_it_swells(file, longest)
        file.seek(0)
        return pydicom.dcmread(file)
    except RunFailedError:
        raise
    except Exception as error:  # pydicom raises whatever the broken byte led to
        raise RunFailedError(Reason.PIXELS_UNREADABLE, "an image of the series is no readable DICOM file") from error


def _refuse_if_it_swells(file: io.BytesIO, longest: int) -> None:
    """Inflate no more than is allowed; pydicom would inflate whatever there is."""
    read_preamble(file, force=False)
    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != _FILE_META
    )
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), longest + 1)
    if len(inflated) > longest:
        raise RunFailedError(
            Reason.INPUT_TOO_LARGE,
            f"a deflated image of the series is longer than {longest} bytes when it is inflated",
            category=ErrorCategory.IMAGES,
        )


def frame_count(dataset: Dataset) -> int:
    """Return how many frames an image has (0028,0008), before anything is done for each of them.

    Raises:
        RunFailedError: it is no such number, or another one than there are functional groups (PS3.3 C.7.6.16).
    """
    try:
        count = int(dataset.get("NumberOfFrames") or 1)
    except (ValueError, TypeError, OverflowError) as error:
        raise RunFailedError(
            Reason.INPUT_UNSUITABLE, "the number of frames of an image cannot be read", category=ErrorCategory.TAG
        ) from error
    if not 1 <= count <= MOST_FRAMES:
        raise RunFailedError(
            Reason.INPUT_TOO_LARGE,
            f"an image says that it has {count} frames; at most {MOST_FRAMES} are read",
            category=ErrorCategory.TAG,
        )
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if groups is not None and len(groups) != count:
        raise RunFailedError(
            Reason.INPUT_UNSUITABLE,
            f"an image says that it has {count} frames and describes {len(groups)}",
            category=ErrorCategory.TAG,
        )
    return count


def of_frame(dataset: Dataset, index: int) -> Dataset:
    """Return the header of one frame, with its functional groups laid over it (PS3.3 C.7.6.16).

    Args:
        dataset: A single-frame, multi-frame or enhanced multi-frame image.
        index: From 0.
    """
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return dataset
    header = Dataset()
    apart = {"PixelData", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"}
    header.update({element.tag: element for element in dataset if element.keyword not in apart})
    for groups in (
        dataset.get("SharedFunctionalGroupsSequence"),
        dataset.PerFrameFunctionalGroupsSequence[index : index + 1],
    ):
        for macro in groups[0] if groups else ():
            if macro.VR == "SQ" and len(macro.value) == 1:
                header.update(macro.value[0])
    return header


class Decoding:
    """The decoding of one transfer: what is handed over to other threads, and not more of it than is allowed.

    Args:
        pool: Threads for decoders that release the interpreter's lock.
        longest_queue: Compressed bytes that wait or are being decoded, at most; one frame is always let in.
        matrix: Of every frame; one that says otherwise is not decoded.
    """

    def __init__(self, pool: ThreadPoolExecutor, *, longest_queue: int, matrix: Matrix) -> None:
        self._pool = pool
        self._matrix = matrix
        self._limit = longest_queue
        self._queued = 0
        self._change = threading.Condition()
        self._failure: BaseException | None = None
        self._is_abandoned = False

    def frames(self, dataset: Dataset, wanted: list[tuple[int, Deliver]]) -> None:
        """Decode frames of ``dataset`` and hand each to its receiver, now or before ``finish`` returns.

        Args:
            dataset: With its pixels.
            wanted: Index of a frame, from 0, and who receives its stored values, shape ``(rows, columns)``.

        Raises:
            RunFailedError: a frame cannot be decoded.
        """
        if not wanted:
            return
        syntax = dataset.file_meta.TransferSyntaxUID
        decode = IN_THREADS.get(syntax)
        count = frame_count(dataset)
        with _unreadable():
            if decode is None:
                self._refuse_other_matrix((int(dataset.Rows), int(dataset.Columns)))
                _check_length(dataset)
                for index, deliver in wanted:
                    if syntax in DECLARED:
                        self._refuse_other_size(syntax, get_frame(dataset.PixelData, index, number_of_frames=count))
                    pixels = pixel_array(dataset, index=index, raw=True)
                    deliver(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))
                return
            receivers = dict(wanted)
            bits = int(dataset.BitsStored)
            cell = _cell(int(dataset.BitsAllocated), is_signed=bool(dataset.PixelRepresentation))
            for index, codestream in enumerate(generate_frames(dataset.PixelData, number_of_frames=count)):
                if index in receivers:
                    self._refuse_other_size(syntax, codestream)
                    self._hand_over(decode, codestream, bits, cell, receivers[index])

    def frame(self, transfer_syntax: str, codestream: bytes, description: PixelDescription, deliver: Deliver) -> None:
        """Decode one frame in a thread and hand it to its receiver before ``finish`` returns.

        Args:
            transfer_syntax: One of ``IN_THREADS``.
            codestream: Of this frame alone.
            description: From the header of this frame.
            deliver: Receives its stored values, shape ``(rows, columns)``.

        Raises:
            RunFailedError: a frame before it cannot be decoded.
        """
        with _unreadable():
            cell = _cell(description.bits_allocated, is_signed=description.is_signed)
            self._refuse_other_size(transfer_syntax, codestream)
            self._hand_over(IN_THREADS[transfer_syntax], codestream, description.bits_stored, cell, deliver)

    def abandon(self) -> None:
        """Decode nothing that is not begun yet: nobody will look at it."""
        self._is_abandoned = True

    def settle(self) -> None:
        """Wait until no thread decodes or delivers any more."""
        with self._change:
            self._change.wait_for(lambda: self._queued == 0)

    def finish(self) -> None:
        """Wait until everything handed over is delivered.

        Raises:
            RunFailedError: a frame cannot be decoded.
        """
        self.settle()
        self._raise_failure()

    def _refuse_other_size(self, transfer_syntax: str, codestream: bytes) -> None:
        """Refuse what would become other pixels than the stack has: a few bytes can say that they are gigabytes."""
        rows, columns, samples = DECLARED[transfer_syntax](codestream)
        self._refuse_other_matrix((rows, columns))
        if samples != 1:
            raise RunFailedError(Reason.FRAME_CHANGED, f"compressed pixels of an image have {samples} samples, not one")

    def _refuse_other_matrix(self, matrix: Matrix) -> None:
        if matrix != self._matrix:
            raise RunFailedError(
                Reason.FRAME_CHANGED,
                "the pixels of an image are {} x {}, not the {} x {} of the stack".format(*matrix, *self._matrix),
            )

    def _hand_over(
        self,
        decode: Decoder,
        codestream: bytes,
        bits: int,
        cell: np.dtype[Any],
        deliver: Deliver,
    ) -> None:
        size = len(codestream)

        def work() -> None:
            if not self._is_abandoned:
                deliver(_as_stored(decode(codestream), bits=bits, cell=cell))

        with self._change:
            self._change.wait_for(lambda: self._queued == 0 or self._queued + size <= self._limit)
            self._raise_failure()
            # Counted and handed over in one: whatever is counted must end, or the end is waited for for ever.
            task = self._pool.submit(work)
            self._queued += size
        task.add_done_callback(lambda done: self._done(done, size))

    def _done(self, task: "Future[None]", size: int) -> None:
        with self._change:
            self._queued -= size
            self._failure = self._failure or task.exception()
            self._change.notify_all()

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is not None:
            with _unreadable():
                raise failure


def _check_length(dataset: Dataset) -> None:
    """Refuse uncompressed pixels of another length than the header describes (PS3.5 8.1.1).

    What is longer would be decoded without complaint: 16 bits that a header calls 8 look like twice as many pixels.
    """
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    described = get_expected_length(dataset)
    length = len(dataset.get("PixelData") or b"")
    if length not in {described, described + described % 2}:
        raise RunFailedError(
            Reason.PIXELS_UNREADABLE, f"an image has {length} bytes of pixels; its header describes {described}"
        )


def _cell(bits_allocated: int, *, is_signed: bool) -> np.dtype[Any]:
    return np.dtype(f"{'i' if is_signed else 'u'}{bits_allocated // 8}")


def _as_stored(decoded: NDArray[Any], *, bits: int, cell: np.dtype[Any]) -> NDArray[Any]:
    """Lay decoded values into cells as an uncompressed file has them, with the sign that the header declares."""
    if decoded.dtype.itemsize > cell.itemsize:
        raise RunFailedError(
            Reason.PIXELS_UNREADABLE,
            f"compressed pixels of an image take {8 * decoded.dtype.itemsize} bits; its header allocates "
            f"{8 * cell.itemsize}",
        )
    if decoded.dtype == cell:
        return decoded
    wide = decoded.astype(np.int32)
    if cell.kind == "i" and decoded.dtype.kind == "u":
        half = 1 << (bits - 1)
        wide = ((wide & ((1 << bits) - 1)) ^ half) - half
    elif cell.kind == "u" and decoded.dtype.kind == "i":
        wide &= (1 << bits) - 1
    return wide.astype(cell)


@contextmanager
def _unreadable() -> Iterator[None]:
    try:
        yield
    except RunFailedError:
        raise
    except Exception as error:  # every decoder has exceptions of its own
        raise RunFailedError(
            Reason.PIXELS_UNREADABLE, f"the pixels of an image cannot be decoded ({type(error).__name__})"
        ) from error
