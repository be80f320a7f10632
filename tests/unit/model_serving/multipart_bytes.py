"""Multipart answers as an archive would send them."""

from collections.abc import Callable, Iterable

BOUNDARY = b"udc-" + b"b" * 66
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY.decode()}'


def part(content: bytes, *, with_length: bool = True) -> bytes:
    length = b"Content-Length: %d\r\n" % len(content) if with_length else b""
    return b'Content-Type: application/dicom; transfer-syntax="1.2;3"\r\n' + length + b"\r\n" + content


def answer(contents: Iterable[bytes], *, with_length: bool = True) -> bytes:
    parts = b"".join(
        b"--" + BOUNDARY + b"\r\n" + part(content, with_length=with_length) + b"\r\n" for content in contents
    )
    return parts + b"--" + BOUNDARY + b"--\r\n"


class Bytes:
    """A source that gives its bytes in pieces of the sizes somebody chooses."""

    def __init__(self, content: bytes, next_size: Callable[[], int] = lambda: 1 << 30) -> None:
        self._content = content
        self._next_size = next_size
        self._at = 0
        self.largest_request = 0

    def readinto(self, buffer: memoryview, /) -> int:
        self.largest_request = max(self.largest_request, len(buffer))
        count = min(len(buffer), self._next_size(), len(self._content) - self._at)
        buffer[:count] = self._content[self._at : self._at + count]
        self._at += count
        return count
