"""Reading multipart answers."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_serving.adapters.multipart import (
    MalformedError,
    Parts,
    TooLongError,
    TruncatedError,
    boundary_of,
)
from unit.model_serving.multipart_bytes import BOUNDARY, CONTENT_TYPE, Bytes, answer

MIB = 1 << 20
TRAPS = b"\r\n--" + BOUNDARY[:-1] + b"!" + b"\r\n--" + BOUNDARY[:20] + b"\r\n\r\n--"
LONG = {"full of traps": TRAPS * 40, "long": b"x" * 70_000}


def read_all(source: Bytes) -> list[bytes]:
    parts = Parts(source, BOUNDARY, longest_part=MIB)
    found = []
    while (part := parts.next()) is not None:
        found.append(bytes(part.rest()))
    return found


@settings(deadline=None)  # a loaded machine is not a fault
@given(
    pieces=st.lists(st.binary(max_size=3000) | st.sampled_from(sorted(LONG)), max_size=5),
    with_length=st.booleans(),
    seed=st.integers(),
    largest=st.sampled_from([1, 7, 100, 5000, 200_000]),
)
def test_parts_come_out_as_they_went_in_however_the_bytes_arrive(
    pieces: list[bytes | str], *, with_length: bool, seed: int, largest: int
) -> None:
    contents = [LONG[piece] if isinstance(piece, str) else piece for piece in pieces]
    if largest == 1:
        contents = [content[:500] for content in contents]
    random_size = random.Random(seed)  # noqa: S311 chooses sizes, guards nothing
    source = Bytes(answer(contents, with_length=with_length), lambda: random_size.randint(1, largest))
    assert read_all(source) == contents


@pytest.mark.parametrize("with_length", [True, False])
def test_an_answer_cut_anywhere_is_truncated_and_never_complete(*, with_length: bool) -> None:
    whole = answer([b"first" * 20, b"", b"second" * 20], with_length=with_length)
    end = whole.rindex(b"--") + 2
    for cut in range(end):
        with pytest.raises(TruncatedError):
            read_all(Bytes(whole[:cut]))
    assert len(read_all(Bytes(whole[:end]))) == 3


def test_text_before_the_first_delimiter_is_left_out() -> None:
    assert read_all(Bytes(b"This is a message in MIME format.\r\n" + answer([b"one"]))) == [b"one"]


def test_what_nobody_reads_of_a_part_is_skipped() -> None:
    parts = Parts(Bytes(answer([b"a" * 100_000, b"b" * 100_000])), BOUNDARY, longest_part=MIB)
    first = parts.next()
    assert first is not None
    begin = memoryview(bytearray(3))
    first.readinto(begin)
    assert bytes(begin) == b"aaa"
    second = parts.next()
    assert second is not None
    assert second.rest() == b"b" * 100_000
    assert parts.next() is None


def test_a_large_part_is_received_where_the_reader_wants_it() -> None:
    content = bytes(300_000)
    source = Bytes(answer([content]))
    part = Parts(source, BOUNDARY, longest_part=MIB).next()
    assert part is not None
    part.readinto(memoryview(bytearray(len(content))))
    assert source.largest_request > 250_000


def test_a_part_longer_than_allowed_is_refused_before_it_is_read() -> None:
    for with_length in (True, False):
        source = Bytes(answer([bytes(2 * MIB)], with_length=with_length))
        with pytest.raises(TooLongError):
            read_all(source)


def test_a_part_that_does_not_end_where_it_says_is_malformed() -> None:
    whole = answer([b"content"]).replace(b"Content-Length: 7", b"Content-Length: 5")
    with pytest.raises(MalformedError):
        read_all(Bytes(whole))


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: -1",
        "Content-Length: many",
        "no colon",
        "x" * 40_000,
        "\r\n".join(f"a{i}: b" for i in range(99)),
    ],
)
def test_a_malformed_header_is_refused(header: str) -> None:
    whole = b"--" + BOUNDARY + b"\r\n" + header.encode() + b"\r\n\r\ncontent\r\n--" + BOUNDARY + b"--"
    with pytest.raises(MalformedError):
        read_all(Bytes(whole))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (CONTENT_TYPE, BOUNDARY),
        ('multipart/related; type="application/octet-stream; transfer-syntax=1.2"; boundary="a b"', b"a b"),
        ("Multipart/Related;boundary=x", b"x"),
    ],
)
def test_the_boundary_is_found_whatever_stands_beside_it(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    ["", "application/dicom", "multipart/related", "text/html; boundary=x", "multipart/related; boundary="],
)
def test_an_answer_that_is_not_multipart_is_refused(content_type: str) -> None:
    with pytest.raises(MalformedError):
        boundary_of(content_type)
