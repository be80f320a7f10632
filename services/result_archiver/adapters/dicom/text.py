"""Text of sources, decoded strictly: what does not decode is never guessed at."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS, PersonName

_TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations that Specific Character Set (0008,0005) applies to (PS3.5 6.1.2.3)."""

_WITH_BACKSLASHES: Final = frozenset({"LT", "ST", "UT"})
"""Those that have one value, in which a backslash means itself."""

_DEFAULT_REPERTOIRE: Final = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_ESCAPE: Final = b"\x1b"
_REPLACED: Final = "�"


class UndecodableError(ValueError):
    """Bytes are not text in the declared character set."""


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A dataset whose text is ``str`` throughout, and the keywords of what had to be left out."""

    dataset: Dataset
    undecodable: tuple[str, ...]


def decoded(source: Dataset, keywords: Iterable[str]) -> DecodedText:
    """Copy attributes of a file, nested ones included, with all text decoded.

    Args:
        source: As read from a file; shares nothing with the result.
        keywords: Attributes to copy, where present.

    Returns:
        A dataset without Specific Character Set. Attributes with undecodable text, at any depth, are left out, and
        named.
    """
    target = Dataset()
    failed: list[str] = []
    charsets = _charsets_of(source)
    for keyword in keywords:
        if keyword not in source:
            continue
        try:
            _copy(source, keyword, target, charsets)
        except UndecodableError:
            failed.append(keyword)
    return DecodedText(target, tuple(failed))


def _copy(source: Dataset, keyword: str | BaseTag, target: Dataset, charsets: Sequence[str]) -> None:
    raw = source.get_item(keyword)
    if raw is None:
        return
    vr = raw.VR or dictionary_VR(raw.tag)
    if isinstance(raw, RawDataElement) and vr in _TEXT_VRS:
        values = _texts(raw.value or b"", vr, charsets)
        target.add_new(raw.tag, vr, values[0] if len(values) == 1 else values)
        return
    element = source[keyword]
    if element.VR != "SQ":
        target.add(copy.deepcopy(element))
        return
    items = []
    for item in element.value:
        copied = Dataset()
        for tag in item.keys():  # noqa: SIM118 iterating a dataset converts its elements, which would decode them
            _copy(item, tag, copied, _charsets_of(item) or charsets)
        items.append(copied)
    target.add_new(element.tag, "SQ", items)


def _charsets_of(dataset: Dataset) -> tuple[str, ...]:
    declared = dataset.get("SpecificCharacterSet")
    if declared is None:
        return ()
    return (declared,) if isinstance(declared, str) else tuple(declared)


def _texts(content: bytes, vr: str, charsets: Sequence[str]) -> list[str | PersonName]:
    parts = [content] if vr in _WITH_BACKSLASHES else content.split(b"\\")
    texts = [_text(part, vr, charsets) for part in parts]
    return [PersonName(text) for text in texts] if vr == "PN" else list(texts)


def _text(content: bytes, vr: str, charsets: Sequence[str]) -> str:
    stripped = content.rstrip(b"\0 ")
    first = charsets[0] if charsets else ""
    if _ESCAPE not in stripped and first in _DEFAULT_REPERTOIRE:
        try:
            return stripped.decode("ascii")
        except UnicodeDecodeError as error:
            raise UndecodableError("text outside of the default repertoire without a declared set") from error
    unknown = [charset for charset in charsets if charset not in python_encoding]
    if unknown:
        raise UndecodableError(f"character set {unknown[0]!r} is not defined")
    encodings = convert_encodings(list(charsets) or [""])
    if _ESCAPE not in stripped:
        try:
            return stripped.decode(encodings[0])
        except UnicodeDecodeError as error:
            raise UndecodableError(f"text is not in {first}") from error
    text = decode_bytes(stripped, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    if _REPLACED in text:
        raise UndecodableError(f"text is not in {first} with code extensions")
    return text
