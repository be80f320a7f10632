"""Guarantees switched off, to show that the tests of crashes can see it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from nats.js import JetStreamContext
from sqlalchemy import Connection

from integration.udckit_core.ledger_service import facts
from udckit import crash, inbox, outbox
from udckit.database import Database
from udckit.envelope import OutgoingEvent, headers_of

BETWEEN: Final = "ledger.between_commit_and_publish"


def without_inbox() -> None:
    """Let the consumer forget what it has handled."""

    def settle(_connection: Connection, **_: Any) -> bool:
        return True

    def settled(_connection: Connection, **_: Any) -> frozenset[str]:
        return frozenset()

    inbox.settle = settle  # type: ignore[assignment]  # sabotage
    inbox.settled = settled  # type: ignore[assignment]  # sabotage


def without_outbox() -> None:
    """Let nothing be announced in the transaction; ``publish_afterwards`` tells it when all is committed."""

    def announce(_connection: Connection, _event: OutgoingEvent) -> None:
        """Tell nobody."""

    outbox.announce = announce  # type: ignore[assignment]  # sabotage


async def publish_afterwards(
    database: Database, js: JetStreamContext, entry: str, work: Callable[[Connection], None]
) -> None:
    """Commit first and publish then: what many systems do."""
    await database.transact(work)
    crash.point(BETWEEN)
    event = facts.booked(entry)
    headers = headers_of(event, source="/services/ledger", region="r77", sequence=1, trace={})
    await js.publish(event.subject, event.body, headers=headers)


SABOTAGE: Final[Mapping[str, Callable[[], None]]] = {"inbox": without_inbox, "outbox": without_outbox}
