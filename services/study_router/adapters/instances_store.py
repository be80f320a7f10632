"""What archives hold of studies, in the database: a row for each instance, and a list for each stack once it is closed.

There are ten million instances a day, and nearly all of them will never change again. A list says of them all that
their rows said, in a fraction of the room; it becomes rows again when something of its series does change.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, select

from study_router.adapters.rows import chunks, header_from_json, header_to_json
from study_router.adapters.tables import INSTANCE_LISTS, INSTANCES, STUDIES
from study_router.domain.instances import InstanceClass
from study_router.domain.stacks import kind_of
from study_router.domain.studies import StoredInstance
from udckit.database import insert
from udckit.errors import InternalError
from udcmodel.ids import digest_of

PLACES: Final[tuple[tuple[Table, ColumnElement[Any]], ...]] = (
    (INSTANCES, func.count()),
    (INSTANCE_LISTS, func.sum(INSTANCE_LISTS.c.instances)),
)
"""Where instances are, and how they are counted there."""


class SqlInstances:
    """The part of ``ports.Studies`` that is about instances, on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    def instances(self, study: str) -> Sequence[StoredInstance]:
        """Return everything known of a study."""
        found = [instance for _, instance in self._read(lambda table: table.c.study == study)]
        return sorted(found, key=lambda item: (item.archive, item.header.series_instance_uid, _uid(item)))

    def instances_of_series(self, archive: str, series_instance_uid: str) -> Sequence[tuple[str, StoredInstance]]:
        """Return what an archive held of a series when it was last read, each with its study."""
        return list(self._read(lambda table: _of_series(table, archive, [series_instance_uid])))

    def sources_elsewhere(self, study: str, *, archive: str, sop_instance_uids: Collection[str]) -> frozenset[str]:
        """Return which of these source instances another archive showed before."""
        found: set[str] = set()
        for chunk in chunks(sop_instance_uids):
            found.update(
                self._connection.execute(
                    select(INSTANCES.c.sop_instance_uid).where(
                        INSTANCES.c.study == study,
                        INSTANCES.c.archive != archive,
                        INSTANCES.c.instance_class == InstanceClass.SOURCE.value,
                        INSTANCES.c.sop_instance_uid.in_(chunk),
                    )
                ).scalars()
            )
        lists = self._lists(
            INSTANCE_LISTS.c.study == study,
            INSTANCE_LISTS.c.archive != archive,
            INSTANCE_LISTS.c.instance_class == InstanceClass.SOURCE.value,
        )
        listed = {_uid(item) for row in lists for item in _unpacked(row)}
        return frozenset(found | listed.intersection(sop_instance_uids))

    def put_instances(self, study: str, instances: Collection[StoredInstance]) -> None:
        """Store instances, replacing what is known of them."""
        if not instances:
            return
        self._hold(study)
        series: dict[str, set[str]] = defaultdict(set)
        for item in instances:
            series[item.archive].add(item.header.series_instance_uid)
        for archive, uids in series.items():
            self._expand(study, archive, uids)
        self._put(study, instances)

    def remove_instances(self, study: str, archive: str, sop_instance_uids: Collection[str]) -> None:
        """Forget instances that the archive no longer holds."""
        self._hold(study)
        gone = frozenset(sop_instance_uids)
        lists = self._lists(INSTANCE_LISTS.c.study == study, INSTANCE_LISTS.c.archive == archive)
        touched = {row.series_instance_uid for row in lists for item in _unpacked(row) if _uid(item) in gone}
        self._expand(study, archive, touched)
        for chunk in chunks(sop_instance_uids):
            self._connection.execute(
                delete(INSTANCES).where(
                    INSTANCES.c.study == study,
                    INSTANCES.c.archive == archive,
                    INSTANCES.c.sop_instance_uid.in_(chunk),
                )
            )

    def collapse(self, study: str) -> None:
        """Keep what is known of a study as one list for each stack."""
        self._hold(study)
        rows = self._connection.execute(select(INSTANCES).where(INSTANCES.c.study == study)).all()
        if not rows:
            return
        by_series: dict[tuple[str, str], list[StoredInstance]] = defaultdict(list)
        for row in rows:
            by_series[row.archive, row.series_instance_uid].append(_instance(row))
        self._connection.execute(
            INSTANCE_LISTS.insert(),
            [
                _packed(study, stack, number)
                for series in by_series.values()
                for number, stack in enumerate(_stacks(series))
            ],
        )
        self._connection.execute(delete(INSTANCES).where(INSTANCES.c.study == study))

    def _hold(self, study: str) -> None:
        """Keep others from making lists or rows of the study until the transaction ends."""
        self._connection.execute(select(STUDIES.c.study).where(STUDIES.c.study == study).with_for_update())

    def _expand(self, study: str, archive: str, series_instance_uids: Collection[str]) -> None:
        """Make rows of the lists of some series again."""
        for chunk in chunks(series_instance_uids):
            of_them = and_(INSTANCE_LISTS.c.study == study, _of_series(INSTANCE_LISTS, archive, chunk))
            listed = [item for row in self._lists(of_them) for item in _unpacked(row)]
            if listed:
                self._connection.execute(delete(INSTANCE_LISTS).where(of_them))
                self._put(study, listed)

    def _put(self, study: str, instances: Collection[StoredInstance]) -> None:
        putting = insert(INSTANCES, dialect=self._dialect)
        self._connection.execute(
            putting.on_conflict_do_update(
                index_elements=[INSTANCES.c.study, INSTANCES.c.archive, INSTANCES.c.sop_instance_uid],
                set_={
                    name: putting.excluded[name]
                    for name in ("series_instance_uid", "instance_class", "header", "arrived_at")
                },
            ),
            [
                {
                    "study": study,
                    "archive": instance.archive,
                    "sop_instance_uid": instance.header.sop_instance_uid,
                    "series_instance_uid": instance.header.series_instance_uid,
                    "instance_class": instance.instance_class.value,
                    "header": header_to_json(instance.header),
                    "arrived_at": instance.arrived_at,
                }
                for instance in instances
            ],
        )

    def _read(self, condition: Callable[[Table], ColumnElement[bool]]) -> Iterator[tuple[str, StoredInstance]]:
        for row in self._connection.execute(select(INSTANCES).where(condition(INSTANCES))):
            yield row.study, _instance(row)
        for row in self._lists(condition(INSTANCE_LISTS)):
            for item in _unpacked(row):
                yield row.study, item

    def _lists(self, *conditions: ColumnElement[bool]) -> Sequence[Row[Any]]:
        return self._connection.execute(select(INSTANCE_LISTS).where(*conditions)).all()


