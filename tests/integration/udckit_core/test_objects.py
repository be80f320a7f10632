"""Objects are found by the digest of their bytes, and never returned damaged."""

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from udckit import subjects
from udckit.bus import Bus
from udckit.errors import InternalError, InvalidRequestError, NotFoundError, OverloadedError
from udckit.objects import FileObjects, NatsObjects, Objects, opened_objects

pytestmark = pytest.mark.connected

ABSENT = "sha256:" + "0" * 64


def only_file(folder: Path) -> Path:
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


class ObjectsContract:
    """What every store of objects must do."""

    async def test_what_was_put_is_got_by_its_digest(self, objects: Objects) -> None:
        digest = await objects.put(b"result")

        assert digest == f"sha256:{hashlib.sha256(b'result').hexdigest()}"
        assert await objects.get(digest) == b"result"

    async def test_putting_twice_changes_nothing(self, objects: Objects) -> None:
        assert await objects.put(b"result") == await objects.put(b"result")

    @pytest.mark.parametrize("size", [0, 1, 131_072, 3_000_000])
    async def test_every_size_comes_back(self, objects: Objects, size: int) -> None:
        content = bytes(number * 7 % 251 for number in range(1000)) * (size // 1000) + b"x" * (size % 1000)

        assert await objects.get(await objects.put(content)) == content

    async def test_what_is_not_there_is_not_found(self, objects: Objects) -> None:
        with pytest.raises(NotFoundError):
            await objects.get(ABSENT)

    async def test_what_is_there_is_known_without_reading_it(self, objects: Objects) -> None:
        digest = await objects.put(b"result")
        assert await objects.has(digest)
        assert not await objects.has(ABSENT)
        await objects.delete(digest)
        assert not await objects.has(digest)

    async def test_what_was_deleted_is_not_found_and_can_be_put_again(self, objects: Objects) -> None:
        digest = await objects.put(b"result")
        await objects.delete(digest)
        await objects.delete(digest)

        with pytest.raises(NotFoundError):
            await objects.get(digest)
        assert await objects.get(await objects.put(b"result")) == b"result"

    @pytest.mark.parametrize("name", ["", "sha256:12", "../etc/passwd", "sha256:" + "G" * 64, ABSENT + "/.."])
    async def test_what_is_no_digest_is_refused(self, objects: Objects, name: str) -> None:
        with pytest.raises(InvalidRequestError):
            await objects.get(name)
        with pytest.raises(InvalidRequestError):
            await objects.delete(name)


class TestFileObjects(ObjectsContract):
    @pytest.fixture
    async def objects(self, tmp_path: Path) -> AsyncIterator[Objects]:
        async with opened_objects(f"file://{tmp_path}/objects") as objects:
            yield objects

    async def test_damaged_bytes_are_refused_and_mended_by_putting_again(
        self, objects: Objects, tmp_path: Path
    ) -> None:
        digest = await objects.put(b"result")
        only_file(tmp_path).write_bytes(b"damage")

        with pytest.raises(InternalError, match="damaged"):
            await objects.get(digest)
        await objects.put(b"result")
        assert await objects.get(digest) == b"result"

    async def test_an_unwritable_place_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OverloadedError):
            await FileObjects(tmp_path / "file").put(b"result")


class TestNatsObjects(ObjectsContract):
    @pytest.fixture
    async def objects(self, bus: Bus) -> AsyncIterator[Objects]:
        async with opened_objects(f"nats:{subjects.BUCKET_OBJECTS}", bus) as objects:
            yield objects

    async def test_a_full_bucket_is_told(self, objects: Objects, bus: Bus) -> None:
        config = (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_OBJECTS}")).config
        await bus.js.update_stream(config.evolve(max_bytes=1000))

        with pytest.raises(OverloadedError):
            await objects.put(b"x" * 2000)

    async def test_an_old_object_is_written_again_so_that_the_bucket_keeps_it(self, objects: Objects, bus: Bus) -> None:
        content = b"manifest" * 40_000
        digest = await objects.put(content)
        before = (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_OBJECTS}")).state.last_seq
        await objects.put(content)
        assert (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_OBJECTS}")).state.last_seq == before

        later = NatsObjects(await bus.js.object_store(subjects.BUCKET_OBJECTS), renew_after=timedelta(0))
        assert await later.put(content) == digest
        # Nothing that was there before is needed any more.
        await bus.js.purge_stream(f"OBJ_{subjects.BUCKET_OBJECTS}", seq=before + 1)
        assert await objects.get(digest) == content

    async def test_golden_cases_are_never_forgotten_and_never_written_twice(self, bus: Bus) -> None:
        config = (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_GOLDEN}")).config
        assert not config.max_age
        async with opened_objects(f"nats:{subjects.BUCKET_GOLDEN}", bus) as cases:
            digest = await cases.put(b"case")
            store = await bus.js.object_store(subjects.BUCKET_GOLDEN)
            # As a case of last year: what was written twice would take its room for ever.
            old = (await store.get_info(digest)).mtime
            assert old is not None
            subject = f"$O.{subjects.BUCKET_GOLDEN}.M.{base64.urlsafe_b64encode(digest.encode()).decode()}"
            written = await bus.js.get_last_msg(f"OBJ_{subjects.BUCKET_GOLDEN}", subject)
            assert written.data is not None
            last_year = written.data.replace(old.encode(), b"2001-01-01T00:00:00+00:00")
            await bus.js.publish(subject, last_year, headers={"Nats-Rollup": "sub"})
            before = (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_GOLDEN}")).state.last_seq

            await cases.put(b"case")

            assert (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_GOLDEN}")).state.last_seq == before

    async def test_cases_that_fill_their_bucket_leave_jobs_their_room(self, objects: Objects, bus: Bus) -> None:
        config = (await bus.js.stream_info(f"OBJ_{subjects.BUCKET_GOLDEN}")).config
        await bus.js.update_stream(config.evolve(max_bytes=1000))

        async with opened_objects(f"nats:{subjects.BUCKET_GOLDEN}", bus) as cases:
            with pytest.raises(OverloadedError, match="the object bucket golden is full; have it provisioned larger"):
                await cases.put(b"x" * 2000)
        assert await objects.get(await objects.put(b"result")) == b"result"


@pytest.mark.parametrize("url", ["s3://bucket", "nats:objects", "objects"])
async def test_a_store_that_does_not_exist_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        async with opened_objects(url):
            """Never reached."""
