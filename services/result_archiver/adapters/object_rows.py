"""Encoded objects as rows."""

import zlib
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from result_archiver.adapters.tables import OBJECTS, RESULTS
from result_archiver.domain.delivery import DeliveryKey
from result_archiver.domain.objects import EncodedObject, ObjectKind
from result_archiver.ports import Built
from udckit.errors import InternalError

FAST: Final = 1
"""Level of zlib: pictures and masks shrink to a tenth at any level, and the commit waits for it."""


def built_objects(connection: Connection, job: str, result_digest: str) -> Built | None:
    """Read what was built for a result, its bytes checked; None when nothing was."""
    of_result = [RESULTS.c.job == job, RESULTS.c.result_digest == result_digest]
    row = connection.execute(select(RESULTS).where(*of_result)).one_or_none()
    if row is None:
        return None
    objects = connection.execute(
        select(OBJECTS)
        .where(OBJECTS.c.job == job, OBJECTS.c.result_digest == result_digest)
        .order_by(OBJECTS.c.position)
    )
    return Built(
        study_instance_uid=row.study_instance_uid,
        witness=(row.witness_series_uid, row.witness_instance_uid),
        builder_version=row.builder_version,
        objects=tuple(_encoded(row) for row in objects),
    )


def object_row(key: DeliveryKey, position: int, encoded: EncodedObject) -> dict[str, Any]:
    """Return the row in which an object is kept."""
    return {
        "job": key.job,
        "result_digest": key.result_digest,
        "position": position,
        "kind": encoded.kind.value,
        "sop_class_uid": encoded.sop_class_uid,
        "sop_instance_uid": encoded.sop_instance_uid,
        "series_instance_uid": encoded.series_instance_uid,
        "digest": encoded.digest,
        "content": zlib.compress(encoded.content, FAST),
    }


def _encoded(row: Row[Any]) -> EncodedObject:
    encoded = EncodedObject(
        kind=ObjectKind(row.kind),
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        content=zlib.decompress(row.content),
    )
    if encoded.digest != row.digest:
        raise InternalError(f"the stored bytes of a {row.kind} are damaged", digest=row.digest)
    return encoded
