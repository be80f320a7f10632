"""The permissions are complete: what the platform names is granted, and to one service only."""

import re

import pytest

from udckit import subjects
from udckit.security.identity import Service
from udckit.security.nats_accounts import CONNECTING, permissions_of

WORKERS = [service for service in CONNECTING if service is not Service.PROVISIONER]
CONSTANTS = {name: value for name, value in vars(subjects).items() if name.isupper() and isinstance(value, str)}
EVENTS = sorted(
    value if name != "JOB_DISPATCHED" else subjects.job_dispatched("default", "urgent")
    for name, value in CONSTANTS.items()
    if value.startswith(f"{subjects.PREFIX}.")
)
DURABLES = [
    *sorted(value for name, value in CONSTANTS.items() if name.startswith("DURABLE_")),
    subjects.durable_serving_jobs("default"),
]


def covers(granted: str, subject: str) -> bool:
    """Say whether the NATS pattern ``granted`` matches ``subject``."""
    pattern = re.escape(granted).replace(r"\*", r"[^.]+").replace(r"\>", ".+").replace(">", ".+")
    return re.fullmatch(pattern, subject) is not None


def granted_to(subject: str) -> list[Service]:
    return [
        service for service in WORKERS if any(covers(granted, subject) for granted in permissions_of(service).publish)
    ]


def test_the_platform_has_events_and_consumers() -> None:
    assert "udc.events.v1.job.started" in EVENTS
    assert "study-router-job" in DURABLES


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_announced_by_one_service(event: str) -> None:
    assert len(granted_to(event)) == 1


@pytest.mark.parametrize("durable", DURABLES)
def test_every_consumer_belongs_to_the_service_it_is_named_after(durable: str) -> None:
    [owner] = granted_to(f"$JS.API.CONSUMER.MSG.NEXT.EVENTS.{durable}")

    assert durable.startswith(owner)
    assert granted_to(f"$JS.ACK.EVENTS.{durable}.1.2.3.4.5") == [owner]


@pytest.mark.parametrize("service", CONNECTING)
def test_a_service_hears_its_own_inbox_and_what_every_replica_must_hear(service: Service) -> None:
    overheard = (subjects.JOB_CANCELED,) if service is Service.MODEL_SERVING else ()

    assert permissions_of(service).subscribe == (f"_INBOX_{service}.>", *overheard)


@pytest.mark.parametrize("service", WORKERS)
def test_no_worker_holds_a_wildcard_over_the_api_or_the_events(service: Service) -> None:
    too_wide = {">", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$KV.>", "$O.>", "$SYS.>", "udc.events.v1.>", "dlq.>"}

    assert not too_wide & set(permissions_of(service).publish)
