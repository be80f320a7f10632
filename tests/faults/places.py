"""The named places at which each service is killed; ``tests/architecture`` keeps the list complete."""

from collections.abc import Mapping
from typing import Final

from udckit.security.identity import Service

_COMMITTING: Final = ("database.before_commit", "database.after_commit")
_CONSUMING: Final = ("consumer.before_effect", "consumer.after_commit", "consumer.after_ack")
_TELLING: Final = ("relay.after_number", "relay.after_publish")

PLACES: Final[Mapping[Service, tuple[str, ...]]] = {
    Service.STUDY_ROUTER: (
        *_COMMITTING,
        *_CONSUMING,
        *_TELLING,
        "router.before_cursor",
        "router.before_index",
        "router.before_plan",
        "router.before_backfill",
    ),
    Service.MODEL_SERVING: (*_COMMITTING, *_CONSUMING, *_TELLING, "serving.before_report"),
    Service.RESULT_ARCHIVER: (
        *_COMMITTING,
        *_CONSUMING,
        *_TELLING,
        "archiver.after_build_commit",
        "archiver.after_begin",
        "archiver.after_stow_seg",
        "archiver.after_stow_sc",
        "archiver.before_sr",
        "archiver.after_stow_sr",
        "archiver.after_readback",
    ),
    # It announces nothing, so its relay has nothing to number or to publish.
    Service.SURVEILLANCE_REPORTER: (*_COMMITTING, *_CONSUMING),
}
"""Where each service passes. What a library names, every service passes that does what the library does."""

PLACES_OF_OTHER_WAYS: Final[Mapping[str, str]] = {
    "router.before_sweep": "integration/study_router/test_archives.py",
    "router.before_statement": "integration/study_router/test_killed_while_hearing.py",
    "router.after_statement": "integration/study_router/test_killed_while_hearing.py",
}
"""Places that a study from an Orthanc's own feed does not pass, and where a service is killed there three times."""

PASSES: Final[Mapping[str, tuple[int, ...]]] = {
    # A service also commits when it starts and when it renews its leases: the first pass alone would be no study's.
    **dict.fromkeys(_COMMITTING, (1, 4, 9)),
}
"""At which pass it dies, for each of its deaths, where that is not always the first."""

ALWAYS_THE_FIRST: Final = (1, 1, 1)


def deaths_at(place: str) -> tuple[str, ...]:
    """Return a value of ``UDC_CRASH_AT`` for each death at ``place``."""
    return tuple(f"{place}:{nth}" for nth in PASSES.get(place, ALWAYS_THE_FIRST))
