"""The archiver's record in its database: what was built, where it is, and how far each delivery has come."""

import json
import zlib
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update
from sqlalchemy import Table as SqlTable

from result_archiver.adapters.announcing import result_archived, result_failed
from result_archiver.adapters.object_rows import FAST, built_objects, object_row
from result_archiver.adapters.tables import DELIVERIES, OBJECTS, PROOFS, RESULTS
from result_archiver.domain.delivery import ENDED, RULES, Answer, Delivery, DeliveryKey, Event, State
from result_archiver.domain.failure import CATEGORY_OF, FailureReason
from result_archiver.domain.objects import DicomJson, EncodedObject, Snapshot
from result_archiver.ports import AcceptedResult, Built, Line
from udckit import audit, outbox
from udckit.database import Database, insert
from udckit.errors import ConflictError, InternalError
from udckit.security.identity import current_identity
from udcmodel.grant import Refused
from udcmodel.vocabulary import ErrorCategory


class SqlLedger:
    """The ledger of one archiver.

    Args:
        database: With the tables of ``adapters.tables``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def built(self, job: str, result_digest: str) -> Built | None:
        """Return what was built for a result."""
        return await self._database.read(lambda connection: built_objects(connection, job, result_digest))

    async def delivery(self, key: DeliveryKey) -> Delivery | None:
        """Return a delivery."""
        return await self._database.read(lambda connection: _delivery(connection, key))

    async def archived_since(self, since: datetime, *, jobs: Collection[str]) -> Sequence[DeliveryKey]:
        """Return the deliveries that were archived since then, or those of ``jobs`` if any are named."""
        wanted = DELIVERIES.c.job.in_(jobs) if jobs else DELIVERIES.c.changed_at >= since
        query = (
            select(DELIVERIES.c.job, DELIVERIES.c.result_digest, DELIVERIES.c.archive)
            .where(DELIVERIES.c.state == State.ARCHIVED.value, wanted)
            .order_by(DELIVERIES.c.changed_at, DELIVERIES.c.job, DELIVERIES.c.archive)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return [DeliveryKey(job=row.job, result_digest=row.result_digest, archive=row.archive) for row in rows]

    async def witness(self, job: str, result_digest: str) -> DicomJson | None:
        """Return the header that the witness had when the objects were built."""
        query = select(RESULTS.c.snapshot).where(RESULTS.c.job == job, RESULTS.c.result_digest == result_digest)
        packed = await self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())
        # The first image that was used is the witness.
        headers: Sequence[DicomJson] = [] if packed is None else json.loads(zlib.decompress(packed))
        return headers[0] if headers else None

    async def note_redelivery(self, key: DeliveryKey, sop_instance_uid: str, *, at: datetime) -> None:
        """Note in the audit trail who had an object stored again."""
        actor = current_identity().actor
        await self._database.transact(
            lambda connection: audit.append(
                connection,
                actor=actor,
                action="object.stored_again",
                subject=f"jobs/{key.job}",
                facts={"archive": key.archive, "sop_instance_uid": sop_instance_uid},
                at=at,
            )
        )

    async def keep(self, key: DeliveryKey, built: Built, snapshot: Snapshot, *, at: datetime) -> Built:
        """Commit objects and a delivery in state BUILT; return what is committed, which may be another's earlier."""
        headers = zlib.compress(json.dumps(snapshot.headers, ensure_ascii=False).encode(), FAST)
        rows = [object_row(key, position, encoded) for position, encoded in enumerate(built.objects)]
        result = {
            "job": key.job,
            "result_digest": key.result_digest,
            "study_instance_uid": built.study_instance_uid,
            "witness_series_uid": built.witness[0],
            "witness_instance_uid": built.witness[1],
            "builder_version": built.builder_version,
            "snapshot": headers,
            "built_at": at,
        }
        return await self._database.transact(partial(_keep, key=key, result=result, objects=rows, at=at))

    async def open(self, key: DeliveryKey, *, at: datetime) -> Delivery:
        """Return the delivery of objects that are committed, in state BUILT when it is new."""

        def work(connection: Connection) -> Delivery:
            _open(connection, key, at)
            return _existing(connection, key)

        return await self._database.transact(work)

    async def grant(self, key: DeliveryKey, *, at: datetime) -> State:
        """Note that the router agreed; return the state that the delivery is in now."""

        def work(connection: Connection) -> State:
            _apply(connection, key, Event.GRANTED, at=at)
            return _existing(connection, key).state

        return await self._database.transact(work)

    async def note_stored(self, key: DeliveryKey, sop_instance_uid: str, *, at: datetime) -> None:
        """Note that the archive confirmed an object."""
        await self._database.transact(partial(_note, key=key, uid=sop_instance_uid, moments={"stored_at": at}))

    async def note_verified(self, key: DeliveryKey, sop_instance_uid: str, *, at: datetime) -> None:
        """Note that an object was read back equal."""
        await self._database.transact(partial(_note, key=key, uid=sop_instance_uid, moments={"verified_at": at}))

    async def stop(self, key: DeliveryKey, line: Line, *, at: datetime) -> None:
        """End a delivery before the line because the router did not agree; the router knows."""
        await self._database.transact(
            lambda connection: _apply(connection, key, Event.REFUSED, reason=line.reason, detail=line.detail, at=at)
        )

    async def refuse(self, accepted: AcceptedResult, key: DeliveryKey, refused: Refused, *, at: datetime) -> None:
        """End a delivery before the line because the grant no longer holds, and announce it."""
        await self._end(
            key,
            Event.REFUSED,
            reason=refused.refusal.value,
            detail=refused.detail,
            category=ErrorCategory.OTHER,
            organisation=accepted.organisation,
            at=at,
        )

    async def fail(
        self, accepted: AcceptedResult, key: DeliveryKey, why: FailureReason, detail: str, *, at: datetime
    ) -> None:
        """End a delivery that cannot succeed, and announce it."""
        await self._end(
            key,
            Event.FAILED,
            reason=why.value,
            detail=detail,
            category=CATEGORY_OF[why],
            organisation=accepted.organisation,
            at=at,
        )

    async def archived(
        self, accepted: AcceptedResult, key: DeliveryKey, objects: Sequence[EncodedObject], *, at: datetime
    ) -> None:
        """End a delivery whose objects were all read back, and announce it."""
        event = result_archived(accepted, key, objects, at)

        def work(connection: Connection) -> None:
            if _apply(connection, key, Event.VERIFIED, at=at):
                outbox.announce(connection, event)

        await self._database.transact(work)

    async def _end(
        self,
        key: DeliveryKey,
        event: Event,
        *,
        reason: str,
        detail: str,
        category: ErrorCategory,
        organisation: str,
        at: datetime,
    ) -> None:
        await self._database.transact(
            partial(
                end_badly,
                key=key,
                event=event,
                reason=reason,
                detail=detail,
                category=category,
                organisation=organisation,
                at=at,
            )
        )


