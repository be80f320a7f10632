"""How long the senders of images paused, in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from study_router.adapters.tables import SENDER_PAUSES
from study_router.domain.quiet import KEPT_STUDIES, Pauses, Sender
from udckit.database import insert


class SqlSenders:
    """``ports.Senders`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, study: str, pauses: Mapping[Sender, Pauses], *, at: datetime) -> None:
        """Remember how long the senders of a study paused, instead of what was known of that study."""
        for sender, paused in pauses.items():
            values = {"stack_s": _seconds(paused.stack), "study_s": _seconds(paused.study), "noted_at": at}
            self._connection.execute(
                insert(SENDER_PAUSES, dialect=self._connection.dialect.name)
                .values(archive=sender.archive, station=sender.station, study=study, **values)
                .on_conflict_do_update(
                    index_elements=[SENDER_PAUSES.c.archive, SENDER_PAUSES.c.station, SENDER_PAUSES.c.study],
                    set_=values,
                )
            )
            self._forget_oldest(sender)

    def _forget_oldest(self, sender: Sender) -> None:
        mine = (SENDER_PAUSES.c.archive == sender.archive, SENDER_PAUSES.c.station == sender.station)
        newest = select(SENDER_PAUSES.c.noted_at).where(*mine).order_by(SENDER_PAUSES.c.noted_at.desc())
        oldest_kept = self._connection.execute(newest.offset(KEPT_STUDIES - 1).limit(1)).scalar_one_or_none()
        if oldest_kept is not None:
            self._connection.execute(delete(SENDER_PAUSES).where(*mine, SENDER_PAUSES.c.noted_at < oldest_kept))

    def known(self, senders: Collection[Sender]) -> Mapping[Sender, Sequence[Pauses]]:
        """Return the pauses of the latest studies of each of these senders."""
        found: dict[Sender, Sequence[Pauses]] = {}
        for sender in senders:
            rows = self._connection.execute(
                select(SENDER_PAUSES.c.stack_s, SENDER_PAUSES.c.study_s)
                .where(SENDER_PAUSES.c.archive == sender.archive, SENDER_PAUSES.c.station == sender.station)
                .order_by(SENDER_PAUSES.c.noted_at.desc())
                .limit(KEPT_STUDIES)
            )
            found[sender] = [Pauses(_duration(row.stack_s), _duration(row.study_s)) for row in rows]
        return found


def _seconds(pause: timedelta | None) -> float | None:
    return None if pause is None else pause.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
