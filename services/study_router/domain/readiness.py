"""When input is finished, and when a study is: two questions kept apart, each decided with its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from study_router.domain.finished import Finished
from study_router.domain.instances import DERIVED_MODALITIES, InstanceClass
from study_router.domain.studies import StoredInstance, Study, StudyState


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long silence must last. Evidence for "finished", never for "caught up".

    Attributes:
        stack: Of the stacks that a device needs, before its job starts.
        study: Of the whole study, before it is closed.
        stack_why: From whom and from how much the first was learnt; empty for the setting.
        study_why: The same of the second.
    """

    stack: timedelta
    study: timedelta
    stack_why: str = ""
    study_why: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """Whether a study is closed now, and what that rests on; else when to look again."""

    is_due: bool
    evidence: tuple[str, ...]
    look_at: datetime


NOTHING_SAID: Final = Finished()


def closing_of(
    study: Study,
    *,
    now: datetime,
    quiet: Quiet,
    finished: Finished = NOTHING_SAID,
    longest: timedelta = timedelta(0),
) -> Closing:
    """Decide whether the study is finished.

    Args:
        study: The study.
        now: The time.
        quiet: How long it must be silent where nobody says that it is finished.
        finished: What was said about its end.
        longest: How long it must be silent where somebody says that more is to come; what is said and never comes
            must not keep it open for ever.
    """
    if study.is_forced:
        return Closing(is_due=True, evidence=("forced by an operator", *finished.lines), look_at=now)
    if finished.is_certain:
        return Closing(is_due=True, evidence=finished.lines, look_at=now)
    wait, needed = quiet.study, quiet.study_why or f"{quiet.study.total_seconds():g} s"
    if finished.against and longest > wait:
        wait, needed = longest, f"{longest.total_seconds():g} s"
    closes_at = study.last_arrival_at + wait
    evidence = (f"quiet for {needed}", *finished.lines) if now >= closes_at else ()
    return Closing(is_due=now >= closes_at, evidence=evidence, look_at=closes_at)


def became_complete_at(study: Study, *, quiet: Quiet) -> datetime:
    """Return when the study became complete, whether or not anybody was looking: by silence, or closed before it."""
    silent_at = study.last_arrival_at + quiet.study
    if study.state is StudyState.CLOSED and study.closed_at is not None:
        return min(study.closed_at, silent_at)
    return silent_at


def behind(instances: Sequence[StoredInstance], *, archive: str, held: Mapping[str, int]) -> tuple[str, ...]:
    """Say in which series our index and the archive differ; empty when we have caught up.

    Series without a source instance do not count: results that are being stored must not hold up input.

    Args:
        instances: What we know of the study.
        archive: The archive that was asked.
        held: Number of instances of each series there.
    """
    known: dict[str, int] = {}
    with_source: set[str] = set()
    for instance in instances:
        if instance.archive != archive:
            continue
        series = instance.header.series_instance_uid
        known[series] = known.get(series, 0) + 1
        if instance.instance_class is InstanceClass.SOURCE or instance.header.modality not in DERIVED_MODALITIES:
            with_source.add(series)
    differing = [series for series in with_source if held.get(series, 0) != known[series]]
    unknown = [series for series in held if series not in known]
    return tuple(sorted((*differing, *unknown)))