def end_badly(
    connection: Connection,
    *,
    key: DeliveryKey,
    event: Event,
    reason: str,
    detail: str,
    category: ErrorCategory,
    organisation: str,
    at: datetime,
) -> None:
    """End a delivery that did not succeed and announce it, unless it has ended already."""
    if _apply(connection, key, event, reason=reason, detail=detail, at=at):
        outbox.announce(
            connection,
            result_failed(key, reason=reason, detail=detail, category=category, organisation=organisation, at=at),
        )


def has_ended(connection: Connection, *, job: str, result_digest: str) -> bool:
    """Say whether every delivery of a result has come to an end."""
    states = connection.execute(
        select(DELIVERIES.c.state).where(DELIVERIES.c.job == job, DELIVERIES.c.result_digest == result_digest)
    ).scalars()
    found = {State(state) for state in states}
    return bool(found) and found <= ENDED


def _keep(
    connection: Connection,
    *,
    key: DeliveryKey,
    result: dict[str, Any],
    objects: Sequence[dict[str, Any]],
    at: datetime,
) -> Built:
    adding = insert(RESULTS, dialect=connection.dialect.name).values(**result).on_conflict_do_nothing()
    if connection.execute(adding.returning(RESULTS.c.job)).first() is not None:
        connection.execute(OBJECTS.insert(), list(objects))
    _open(connection, key, at)
    built = built_objects(connection, key.job, key.result_digest)
    if built is None:
        raise InternalError(f"the objects of job {key.job} were not kept", job=key.job)
    return built


