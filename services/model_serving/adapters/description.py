"""What a DICOM header says about its pixels, as the processing library wants it."""

import math
from typing import Any, Final, cast

import numpy as np
from pydicom import Dataset

from model_serving.domain.failure import Reason, RunFailedError
from model_serving.domain.pixels import PixelDescription
from model_serving.domain.presentation import LookupTable, Window, WindowFunction
from udcmodel.vocabulary import ErrorCategory

_FUNCTIONS: Final = frozenset({"LINEAR", "LINEAR_EXACT", "SIGMOID"})


def describe(header: Dataset) -> PixelDescription:
    """Read the description of one frame.

    Args:
        header: Of that frame; of an enhanced image with its functional groups laid over it.

    Raises:
        RunFailedError: an attribute has a value that it cannot have.
    """
    try:
        return _describe(header)
    except (ValueError, TypeError, OverflowError, NotImplementedError, IndexError, AttributeError) as error:
        raise RunFailedError(
            Reason.INPUT_UNSUITABLE, "the description of the pixels cannot be read", category=ErrorCategory.TAG
        ) from error


def _describe(header: Dataset) -> PixelDescription:
    modality_lut = _first(header.get("ModalityLUTSequence"))
    voi_lut = _first(header.get("VOILUTSequence"))
    is_signed = int(header.get("PixelRepresentation") or 0) == 1
    return PixelDescription(
        modality=str(header.get("Modality") or ""),
        photometric=str(header.get("PhotometricInterpretation") or ""),
        samples_per_pixel=int(header.get("SamplesPerPixel") or 1),
        bits_allocated=int(header.get("BitsAllocated") or 0),
        bits_stored=int(header.get("BitsStored") or 0),
        high_bit=int(header.get("HighBit") or 0),
        is_signed=is_signed,
        padding=_padding(header, is_signed=is_signed),
        slope=_number(header, "RescaleSlope"),
        intercept=_number(header, "RescaleIntercept"),
        rescale_type=str((modality_lut.get("ModalityLUTType") if modality_lut else header.get("RescaleType")) or ""),
        modality_lut=_table(modality_lut),
        window=_window(header),
        voi_lut=_table(voi_lut),
        presentation_shape=str(header.get("PresentationLUTShape") or ""),
    )


def _first(items: Any) -> Dataset | None:
    return items[0] if items else None


def _number(header: Dataset, keyword: str) -> float | None:
    value = header.get(keyword)
    return None if value is None or value == "" else float(value)


def _padding(header: Dataset, *, is_signed: bool) -> tuple[int, int] | None:
    value = _stored(header.get("PixelPaddingValue"), is_signed=is_signed)
    if value is None:
        return None
    limit = _stored(header.get("PixelPaddingRangeLimit"), is_signed=is_signed)
    other = value if limit is None else limit
    return min(value, other), max(value, other)


def _stored(value: Any, *, is_signed: bool) -> int | None:
    """Return a value whose VR, US or SS, depends on the pixels' sign; in the file of some senders it does not."""
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        return int.from_bytes(value[:2], "little", signed=is_signed)
    number = int(value)
    if is_signed and number > 0x7FFF:
        return number - 0x10000
    return number + 0x10000 if not is_signed and number < 0 else number


def _window(header: Dataset) -> Window | None:
    centre, width = (_first_number(header.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(header.get("VOILUTFunction") or "LINEAR").strip()
    if centre is None or width is None or function not in _FUNCTIONS:
        return None
    if not (math.isfinite(centre) and math.isfinite(width)) or width < (1.0 if function == "LINEAR" else 1e-6):
        return None
    return Window(centre, width, cast("WindowFunction", function))


def _first_number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value if isinstance(value, str | int | float) else value[0])


def _table(item: Dataset | None) -> LookupTable | None:
    if item is None:
        return None
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    entries = item.LUTData
    if isinstance(entries, bytes):
        entries = np.frombuffer(entries, "<u2")
    # 0 stands for 65,536 entries (PS3.3 C.11.1.1.1).
    return LookupTable(first, np.asarray(entries, np.int64).astype(np.uint16)[: count or 65_536], bits)
