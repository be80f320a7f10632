"""Who goes next: priority with ageing, then a fair share over attachments, then age."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from udcmodel.vocabulary import Priority

RANK: Final[Mapping[Priority, int]] = MappingProxyType({Priority.URGENT: 0, Priority.ROUTINE: 1, Priority.BATCH: 2})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits for a slot."""

    job: str
    attachment: str
    priority: Priority
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What waits although there are slots: jobs that read from these archives, and jobs of these attachments."""

    archives: frozenset[str] = frozenset()
    attachments: frozenset[str] = frozenset()


NOTHING_HELD: Final = Held()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOffer:
    """What the replicas of a pool can take.

    Attributes:
        slots: How many jobs, all replicas together.
        archives_away: Archives that none of them can read from.
        not_activated: Device and version of what none of them runs, because a golden case failed.
    """

    slots: int
    archives_away: frozenset[str] = frozenset()
    not_activated: frozenset[tuple[str, str]] = frozenset()

    def with_replica(self, other: "PoolOffer") -> "PoolOffer":
        """Return what both can take: what one replica can, the pool can."""
        return PoolOffer(
            slots=self.slots + other.slots,
            archives_away=self.archives_away & other.archives_away,
            not_activated=self.not_activated & other.not_activated,
        )


def effective_rank(priority: Priority, *, since: datetime, now: datetime, batch_ageing: timedelta) -> int:
    """Return the rank of a waiting job, smaller first: batch work that waited ``batch_ageing`` counts as routine."""
    if priority is Priority.BATCH and now - since >= batch_ageing:
        return RANK[Priority.ROUTINE]
    return RANK[priority]


def pick(
    waiting: Sequence[Waiting],
    *,
    free: int,
    most: int,
    working: Mapping[str, int],
    now: datetime,
    batch_ageing: timedelta,
) -> list[str]:
    """Choose the jobs that may start.

    Args:
        waiting: Jobs of one pool; at least the ``free`` oldest of each attachment and priority.
        free: Free slots of the pool.
        most: How many jobs of one attachment workers may have, so that a device that hangs leaves room for others.
        working: How many jobs of each attachment a worker of the pool has already.
        now: Current time.
        batch_ageing: When batch work counts as routine.

    Returns:
        At most ``free`` job ids, in the order in which they start.
    """
    lines: dict[int, dict[str, list[Waiting]]] = {}
    for job in sorted(waiting, key=lambda job: (RANK[job.priority], job.since, job.job)):
        rank = effective_rank(job.priority, since=job.since, now=now, batch_ageing=batch_ageing)
        lines.setdefault(rank, {}).setdefault(job.attachment, []).append(job)
    share = dict(working)
    chosen: list[str] = []
    for rank in sorted(lines):
        by_attachment = {name: line for name, line in lines[rank].items() if share.get(name, 0) < most}
        while by_attachment and len(chosen) < free:
            # The attachment with the least work in hand goes next; between equals the longest wait.
            name = min(by_attachment, key=lambda name: (share.get(name, 0), by_attachment[name][0].since, name))
            chosen.append(by_attachment[name].pop(0).job)
            share[name] = share.get(name, 0) + 1
            if not by_attachment[name] or share[name] >= most:
                del by_attachment[name]
    return chosen