def _open(connection: Connection, key: DeliveryKey, at: datetime) -> None:
    _add_delivery(connection, key, State.BUILT, reason="", detail="", at=at)


def _add_delivery(
    connection: Connection, key: DeliveryKey, state: State, *, reason: str, detail: str, at: datetime
) -> bool:
    values = {**_columns(key), "state": state, "reason": reason, "detail": detail, "created_at": at, "changed_at": at}
    adding = insert(DELIVERIES, dialect=connection.dialect.name).values(**values).on_conflict_do_nothing()
    return connection.execute(adding.returning(DELIVERIES.c.job)).first() is not None


def _apply(
    connection: Connection, key: DeliveryKey, event: Event, *, at: datetime, reason: str = "", detail: str = ""
) -> bool:
    """Move a delivery as ``domain.delivery.RULES`` say; return whether this changed it.

    A delivery that ends before anything was built is made in the state in which it ends.
    """
    delivery = _delivery(connection, key)
    if delivery is None:
        target = RULES[State.BUILT, event]
        if not isinstance(target, State):
            raise InternalError(f"job {key.job} has no delivery that could be {event}", job=key.job)
        return _add_delivery(connection, key, target, reason=reason, detail=detail, at=at)
    target = RULES[delivery.state, event]
    match target:
        case Answer.NOT_YET:
            raise ConflictError(f"the delivery of job {key.job} is {delivery.state}, too early for {event}")
        case Answer():
            return False
    moved = connection.execute(
        update(DELIVERIES)
        .where(_is(DELIVERIES, key), DELIVERIES.c.state == delivery.state)
        .values(state=target, reason=reason, detail=detail, changed_at=at)
    )
    if moved.rowcount != 1:
        raise ConflictError(f"the delivery of job {key.job} was moved meanwhile", job=key.job)
    return True


def _note(connection: Connection, *, key: DeliveryKey, uid: str, moments: dict[str, datetime]) -> None:
    # The first moment counts: an object that is verified again was there before.
    noting = insert(PROOFS, dialect=connection.dialect.name).values(**_columns(key), sop_instance_uid=uid, **moments)
    name = next(iter(moments))
    connection.execute(
        noting.on_conflict_do_update(
            index_elements=list(PROOFS.primary_key.columns),
            set_=moments,
            where=PROOFS.c[name].is_(None),
        )
    )


def _existing(connection: Connection, key: DeliveryKey) -> Delivery:
    delivery = _delivery(connection, key)
    if delivery is None:
        raise InternalError(f"job {key.job} has no delivery to archive {key.archive}", job=key.job)
    return delivery


def _delivery(connection: Connection, key: DeliveryKey) -> Delivery | None:
    row = connection.execute(select(DELIVERIES).where(_is(DELIVERIES, key))).one_or_none()
    if row is None:
        return None
    return Delivery(key=key, state=State(row.state), reason=row.reason, detail=row.detail)


def _columns(key: DeliveryKey) -> dict[str, str]:
    return {"job": key.job, "result_digest": key.result_digest, "archive": key.archive}


def _is(table: SqlTable, key: DeliveryKey) -> ColumnElement[bool]:
    return and_(*(table.c[name] == value for name, value in _columns(key).items()))
