"""A pull reader of ``multipart/related`` (RFC 2046, RFC 2387) that puts bodies where the caller wants them.

An archive closes the connection at the end of a series instead of saying how long it is, so a cut connection looks like
the end. Only the closing delimiter proves that the answer is complete.
"""

from collections.abc import Mapping
from email.message import Message
from types import MappingProxyType
from typing import Final, Protocol

CRLF: Final = b"\r\n"
_LONGEST_HEADER: Final = 16 * 1024
_READ_AHEAD: Final = 16 * 1024
"""Enough for a part's header and the DICOM header behind it; what lies beyond is received where it belongs."""


class Source(Protocol):
    """Where bytes come from, such as ``http.client.HTTPResponse``."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Receive at most ``len(buffer)`` bytes and return how many; 0 at the end."""


class TruncatedError(Exception):
    """The answer ended before its closing delimiter."""


class MalformedError(Exception):
    """The bytes are not the multipart message that was announced."""


class TooLongError(Exception):
    """A part is longer than its reader allows."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names.

    Raises:
        MalformedError: it is not ``multipart/related``, or names no boundary of 1 to 70 characters.
    """
    # A real header parser: parameters may hold a quoted semicolon.
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary("")
    if header.get_content_type() != "multipart/related" or not 1 <= len(boundary) <= 70:
        raise MalformedError("the archive did not answer with multipart/related")
    return boundary.encode("ascii", errors="replace")


class Parts:
    """The parts of one answer, in order.

    Args:
        source: The body.
        boundary: As ``boundary_of`` returns it.
        longest_part: No part is longer, in bytes.
    """

    def __init__(self, source: Source, boundary: bytes, *, longest_part: int) -> None:
        self.longest_part = longest_part
        self._source = source
        self._delimiter = CRLF + b"--" + boundary
        self._buffer = bytearray(max(_READ_AHEAD, 2 * len(self._delimiter)))
        # The first delimiter may start the body, without the line break that belongs to every other one.
        self._buffer[:2] = CRLF
        self._begin, self._end = 0, 2
        self._part: Part | None = None
        self._ended = False

    def next(self) -> "Part | None":
        """Skip what is left of the part before and return the next one; None after the closing delimiter.

        Raises:
            TruncatedError: the answer ended.
            MalformedError: a delimiter or a header is not where it must be.
            TooLongError: the part says that it is longer than any may be.
        """
        if self._ended:
            return None
        if self._part is None:
            self._skip_preamble()
        else:
            self._part.skip()
            self._expect(self._delimiter)
        if self._peek(2) == b"--":
            self._ended = True
            return None
        self._take_through(CRLF)  # transport padding
        headers = self._headers()
        self._part = Part(self, headers)
        return self._part

    # What a part asks of its answer.

    def readinto(self, view: memoryview) -> int:
        """Fill the start of ``view`` from what is buffered, else from the source; return how many bytes, at least 1."""
        if self._begin == self._end:
            if len(view) >= len(self._buffer):
                count = self._source.readinto(view)
                if count == 0:
                    raise TruncatedError
                return count
            self._fill(1)
        count = min(len(view), self._end - self._begin)
        view[:count] = memoryview(self._buffer)[self._begin : self._begin + count]
        self._begin += count
        return count

    def until_delimiter(self) -> bytearray:
        """Return everything before the next delimiter, which stays unread."""
        found = bytearray()
        while True:
            position = self._buffer.find(self._delimiter, self._begin, self._end)
            # The start of a delimiter may be at the end of the buffer: keep that much back.
            safe = position if position >= 0 else max(self._begin, self._end - len(self._delimiter) + 1)
            found += memoryview(self._buffer)[self._begin : safe]
            self._begin = safe
            if len(found) > self.longest_part:
                raise TooLongError
            if position >= 0:
                return found
            self._fill(self._end - self._begin + 1)

    def _skip_preamble(self) -> None:
        self.until_delimiter()
        self._expect(self._delimiter)

    def _expect(self, wanted: bytes) -> None:
        if self._peek(len(wanted)) != wanted:
            raise MalformedError("a part of the archive's answer does not end where it says")
        self._begin += len(wanted)

    def _peek(self, count: int) -> bytes:
        self._fill(count)
        return bytes(self._buffer[self._begin : self._begin + count])

    def _take_through(self, mark: bytes) -> bytes:
        while True:
            position = self._buffer.find(mark, self._begin, self._end)
            if position >= 0:
                taken = bytes(self._buffer[self._begin : position])
                self._begin = position + len(mark)
                return taken
            if self._end - self._begin >= _LONGEST_HEADER:
                raise MalformedError("a header of the archive's answer is too long")
            self._fill(self._end - self._begin + 1)

    def _headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        while line := self._take_through(CRLF):
            name, colon, value = line.partition(b":")
            if not colon or len(headers) > 64:
                raise MalformedError("a part of the archive's answer has a malformed header")
            headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
        return MappingProxyType(headers)

    def _fill(self, wanted: int) -> None:
        """Have at least ``wanted`` bytes in the buffer."""
        missing = wanted - (self._end - self._begin)
        if missing <= 0:
            return
        if self._begin + wanted > len(self._buffer) or self._begin == self._end:
            self._buffer[: self._end - self._begin] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, self._end - self._begin
        free = memoryview(self._buffer)
        while self._end - self._begin < wanted:
            count = self._source.readinto(free[self._end :])
            if count == 0:
                raise TruncatedError
            self._end += count


class Part:
    """One part; read it before the next one is asked for.

    Attributes:
        headers: Names in lower case.
        length: Content-Length of the part, in bytes; None where the archive does not say.
        longest: No part is longer, in bytes.
    """

    def __init__(self, answer: Parts, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.longest = answer.longest_part
        declared = headers.get("content-length")
        if declared is not None and not declared.isdecimal():
            raise MalformedError("a part of the archive's answer has a malformed Content-Length")
        self.length = None if declared is None else int(declared)
        if self.length is not None and self.length > answer.longest_part:
            raise TooLongError
        self._answer = answer
        self._left = self.length

    def readinto(self, view: memoryview) -> None:
        """Fill ``view``, which is not longer than what is left of this part of known length.

        Raises:
            TruncatedError: the answer ended.
            MalformedError: the part is shorter.
        """
        if self._left is None or len(view) > self._left:
            raise MalformedError("a part of the archive's answer is shorter than its content")
        done = 0
        while done < len(view):
            done += self._answer.readinto(view[done:])
        self._left -= done

    def rest(self) -> bytearray:
        """Return what is left of the part.

        Raises:
            TruncatedError: the answer ended.
            TooLongError: a part without Content-Length is longer than any may be.
        """
        if self._left is None:
            self._left = 0
            return self._answer.until_delimiter()
        content = bytearray(self._left)
        self.readinto(memoryview(content))
        return content

    def skip(self) -> None:
        """Leave out what is left of the part."""
        if self._left is None:
            self.rest()
            return
        scratch = memoryview(bytearray(min(self._left, 256 * 1024)))
        while self._left:
            self.readinto(scratch[: min(self._left, len(scratch))])
