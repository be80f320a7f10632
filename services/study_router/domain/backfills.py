"""Older studies for a newer attachment: ordered by a person, carried out a few at a time."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """An order that an attachment look at studies which were complete before it began.

    Attributes:
        backfill: Id, derived from that of the request.
        attachment: Who is to look.
        days: First and last Study Date (0008,0020), inclusive; None when studies are named.
        study_instance_uids: The studies that are meant; empty when days are.
        ordered_at: When it was ordered.
        position: Internal id of the last study that was considered.
        handed_on: How many studies were made the attachment's business.
        ended_at: When the last was; None while it goes on.
    """

    backfill: str
    attachment: str
    days: tuple[date, date] | None
    study_instance_uids: tuple[str, ...]
    ordered_at: datetime
    position: str = ""
    handed_on: int = 0
    ended_at: datetime | None = None

    def asks_the_same_as(self, other: "Backfill") -> bool:
        """Say whether both mean the same studies for the same attachment."""
        return (self.attachment, self.days, self.study_instance_uids) == (
            other.attachment,
            other.days,
            other.study_instance_uids,
        )
