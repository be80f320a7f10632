"""How old a patient was, where the header can be believed."""

from dataclasses import dataclass
from datetime import date
from typing import Final

_PLACEHOLDERS: Final = frozenset({date(1900, 1, 1), date(1, 1, 1), date(1800, 1, 1), date(9999, 12, 31)})
_DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.436875, "Y": 365.2425}
_YEAR: Final = 365.2425
_OLDEST: Final = 125.0
_LAST_YEAR: Final = 9998
"""The calendar ends a year later, and a date in it stands for "never"."""
_MAX_DIFFERENCE: Final = 2.0
"""Patient's Age is in whole units and often filled in at registration: only two years apart is a contradiction."""


@dataclass(frozen=True, slots=True)
class Age:
    """Age in years at the date of the study, or None and why."""

    years: float | None
    why: str = ""


def age_at_study(*, birth_date: str, study_date: str, patient_age: str) -> Age:
    """Return the age at the study, from what the header really says.

    Args:
        birth_date: Patient's Birth Date (0010,0030), DA.
        study_date: Study Date (0008,0020), DA.
        patient_age: Patient's Age (0010,1010), AS.
    """
    born, when = parse_date(birth_date), parse_date(study_date)
    born_is_placeholder = born in _PLACEHOLDERS
    stated = _parse_age(patient_age)
    if stated == 0.0 and (born is None or born_is_placeholder):
        # Age 0 is what a form without a birth date is sent with; a real newborn has a birth date.
        stated = None
    if born is not None and when is not None:
        if not 0 <= when.year - born.year <= _OLDEST + 1 and not born_is_placeholder:
            return Age(None, "birth date and study date contradict each other")
        if when.year > _LAST_YEAR:
            return Age(None, "the study date is a placeholder")
        computed = _years_between(born, when)
        if born_is_placeholder:
            is_copied = stated is not None and abs(stated - computed) < _MAX_DIFFERENCE
            return Age(None, "the birth date is a placeholder") if stated is None or is_copied else Age(stated)
        if not 0.0 <= computed <= _OLDEST:
            return Age(None, "birth date and study date contradict each other")
        if stated is not None and abs(stated - computed) >= _MAX_DIFFERENCE:
            return Age(None, "Patient's Age and birth date contradict each other")
        return Age(computed)
    if stated is not None:
        return Age(stated) if stated <= _OLDEST else Age(None, "Patient's Age is impossible")
    return Age(None, "neither birth date nor Patient's Age is usable")


def age_band(years: float | None) -> str:
    """Return the five-year band, such as ``60-64``; empty when unknown, ``90+`` for the oldest."""
    if years is None:
        return ""
    if years >= 90.0:
        return "90+"
    low = int(years) // 5 * 5
    return f"{low}-{low + 4}"


def parse_date(text: str) -> date | None:
    """Return the date of a DICOM DA value; None for anything that is none."""
    digits = text.strip().replace(".", "")
    if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def _parse_age(text: str) -> float | None:
    value = text.strip().upper()
    if len(value) < 2 or value[-1] not in _DAYS or not value[:-1].isascii() or not value[:-1].isdigit():
        return None
    return int(value[:-1]) * _DAYS[value[-1]] / _YEAR


def _years_between(born: date, when: date) -> float:
    """Return whole years by the calendar plus the part of the running year."""
    whole = when.year - born.year - ((when.month, when.day) < (born.month, born.day))
    last = _birthday(born, born.year + whole)
    following = _birthday(born, born.year + whole + 1)
    return whole + (when - last).days / (following - last).days


def _birthday(born: date, year: int) -> date:
    if (born.month, born.day) == (2, 29):
        try:
            return date(year, 2, 29)
        except ValueError:
            return date(year, 3, 1)
    return date(year, born.month, born.day)
