"""What queries for studies find: what was asked for, what is told of each study, and whether an answer was whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

_LAST_S: Final = 86_399
"""The last second of a day."""
MOST_IN_A_SPAN: Final = 5000
"""More studies than this are not compared at once."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a study was made, as far as its header says. ``second`` is that of the day, in the archive's local time."""

    day: date | None = None
    second: int | None = None

    @classmethod
    def parse(cls, study_date: str, study_time: str) -> "Moment":
        """Read Study Date (0008,0020) and Study Time (0008,0030); what is malformed is absent."""
        return cls(_day(study_date), _second(study_time))

    @property
    def is_found_by_time(self) -> bool:
        """Say whether a query by date and time of day finds it."""
        return self.day is not None and self.second is not None

    def latest(self, zone: tzinfo) -> datetime | None:
        """Return the latest moment that it can mean; None when it has no day."""
        if self.day is None:
            return None
        second = _LAST_S if self.second is None else self.second
        return (datetime.combine(self.day, time.min, tzinfo=zone) + timedelta(seconds=second)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Days, or a part of one day from second ``from_s`` to ``to_s``, that are asked for at once."""

    first: date
    last: date
    from_s: int = 0
    to_s: int = _LAST_S

    @property
    def is_part_of_a_day(self) -> bool:
        """Say whether the time of day has to be asked for too."""
        return (self.from_s, self.to_s) != (0, _LAST_S)

    @property
    def ends_the_day(self) -> bool:
        """Say whether it reaches to midnight."""
        return self.to_s == _LAST_S

    def days(self) -> "tuple[Span, ...]":
        """Return its days one by one."""
        count = (self.last - self.first).days + 1
        return tuple(Span(day, day) for day in (self.first + timedelta(days=number) for number in range(count)))

    def halves(self) -> "tuple[Span, Span] | None":
        """Return two smaller ones that cover it; None when it cannot be smaller.

        The halves of a day share the second in the middle: a time with a fraction after it must not fall between them.
        """
        days = (self.last - self.first).days
        if days:
            middle = self.first + timedelta(days=days // 2)
            return Span(self.first, middle), Span(middle + timedelta(days=1), self.last)
        if self.to_s - self.from_s < 2:
            return None
        cut = (self.from_s + self.to_s) // 2
        return replace(self, to_s=cut), replace(self, from_s=cut)

    def covers(self, other: "Span") -> bool:
        """Say whether all days of ``other`` are among its own."""
        return self.first <= other.first and other.last <= self.last

    def may_answer(self, moment: Moment) -> bool:
        """Say whether an archive that selects as it is asked may answer with such a study."""
        if moment.day is not None and not self.first <= moment.day <= self.last:
            return False
        return not self.is_part_of_a_day or moment.second is None or self.from_s <= moment.second <= self.to_s

    def __str__(self) -> str:
        days = self.first.isoformat() if self.first == self.last else f"{self.first} to {self.last}"
        return f"{days}, {clock_of(self.from_s)} to {clock_of(self.to_s)}" if self.is_part_of_a_day else days

    def to_plain(self) -> list[Any]:
        """Return it as plain values."""
        return [self.first.isoformat(), self.last.isoformat(), self.from_s, self.to_s]

    @classmethod
    def from_plain(cls, value: Sequence[Any]) -> "Span":
        """Undo ``to_plain``."""
        return cls(date.fromisoformat(value[0]), date.fromisoformat(value[1]), value[2], value[3])


def clock_of(second: int) -> str:
    """Return a second of the day as ``HHMMSS``, the form of DICOM's TM."""
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a query tells about a study, by which it is seen to have changed. Absent is None or empty.

    Attributes:
        instances: Number of Study Related Instances (0020,1208).
        series: Number of Study Related Series (0020,1206).
        modalities: Modalities in Study (0008,0061), in order.
    """

    instances: int | None = None
    series: int | None = None
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study as a query shows it."""

    study_instance_uid: str
    moment: Moment
    fingerprint: Fingerprint

    @property
    def instances(self) -> int:
        """How many instances the archive says that it holds."""
        return self.fingerprint.instances or 0


@dataclass(frozen=True, slots=True)
class StudyPage:
    """An answer to a query for studies.

    Attributes:
        studies: What it holds.
        says_more: The archive says that there is more than it gives, or that there is too much to give.
    """

    studies: tuple[ListedStudy, ...]
    says_more: bool = False


class Listing:
    """Everything that one query finds, put together from its pages.

    Args:
        limit: How many studies were asked for at once.
        span: What was asked for. None for everything, which cannot be asked for in smaller pieces: only what the
            archive says, or shows by repeating itself, counts there.
    """

    def __init__(self, *, limit: int, span: Span | None = None) -> None:
        self.studies: dict[str, ListedStudy] = {}
        self.received = 0
        self.is_whole = True
        self.ignores_selection = False
        self._limit = limit
        self._span = span
        self._first_page = 0
        self._said_more = False

    def add(self, page: StudyPage) -> bool:
        """Take a page; say whether the next has to be asked for: only one with nothing new is the end."""
        known = self.studies.keys()
        new = {study.study_instance_uid: study for study in page.studies if study.study_instance_uid not in known}
        if self._span is not None and any(not self._span.may_answer(study.moment) for study in new.values()):
            self.ignores_selection, self.is_whole = True, False
            return False
        if not new:
            is_repeated = bool(page.studies)
            is_short = is_repeated and self._first_page == self._limit
            is_doubtful = self._span is not None and _is_a_cap(len(self.studies))
            self.is_whole = not (page.says_more or self._said_more or is_short or is_doubtful)
            return False
        self._first_page = self._first_page or len(page.studies)
        self._said_more = page.says_more
        self.received += len(page.studies)
        self.studies |= new
        self.is_whole = self._span is None or len(self.studies) <= MOST_IN_A_SPAN
        return self.is_whole


def _is_a_cap(count: int) -> bool:
    """Say whether a number of answers looks like a limit of the archive.

    Limits are round, decimal or binary. Of two archives with as many answers one has no more and one hides the rest:
    both are asked again in smaller pieces, and nothing is lost but a few queries.
    """
    return count > 0 and (count % 50 == 0 or count % 64 == 0)


def _day(text: str) -> date | None:
    digits = text.replace(".", "")
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    year = int(digits[:4])
    if not MINYEAR < year < MAXYEAR:  # nobody's date, and one that cannot be moved between time zones
        return None
    try:
        return date(year, int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def _second(text: str) -> int | None:
    digits = text.replace(":", "").partition(".")[0]
    if len(digits) not in {2, 4, 6} or not digits.isascii() or not digits.isdigit():
        return None
    hour, minute, second = (int(digits[start : start + 2] or 0) for start in (0, 2, 4))
    # A leap second is the last one of its minute to us.
    return hour * 3600 + minute * 60 + min(second, 59) if hour < 24 and minute < 60 and second <= 60 else None
