"""Streams, buckets and durable consumers: declared here, made by one owner, never by whoever happens to start first."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError as NotFoundOnServer

from udckit import subjects
from udckit.bus import Bus
from udckit.errors import PreconditionError

log: Final = structlog.get_logger()

_DAY_S: Final = 86_400.0
_FOR_EVER: Final = 0.0
_DUPLICATE_WINDOW_S: Final = 120.0
_ANSWERS_S: Final = 1.0
_MARKER_TTL_S: Final = 60.0

OLDEST_SERVER: Final = (2, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """A durable pull consumer.

    Attributes:
        name: Its name. Changing the filters needs a new name: the server keeps the position and would skip older
            messages that match only the new filters.
        filters: Subjects it takes.
        ack_wait_s: How long a message may go without a heartbeat before another replica gets it.
        max_ack_pending: How many messages all replicas may work on together.
    """

    name: str
    filters: Sequence[str]
    ack_wait_s: float = 30.0
    max_ack_pending: int = 512


DURABLES: Final[Sequence[Durable]] = (
    Durable(
        name=subjects.DURABLE_ROUTER_JOBS,
        filters=(
            subjects.JOB_STARTED,
            subjects.JOB_PROGRESSED,
            subjects.JOB_RETURNED,
            subjects.JOB_INFERRED,
            subjects.JOB_FAILED,
        ),
    ),
    Durable(name=subjects.DURABLE_ROUTER_RESULTS, filters=(subjects.RESULT_ARCHIVED, subjects.RESULT_FAILED)),
    Durable(name=subjects.DURABLE_ARCHIVER_RESULTS, filters=(subjects.RESULT_ACCEPTED,)),
    Durable(name=subjects.DURABLE_SURVEILLANCE, filters=(f"{subjects.PREFIX}.>",)),
)


async def provision(
    bus: Bus,
    *,
    pools: Iterable[str],
    replicas: int = 1,
    max_bytes: int = 8 * 1024**3,
    max_age_s: float = 14 * _DAY_S,
    object_bytes: int = 28 * 1024**3,
    object_age_s: float = 30 * _DAY_S,
    golden_bytes: int = 4 * 1024**3,
) -> None:
    """Make the streams, buckets and durables, or bring existing ones to these settings.

    Args:
        bus: Connected as the provisioner, the only user who may do this.
        pools: Names of the serving pools; each has a durable of its own.
        replicas: Copies of each message; 3 in production.
        max_bytes: Size of the event stream. When it is full it refuses: work then waits in the outboxes.
        max_age_s: How long events are kept; less than ``relay.KEPT_FOR``.
        object_bytes: Size of the object bucket.
        object_age_s: How long objects are kept; longer than any job lives.
        golden_bytes: Size of the bucket of golden cases, which are kept for ever. When it is full, versions with new
            cases cannot be registered; everything else goes on.
    """
    events = StreamConfig(
        name=subjects.STREAM_EVENTS,
        subjects=[f"{subjects.PREFIX}.>"],
        max_bytes=max_bytes,
        max_age=max_age_s,
        allow_atomic=True,
        allow_direct=True,
    )
    dead = StreamConfig(
        name=subjects.STREAM_DEAD_LETTERS,
        subjects=[f"{subjects.DEAD_LETTER_PREFIX}.>"],
        max_bytes=max_bytes // 8,
        max_age=90 * _DAY_S,
        allow_direct=True,
    )
    for stream in (events, dead):
        await _declare(bus, _durable_stream(stream, replicas))
    for bucket in (subjects.BUCKET_REGISTRY, subjects.BUCKET_POOLS):
        await _declare(bus, _durable_stream(_key_value(bucket, max_bytes // 8), replicas))
    await _declare(bus, _durable_stream(_objects(subjects.BUCKET_OBJECTS, object_bytes, object_age_s), replicas))
    await _declare(bus, _durable_stream(_objects(subjects.BUCKET_GOLDEN, golden_bytes, _FOR_EVER), replicas))
    serving = [
        # Few messages, each of which may take minutes: what is fetched early only ages.
        Durable(
            name=subjects.durable_serving_jobs(pool),
            filters=(f"{subjects.JOB_DISPATCHED}.{pool}.*",),
            max_ack_pending=64,
        )
        for pool in pools
    ]
    for durable in (*DURABLES, *serving):
        await _declare_durable(bus, subjects.STREAM_EVENTS, durable, replicas)


async def require_safe(bus: Bus) -> None:
    """Refuse a server that could lose what it has acknowledged.

    Stream information does not tell whether the server fsyncs before it acknowledges; only its JetStream configuration
    does, which the account imports from the system account as ``subjects.SERVER_HEALTH``.

    Raises:
        PreconditionError: unsafe, or not provably safe; the message says what to set.
    """
    servers = await _ask_servers(bus)
    if not servers:
        raise PreconditionError(
            f"no NATS server answers on {subjects.SERVER_HEALTH}: import $SYS.REQ.SERVER.PING.JSZ of the system account"
            " under this name, so that safe storage can be proven"
        )
    for server in servers:
        _require_safe_server(server)
    for stream in (subjects.STREAM_EVENTS, subjects.STREAM_DEAD_LETTERS):
        try:
            info = await bus.js.stream_info(stream)
        except NotFoundOnServer as error:
            raise PreconditionError(f"the stream {stream} does not exist: run the provisioning first") from error
        _require_safe_stream(info.config)


async def _ask_servers(bus: Bus) -> Sequence[Mapping[str, Any]]:
    """Return what each server of the cluster says about its JetStream."""
    inbox = bus.nc.new_inbox()
    answers: list[Mapping[str, Any]] = []
    subscription = await bus.nc.subscribe(inbox)
    try:
        await bus.nc.publish(subjects.SERVER_HEALTH, b'{"config":true}', reply=inbox)
        async with asyncio.timeout(_ANSWERS_S):
            while True:
                message = await subscription.next_msg(timeout=_ANSWERS_S)
                if message.data:  # empty when nobody answers on the subject
                    answers.append(json.loads(message.data))
                else:
                    break
    except TimeoutError:
        pass  # nobody says how many answers there will be
    finally:
        await subscription.unsubscribe()
    return answers


def _require_safe_server(server: Mapping[str, Any]) -> None:
    name = server["server"]["name"]
    version = server["server"]["ver"]
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_SERVER:
        raise PreconditionError(
            f"NATS server {name} is {version}, which can lose streams: use {'.'.join(map(str, OLDEST_SERVER))} or newer"
        )
    if not server["data"].get("config", {}).get("sync_always", False):
        raise PreconditionError(
            f"NATS server {name} acknowledges before it has written to disk: set jetstream {{ sync_interval: always }}"
        )


def _require_safe_stream(config: StreamConfig) -> None:
    refusals = {
        "is not stored in files": config.storage != StorageType.FILE,
        "is stored asynchronously (persist_mode)": config.persist_mode == "async",
        "drops old messages when it is full (discard)": config.discard != DiscardPolicy.NEW,
    }
    for refusal, is_true in refusals.items():
        if is_true:
            raise PreconditionError(f"the stream {config.name} {refusal}: run the provisioning again")


def _durable_stream(config: StreamConfig, replicas: int) -> StreamConfig:
    """Return ``config`` with what every stream of ours has in common."""
    return config.evolve(
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        num_replicas=replicas,
        duplicate_window=_DUPLICATE_WINDOW_S,
    )


def _key_value(bucket: str, max_bytes: int) -> StreamConfig:
    """Return the stream behind a key-value bucket of which only the newest values are kept."""
    return StreamConfig(
        name=f"KV_{bucket}",
        subjects=[f"$KV.{bucket}.>"],
        max_msgs_per_subject=1,
        max_bytes=max_bytes,
        allow_rollup_hdrs=True,
        deny_delete=True,
        allow_direct=True,
        allow_msg_ttl=True,
        subject_delete_marker_ttl=_MARKER_TTL_S,
    )


def _objects(bucket: str, max_bytes: int, max_age_s: float) -> StreamConfig:
    """Return the stream behind an object bucket."""
    return StreamConfig(
        name=f"OBJ_{bucket}",
        subjects=[f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
        max_bytes=max_bytes,
        max_age=max_age_s,
        allow_rollup_hdrs=True,
        allow_direct=True,
    )


async def _declare(bus: Bus, config: StreamConfig) -> None:
    try:
        await bus.js.stream_info(str(config.name))
    except NotFoundOnServer:
        await bus.js.add_stream(config)
        log.info("stream.created", stream=config.name)
    else:
        await bus.js.update_stream(config)


async def _declare_durable(bus: Bus, stream: str, durable: Durable, replicas: int) -> None:
    await bus.js.add_consumer(
        stream,
        ConsumerConfig(
            durable_name=durable.name,
            filter_subjects=list(durable.filters),
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=durable.ack_wait_s,
            max_deliver=-1,
            max_ack_pending=durable.max_ack_pending,
            num_replicas=replicas,
        ),
    )
