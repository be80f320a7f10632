"""What compressed pixels say about their size, read without decoding them."""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from openjpeg.utils import get_parameters
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

_STARTS_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


def _of_jpeg2000(codestream: bytes) -> tuple[int, int, int]:
    declared = get_parameters(codestream)
    return int(declared["rows"]), int(declared["columns"]), int(declared["samples_per_pixel"])


def _of_jpeg(codestream: bytes) -> tuple[int, int, int]:
    """Read the start of frame (ISO 10918-1 B.2.2, ISO 14495-1 C.2.2); libjpeg would go through all pixels for it."""
    at = 2
    while codestream[at + 1] not in _STARTS_OF_FRAME:
        at += 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
    rows, columns, samples = struct.unpack_from(">HHB", codestream, at + 5)
    return rows, columns, samples


DECLARED: Final[Mapping[str, Callable[[bytes], tuple[int, int, int]]]] = MappingProxyType(
    dict.fromkeys(map(str, JPEG2000TransferSyntaxes), _of_jpeg2000)
    | dict.fromkeys(map(str, (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes)), _of_jpeg)
)
"""Rows, columns and samples that a code stream says it has, read without decoding it, by transfer syntax."""
