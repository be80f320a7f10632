"""Sender profiles in the database; every revision is kept, because snapshots name it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from study_router.adapters.tables import SENDER_PROFILES
from study_router.domain.sender_profiles import RegisteredProfile, SenderProfile


class SqlSenderProfiles:
    """``ports.SenderProfiles`` on one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_organisation(self, organisation: str) -> Sequence[RegisteredProfile]:
        """Return the profiles that hold for studies of an organisation: its own and those of the region."""
        return self._read(_in_use().where(SENDER_PROFILES.c.organisation.in_(("", organisation))))

    def all(self, *, organisation: str = "") -> Sequence[RegisteredProfile]:
        """Return the profiles in use; those of one organisation only, if it is named."""
        query = _in_use()
        return self._read(query.where(SENDER_PROFILES.c.organisation == organisation) if organisation else query)

    def last_revision(self, organisation: str, profile: str) -> int:
        """Return the highest revision a name ever had; 0 for none."""
        found = self._connection.execute(
            select(func.max(SENDER_PROFILES.c.revision)).where(
                SENDER_PROFILES.c.organisation == organisation, SENDER_PROFILES.c.profile == profile
            )
        ).scalar_one_or_none()
        return found or 0

    def add(self, profile: RegisteredProfile, *, at: datetime) -> None:
        """Put a revision in the place of the one before it, which stays readable."""
        self.remove(profile, at=at)
        self._connection.execute(
            SENDER_PROFILES.insert().values(
                organisation=profile.organisation,
                profile=profile.content.profile,
                revision=profile.revision,
                content=profile.content.canonical(),
                source=profile.source,
                put_at=at,
            )
        )

    def remove(self, profile: RegisteredProfile, *, at: datetime) -> None:
        """Take a profile out of use; its revisions stay readable."""
        self._connection.execute(
            update(SENDER_PROFILES)
            .where(
                SENDER_PROFILES.c.organisation == profile.organisation,
                SENDER_PROFILES.c.profile == profile.content.profile,
                SENDER_PROFILES.c.ended_at.is_(None),
            )
            .values(ended_at=at)
        )

    def _read(self, query: Select[Any]) -> Sequence[RegisteredProfile]:
        return [
            RegisteredProfile(
                organisation=row.organisation, revision=row.revision, content=_content(row.content), source=row.source
            )
            for row in self._connection.execute(query)
        ]


def _in_use() -> Select[Any]:
    return (
        select(SENDER_PROFILES)
        .where(SENDER_PROFILES.c.ended_at.is_(None))
        .order_by(SENDER_PROFILES.c.profile, SENDER_PROFILES.c.organisation)
    )


@lru_cache(maxsize=1024)
def _content(text: str) -> SenderProfile:
    # Read at every look at a study, and never changed.
    return SenderProfile.model_validate_json(text)
