"""Phantom studies as the router's metadata reader sees them: through DICOM JSON, as from an archive."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache

from pydicom.dataset import Dataset

from study_router.adapters.headers import seen_instance
from study_router.domain.instances import classify
from study_router.domain.stacks import Stack, build_stacks
from study_router.domain.studies import SeenInstance, StoredInstance
from udcphantom.study import Study
from udcphantom.variants import variant

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def seen(datasets: Iterable[Dataset]) -> list[SeenInstance]:
    """Return what the reader makes of the datasets' metadata."""
    found = []
    for dataset in datasets:
        dataset.pop("PixelData", None)
        instance = seen_instance(json.loads(dataset.to_json()))
        assert instance is not None
        found.append(instance)
    return found


def stored(instances: Iterable[SeenInstance], *, archive: str = "hospital") -> list[StoredInstance]:
    """Return the instances as the index holds them."""
    return [
        StoredInstance(
            archive=archive,
            instance_class=classify(item.header, is_own=lambda uid: False),  # noqa: ARG005 nothing is ours here
            header=item.header,
            arrived_at=NOON,
        )
        for item in instances
    ]


def stacks_of(study: Study) -> tuple[Stack, ...]:
    """Return the stacks of a phantom study."""
    return build_stacks(stored(seen(study.datasets())), study_instance_uid=study.uid, archives=["hospital"])


@cache
def phantom(name: str) -> Study:
    """Return a variant; made once, because painting takes its time and nothing changes it."""
    return variant(name)


@cache
def stacks_of_phantom(name: str) -> tuple[Stack, ...]:
    """Return the stacks of a variant."""
    return stacks_of(phantom(name))
