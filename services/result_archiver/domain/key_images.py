"""Which images are shown with the findings drawn in."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from udcmodel.result import AiResult, Box, Contour, Finding, Segment, SegmentLocation, unpack_mask
from udcmodel.vocabulary import Presence

MOST_KEY_IMAGES: Final = 16
"""More pictures than anybody looks at; what is not shown is still in the report and the segmentation."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image plane: an instance and a frame of it, from 1."""

    sop_instance_uid: str
    number: int = 1


@dataclass(frozen=True, slots=True)
class KeyImage:
    """A frame to show, and the findings that are drawn in it; none when nothing was found."""

    frame: Frame
    findings: tuple[Finding, ...]


def located(finding: Finding) -> bool:
    """Say whether the places of ``finding`` mean anything: what is absent is nowhere."""
    return finding.presence is not Presence.ABSENT and bool(finding.locations)


def shown_segments(result: AiResult) -> tuple[Segment, ...]:
    """Return the segments that belong to a finding which is not absent, in their own order."""
    wanted = {
        location.segment_number
        for finding in result.findings
        if located(finding)
        for location in finding.locations
        if isinstance(location, SegmentLocation)
    }
    return tuple(segment for segment in result.segments if segment.number in wanted)


def key_images(result: AiResult, *, study_instance_uid: str) -> tuple[KeyImage, ...]:
    """Choose what to show.

    For a segment the plane with its largest area (the first of equals), for a box or contour its image; findings on
    the same plane share a picture. When nothing has a place, the middle image of the study is shown alone.

    Args:
        result: What the device said.
        study_instance_uid: Only images of this study are shown, never a prior.
    """
    order = {
        source.sop_instance_uid: index
        for index, source in enumerate(result.sources)
        if source.study_instance_uid == study_instance_uid
    }
    pairs = [
        (frame, finding)
        for finding in result.findings
        for frame in _frames_of(finding, result)
        if frame.sop_instance_uid in order
    ]
    if not pairs:
        uids = list(order)
        return (KeyImage(Frame(uids[len(uids) // 2]), ()),)

    def place(pair: tuple[Frame, Finding]) -> tuple[int, int]:
        return order[pair[0].sop_instance_uid], pair[0].number

    grouped = groupby(sorted(pairs, key=place), key=lambda pair: pair[0])
    images = [KeyImage(frame, tuple(finding for _, finding in members)) for frame, members in grouped]
    return tuple(images[:MOST_KEY_IMAGES])


def _frames_of(finding: Finding, result: AiResult) -> Sequence[Frame]:
    if not located(finding):
        return ()
    segments = {segment.number: segment for segment in result.segments}
    frames: dict[Frame, None] = {}
    for location in finding.locations:
        match location:
            case SegmentLocation(segment_number=number):
                frames[_largest_plane(segments[number])] = None
            case Box() | Contour():
                frames[Frame(location.sop_instance_uid, location.frame_number)] = None
    return tuple(frames)


def _largest_plane(segment: Segment) -> Frame:
    areas = [
        int(np.count_nonzero(unpack_mask(frame.packed_mask, rows=segment.rows, columns=segment.columns)))
        for frame in segment.frames
    ]
    largest = segment.frames[areas.index(max(areas))]
    return Frame(largest.sop_instance_uid, largest.frame_number)


def mask_in(segment: Segment, frame: Frame) -> NDArray[np.bool_] | None:
    """Return the plane of ``segment`` that lies in ``frame``, shape ``(rows, columns)``, or None."""
    for plane in segment.frames:
        if (plane.sop_instance_uid, plane.frame_number) == (frame.sop_instance_uid, frame.number):
            return unpack_mask(plane.packed_mask, rows=segment.rows, columns=segment.columns)
    return None
