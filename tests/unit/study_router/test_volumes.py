"""What a scanner puts into one series although it scanned a place twice, and what only looks like it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest

from study_router.domain.instances import Header
from study_router.domain.volumes import volumes_of

_NUMBERS = count(1)
HEAD = [5.0 * index for index in range(20)]


def image(level: float, **said: object) -> Header:
    """Return the header of an axial image at a height in mm."""
    header = Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"1.2.{next(_NUMBERS)}",
        series_instance_uid="1.2",
        modality="CT",
        position=(-100.0, -100.0, level),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        rows=8,
        columns=8,
    )
    return replace(header, **said)  # type: ignore[arg-type]  # named fields


def scan(levels: Sequence[float], **said: object) -> list[Header]:
    return [image(level, **said) for level in levels]


def one_by_one(levels: Sequence[float], *, start: int = 1) -> list[Header]:
    """Return images each of which is an acquisition of its own."""
    return [
        image(level, acquisition_number=number, acquisition_time=f"{101500 + number}")
        for number, level in enumerate(levels, start=start)
    ]


def heights(volumes: Sequence[Sequence[Header]]) -> list[list[float]]:
    """Return the levels of each volume, rising."""
    return [sorted(header.position[2] for header in volume if header.position) for volume in volumes]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"temporal_position": 1}, {"temporal_position": 2}),
        ({"acquisition_uid": "1.2.3"}, {"acquisition_uid": "1.2.4"}),
        ({"acquisition_number": 1}, {"acquisition_number": 2}),
        ({"acquisition_time": "101500"}, {"acquisition_time": "101545.5"}),
        ({"contrast_agent": ""}, {"contrast_agent": "Ультравист 370"}),
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_place_scanned_twice_is_two_volumes_in_whatever_attribute_the_scanner_says_so(
    first: dict[str, object], second: dict[str, object]
) -> None:
    images = [*scan(HEAD, **first), *scan(HEAD, **second)]
    for arrived in (images, images[::-1]):
        volumes = volumes_of(arrived)
        assert heights(volumes) == [HEAD, HEAD]
        assert [len({(header.acquisition_uid, header.acquisition_time) for header in each}) for each in volumes] == [
            1,
            1,
        ]


def test_three_contrast_phases_that_only_their_times_tell_apart_are_three_volumes() -> None:
    phases = [scan(HEAD, acquisition_number=4, acquisition_time=time) for time in ("101500", "101530", "101700")]
    volumes = volumes_of([item for images in zip(*phases, strict=True) for item in images])
    assert [{header.acquisition_time for header in volume} for volume in volumes] == [
        {"101500"},
        {"101530"},
        {"101700"},
    ]


def test_a_sequential_scan_that_numbers_every_slice_is_one_volume() -> None:
    assert heights(volumes_of(one_by_one(HEAD))) == [HEAD]


def test_a_sequential_scan_downwards_is_one_volume() -> None:
    assert heights(volumes_of(one_by_one(HEAD[::-1]))) == [HEAD]


def test_slices_scanned_every_other_first_are_one_volume() -> None:
    assert heights(volumes_of(one_by_one([*HEAD[::2], *HEAD[1::2]]))) == [HEAD]
    passes = [*scan(HEAD[::2], acquisition_number=1), *scan(HEAD[1::2], acquisition_number=2)]
    assert heights(volumes_of(passes)) == [HEAD]


def test_two_blocks_with_two_spacings_are_one_volume() -> None:
    base, vault = [2.5 * index for index in range(16)], [40.0 + 5.0 * index for index in range(16)]
    blocks = [*scan(base, acquisition_number=1), *scan(vault, acquisition_number=2)]
    assert heights(volumes_of(blocks)) == [[*base, *vault]]


def test_two_blocks_that_share_the_plane_between_them_are_one_volume() -> None:
    base, vault = HEAD[:10], HEAD[9:]
    blocks = [*scan(base, acquisition_number=1), *scan(vault, acquisition_number=2)]
    assert heights(volumes_of(blocks)) == [sorted([*base, *vault])]
    numbered = [*one_by_one(base), *one_by_one(vault, start=11)]
    assert heights(volumes_of(numbered)) == [sorted([*base, *vault])]


def test_a_sequential_scan_made_twice_is_two_volumes() -> None:
    first, second = one_by_one(HEAD), one_by_one(HEAD, start=21)
    volumes = volumes_of([*second, *first])
    assert heights(volumes) == [HEAD, HEAD]
    assert {header.acquisition_number for header in volumes[0]} == set(range(1, 21))


def test_a_sequential_scan_made_twice_with_numbers_that_begin_again_is_told_apart_by_time() -> None:
    later = [replace(header, acquisition_time=f"{102500 + index}") for index, header in enumerate(one_by_one(HEAD))]
    volumes = volumes_of([*one_by_one(HEAD), *later])
    assert heights(volumes) == [HEAD, HEAD]
    assert max(header.acquisition_time for header in volumes[0]) < "1025"


def test_a_second_phase_that_reaches_further_does_not_leak_into_the_first() -> None:
    chest, both = [5.0 * index for index in range(40)], [5.0 * index for index in range(20, 100)]
    volumes = volumes_of([*one_by_one(chest), *one_by_one(both, start=41)])
    assert heights(volumes) == [chest, both]


def test_a_second_phase_at_other_heights_of_the_same_place_is_a_volume_of_its_own() -> None:
    shifted = [level + 1.7 for level in HEAD]
    volumes = volumes_of([*scan(HEAD, acquisition_number=1), *scan(shifted, acquisition_number=2)])
    assert heights(volumes) == [HEAD, shifted]


def test_one_slice_scanned_again_leaves_the_scan_whole() -> None:
    images = [*one_by_one(HEAD), image(HEAD[7], acquisition_number=21, acquisition_time="101600")]
    assert heights(volumes_of(images)) == [HEAD, [HEAD[7]]]


def test_a_slice_that_was_sent_twice_stays_where_it_is_to_be_judged() -> None:
    phases = [*scan(HEAD, acquisition_number=1), *scan(HEAD, acquisition_number=2)]
    again = image(HEAD[3], acquisition_number=2)
    assert heights(volumes_of([*phases, again])) == [HEAD, sorted([*HEAD, HEAD[3]])]


def test_what_nothing_tells_apart_stays_together_to_be_judged() -> None:
    assert heights(volumes_of([*scan(HEAD), *scan(HEAD)])) == [sorted([*HEAD, *HEAD])]


def test_images_turned_against_the_axes_are_told_apart_along_their_own_normal() -> None:
    sagittal = {"row_direction": (0.0, 1.0, 0.0), "column_direction": (0.0, 0.0, -1.0)}
    images = [
        image(0.0, position=(side, 0.0, 0.0), acquisition_number=number, **sagittal)
        for number in (1, 2)
        for side in (-10.0, 0.0, 10.0)
    ]
    volumes = volumes_of(images)
    assert [[header.acquisition_number for header in volume] for volume in volumes] == [[1, 1, 1], [2, 2, 2]]