def _of_series(table: Table, archive: str, series_instance_uids: Collection[str]) -> ColumnElement[bool]:
    return and_(table.c.archive == archive, table.c.series_instance_uid.in_(series_instance_uids))


def _instance(row: Row[Any]) -> StoredInstance:
    return StoredInstance(
        archive=row.archive,
        instance_class=InstanceClass(row.instance_class),
        header=header_from_json(row.header),
        arrived_at=row.arrived_at,
    )


def _uid(instance: StoredInstance) -> str:
    return instance.header.sop_instance_uid


def _stacks(instances: Iterable[StoredInstance]) -> Sequence[Sequence[StoredInstance]]:
    """Group the instances of a series by what those of a stack share."""
    stacks: dict[tuple[Any, ...], list[StoredInstance]] = defaultdict(list)
    for instance in sorted(instances, key=_uid):
        stacks[instance.instance_class, *kind_of(instance.header)].append(instance)
    return list(stacks.values())


def _packed(study: str, stack: Sequence[StoredInstance], number: int) -> dict[str, Any]:
    content = json.dumps(
        [[header_to_json(item.header), item.arrived_at.isoformat()] for item in stack],
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()
    return {
        "study": study,
        "archive": stack[0].archive,
        "series_instance_uid": stack[0].header.series_instance_uid,
        "number": number,
        "instance_class": stack[0].instance_class.value,
        "instances": len(stack),
        "digest": digest_of(content),
        "content": zlib.compress(content),
    }


def _unpacked(row: Row[Any]) -> Sequence[StoredInstance]:
    try:
        content = zlib.decompress(row.content)
    except zlib.error:
        content = b""
    if digest_of(content) != row.digest:
        raise InternalError(
            f"list {row.number} of a series of study {row.study} in archive {row.archive} is damaged: delete the lists"
            " of that series from instance_lists, and udc reconcile --repair has it read again",
            study=row.study,
            archive=row.archive,
        )
    return [
        StoredInstance(
            archive=row.archive,
            instance_class=InstanceClass(row.instance_class),
            header=header_from_json(header),
            arrived_at=datetime.fromisoformat(arrived_at),
        )
        for header, arrived_at in json.loads(content)
    ]
