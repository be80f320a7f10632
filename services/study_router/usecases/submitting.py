"""A person names studies that no feed shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from study_router.domain.listings import ListedStudy
from study_router.domain.registry import Archive, FeedKind
from study_router.domain.studies import Touched
from study_router.domain.uids import LONGEST_UID, is_uid
from study_router.ports import Connectors, Store, Transaction
from study_router.usecases.sweeping import differing_series
from udckit.clock import Clock
from udckit.errors import InvalidRequestError, NotFoundError, PreconditionError

MAX_NAMED: Final = 1000
_NAMED_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Submitted:
    """A study that was named: what the archive holds of it, and how many of its series are read now."""

    study_instance_uid: str
    series: int
    instances: int
    series_to_read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitStudies:
    """Have studies read as if they came now.

    Attributes:
        store: Transactions.
        connectors: Access to archives.
        clock: Time.
    """

    store: Store
    connectors: Connectors
    clock: Clock

    async def __call__(self, *, archive: str, study_instance_uids: Sequence[str]) -> Sequence[Submitted]:
        """Touch what the index lacks of them; what it has already stays as it is. All are taken, or none.

        Raises:
            InvalidRequestError: no study is named, too many are, or one by something that is no UID.
            NotFoundError: there is no such archive, or it does not hold a study.
            PreconditionError: nothing is read from that archive.
            UpstreamUnavailableError: the archive is away.
        """
        uids = list(dict.fromkeys(study_instance_uids))
        if not uids:
            raise InvalidRequestError("name at least one study")
        if len(uids) > MAX_NAMED:
            raise InvalidRequestError(f"at most {MAX_NAMED} studies can be named at once")
        for uid in uids:
            if not is_uid(uid):
                raise InvalidRequestError(f"{uid[:LONGEST_UID]!r} is no Study Instance UID")
        known = await self.store.read(lambda transaction: transaction.registry.archive(archive))
        if known.feed is FeedKind.NONE:
            raise PreconditionError(f"archive {archive} was added without a feed: nothing is read from it")
        connector = await self.connectors.connector(known)
        listed: dict[str, ListedStudy] = {}
        for start in range(0, len(uids), _NAMED_AT_ONCE):
            listed.update(await connector.named(uids[start : start + _NAMED_AT_ONCE]))
        missing = [uid for uid in uids if uid not in listed]
        if missing:
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise NotFoundError(f"archive {archive} holds no study {missing[0]}{others}; nothing was submitted")
        held = {uid: await connector.counts(uid) for uid in uids}
        return await self.store.transact(partial(self._submit, archive=known, held=held))

    def _submit(
        self, transaction: Transaction, *, archive: Archive, held: Mapping[str, Mapping[str, int]]
    ) -> Sequence[Submitted]:
        now = self.clock.now()
        name = archive.archive
        submitted: list[Submitted] = []
        for uid, series in held.items():
            indexed = transaction.intake.series_of(name, uid)
            differing = differing_series(transaction, name, held=series, indexed=indexed)
            touched = [Touched(uid, item, now) for item in differing]
            transaction.intake.touch(name, touched, now=now, pause_s=0.0)
            if touched:
                subject = f"archives/{name}/studies/{uid}"
                transaction.audit(action="study.submitted", subject=subject, at=now, series=len(touched))
            submitted.append(Submitted(uid, len(series), sum(series.values()), len(touched)))
        return submitted
