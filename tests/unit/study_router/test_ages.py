"""Ages are believed only where the header can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_router.domain.ages import age_at_study, age_band, parse_date


@pytest.mark.parametrize(
    ("birth_date", "study_date", "patient_age", "years"),
    [
        ("20060301", "20240301", "", 18.0),
        ("20060302", "20240301", "", pytest.approx(17.997, abs=0.002)),
        ("20040229", "20220228", "", pytest.approx(17.997, abs=0.002)),
        ("20040229", "20220301", "", 18.0),
        ("19600229", "20240315", "064Y", pytest.approx(64.04, abs=0.01)),
        ("", "20240315", "064Y", pytest.approx(64.0)),
        ("", "20240315", "018M", pytest.approx(1.5, abs=0.01)),
        ("20240310", "20240315", "005D", pytest.approx(5 / 366, abs=0.001)),
        ("20240315", "20240315", "000Y", 0.0),
        ("19000101", "20240315", "045Y", pytest.approx(45.0)),
    ],
)
def test_an_age_that_can_be_known_is_the_age_on_the_day_of_the_study(
    birth_date: str, study_date: str, patient_age: str, years: float
) -> None:
    assert age_at_study(birth_date=birth_date, study_date=study_date, patient_age=patient_age).years == years


@pytest.mark.parametrize(
    ("birth_date", "study_date", "patient_age"),
    [
        ("", "20240315", ""),
        ("", "20240315", "000Y"),
        ("19000101", "20240315", ""),
        ("19000101", "20240315", "124Y"),
        ("19000101", "20240315", "000Y"),
        ("20300101", "20240315", ""),
        ("18800101", "20240315", ""),
        ("19600229", "20240315", "034Y"),
        ("19600229", "", ""),
        ("nonsense", "20240315", "old"),
        ("", "20240315", "200Y"),
        ("20241301", "20240315", ""),
        ("20000101", "99991231", ""),
        ("99991231", "99991231", ""),
        ("99980101", "99991231", "001Y"),
        ("19000101", "99991231", ""),
    ],
)
def test_an_age_that_cannot_be_known_is_unknown_with_a_reason(
    birth_date: str, study_date: str, patient_age: str
) -> None:
    age = age_at_study(birth_date=birth_date, study_date=study_date, patient_age=patient_age)
    assert age.years is None
    assert age.why


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=6))
def test_nothing_that_a_header_may_hold_is_an_error(birth_date: str, study_date: str, patient_age: str) -> None:
    age = age_at_study(birth_date=birth_date, study_date=study_date, patient_age=patient_age)
    assert age.years is None or 0.0 <= age.years <= 125.0


@given(st.dates(), st.dates())
def test_age_never_falls_as_the_study_moves_on(first: object, second: object) -> None:
    earlier, later = sorted((str(first).replace("-", ""), str(second).replace("-", "")))
    ages = [age_at_study(birth_date="19600229", study_date=date, patient_age="").years for date in (earlier, later)]
    if None not in ages:
        assert ages[0] <= ages[1]  # type: ignore[operator]  # both are known


@pytest.mark.parametrize(
    ("years", "band"), [(None, ""), (0.0, "0-4"), (4.99, "0-4"), (5.0, "5-9"), (64.2, "60-64"), (90.0, "90+")]
)
def test_bands_are_five_years(years: float | None, band: str) -> None:
    assert age_band(years) == band


@pytest.mark.parametrize("text", ["2024.03.15", "20240315", " 20240315 "])
def test_both_ways_of_writing_a_date_are_read(text: str) -> None:
    assert str(parse_date(text)) == "2024-03-15"
