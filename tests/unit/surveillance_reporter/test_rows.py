"""What is answered adds up: errors by fault to the errors, verdicts to the results."""

from collections import Counter
from datetime import date

from surveillance_reporter.adapters.grpc_api import rows_of
from surveillance_reporter.domain.counting import Bucket, Verdict
from udc.events.v1 import job_pb2
from udc.surveillance.v1 import surveillance_pb2 as pb
from udcmodel.vocabulary import ErrorCategory, Mode, Outcome


def bucket(
    outcome: Outcome,
    *,
    category: ErrorCategory | None = None,
    verdict: Verdict | None = None,
    day: int = 1,
    mode: Mode = Mode.LIVE,
) -> Bucket:
    return Bucket(
        day=date(2026, 3, day),
        device="ct",
        version="1.0.0",
        organisation="1.2.3",
        mode=mode,
        outcome=outcome,
        category=category,
        verdict=verdict,
    )


def test_errors_are_divided_by_fault_and_an_unsuitable_input_is_none() -> None:
    [row] = rows_of(
        {
            bucket(Outcome.FAILED, category=ErrorCategory.OTHER): 5,
            bucket(Outcome.FAILED, category=ErrorCategory.SERVER_UNAVAILABLE): 3,
            bucket(Outcome.EXPIRED): 2,
            bucket(Outcome.INSUFFICIENT, category=ErrorCategory.SERIES): 7,
        }
    )

    assert row.errors == pb.ErrorCounts(of_device=5, not_of_device=3, unattributed=2)
    assert {(item.outcome, item.count) for item in row.outcomes} == {
        (job_pb2.OUTCOME_INSUFFICIENT, 7),
        (job_pb2.OUTCOME_FAILED, 8),
        (job_pb2.OUTCOME_EXPIRED, 2),
    }
    assert {(item.outcome, item.category, item.count) for item in row.categories} == {
        (job_pb2.OUTCOME_INSUFFICIENT, job_pb2.ERROR_CATEGORY_SERIES, 7),
        (job_pb2.OUTCOME_FAILED, job_pb2.ERROR_CATEGORY_OTHER, 5),
        (job_pb2.OUTCOME_FAILED, job_pb2.ERROR_CATEGORY_SERVER_UNAVAILABLE, 3),
        (job_pb2.OUTCOME_EXPIRED, job_pb2.ERROR_CATEGORY_UNSPECIFIED, 2),
    }


def test_only_the_eighth_category_is_the_fault_of_the_device() -> None:
    faults = Counter[str]()
    for category in ErrorCategory:
        [row] = rows_of({bucket(Outcome.FAILED, category=category): 1})
        faults.update(of_device=row.errors.of_device, not_of_device=row.errors.not_of_device)

    assert faults == {"of_device": 1, "not_of_device": 7}


def test_results_are_divided_by_what_they_say() -> None:
    [row] = rows_of({bucket(Outcome.ARCHIVED, verdict=verdict): size for size, verdict in enumerate(Verdict, start=1)})

    assert row.verdicts == pb.VerdictCounts(normal=1, pathology=2, undetermined=3, unknown=4)
    assert [(item.outcome, item.count) for item in row.outcomes] == [(job_pb2.OUTCOME_ARCHIVED, 10)]


def test_days_and_modes_are_rows_of_their_own_in_order() -> None:
    rows = rows_of(
        {
            bucket(Outcome.ARCHIVED, verdict=Verdict.NORMAL, day=2): 1,
            bucket(Outcome.KEPT, verdict=Verdict.NORMAL, day=1, mode=Mode.SHADOW): 1,
            bucket(Outcome.ARCHIVED, verdict=Verdict.NORMAL, day=1): 1,
        }
    )

    assert [(row.day, row.mode) for row in rows] == [
        ("2026-03-01", job_pb2.MODE_LIVE),
        ("2026-03-01", job_pb2.MODE_SHADOW),
        ("2026-03-02", job_pb2.MODE_LIVE),
    ]
