"""SEG: the segments of a result, one binary plane per source frame that has any."""

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from result_archiver.adapters.dicom.coding import ARTIFICIAL_INTELLIGENCE, dicom_code, optional_dicom_code
from result_archiver.adapters.dicom.marks import common_arguments, det_uid, finish
from result_archiver.adapters.dicom.sources import Sources, is_placed, lent
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.key_images import located, shown_segments
from result_archiver.domain.objects import BuildOrder, ObjectKind
from udcmodel.result import AiResult, Finding, Segment, SegmentLocation, unpack_mask

_COLOURS: Sequence[tuple[int, int, int]] = ((255, 64, 64), (255, 200, 0), (0, 200, 255), (190, 100, 255))


def tracking_uid(order: BuildOrder, finding: Finding) -> str:
    """Return the UID by which a finding is followed; the same in every object of the result."""
    return det_uid(order, "tracking", [other.id for other in order.result.findings].index(finding.id))


def finding_of(result: AiResult, segment: Segment) -> Finding:
    """Return the finding whose place ``segment`` is; only for shown segments."""
    return next(
        finding
        for finding in result.findings
        if located(finding) and SegmentLocation(segment_number=segment.number) in finding.locations
    )


def build_segmentation(order: BuildOrder, sources: Sources) -> Segmentation | None:
    """Build the SEG of a result, or None when there is nothing to segment.

    Segments are numbered from 1 in the order of the result. The images without a voxel are not referenced: the report
    has them in its evidence.

    Raises:
        CannotArchiveError: a segment lies on an image without a place in a frame of reference, or on several of them.
    """
    segments = shown_segments(order.result)
    if not segments:
        return None
    hit = {frame.sop_instance_uid for segment in segments for frame in segment.frames}
    images = [image for image in sources.images if str(image.SOPInstanceUID) in hit]
    _check(images, hit)
    dataset = Segmentation(
        source_images=lent(images),
        pixel_array=_masks(segments, images),
        segmentation_type="BINARY",
        segment_descriptions=[_description(order, number, segment) for number, segment in enumerate(segments, start=1)],
        content_label="AI_SEGMENTATION",
        content_description="AI result",
        **common_arguments(order, sources, ObjectKind.SEG),
    )
    finish(dataset, order, sources.when)
    return dataset


def _check(images: Sequence[Dataset], hit: set[str]) -> None:
    if len(images) < len(hit):
        raise CannotArchiveError(FailureReason.RESULT_INVALID, "a segment lies on an image of another study")
    if not all(is_placed(image) for image in images):
        raise CannotArchiveError(
            FailureReason.SOURCE_WITHOUT_GEOMETRY,
            "a segment lies on an image without position, orientation, spacing or frame of reference",
        )
    if len({(image.FrameOfReferenceUID, image.SOPClassUID, image.Rows, image.Columns) for image in images}) > 1:
        raise CannotArchiveError(
            FailureReason.RESULT_INVALID, "the segments lie on images of different frames of reference or sizes"
        )
    if "PerFrameFunctionalGroupsSequence" in images[0] and len(images) > 1:
        raise CannotArchiveError(FailureReason.RESULT_INVALID, "the segments lie on several multi-frame images")
    if "PerFrameFunctionalGroupsSequence" not in images[0] and not all(image.get("SliceThickness") for image in images):
        raise CannotArchiveError(
            FailureReason.SOURCE_ATTRIBUTE_MISSING, "a source image has neither SliceThickness nor a neighbour"
        )


def _masks(segments: Sequence[Segment], images: Sequence[Dataset]) -> NDArray[np.uint8]:
    """Lay the planes out as highdicom takes them: ``(frames, rows, columns, segments)``."""
    place: dict[tuple[str, int], int] = {}
    for image in images:
        for number in range(1, int(image.get("NumberOfFrames") or 1) + 1):
            place[str(image.SOPInstanceUID), number] = len(place)
    masks = np.zeros((len(place), images[0].Rows, images[0].Columns, len(segments)), np.uint8)
    for index, segment in enumerate(segments):
        for frame in segment.frames:
            plane = place.get((frame.sop_instance_uid, frame.frame_number))
            if plane is None:
                raise CannotArchiveError(
                    FailureReason.RESULT_INVALID, f"segment {segment.number} lies on a frame that does not exist"
                )
            masks[plane, ..., index] = unpack_mask(frame.packed_mask, rows=segment.rows, columns=segment.columns)
    return masks


def _description(order: BuildOrder, number: int, segment: Segment) -> SegmentDescription:
    finding = finding_of(order.result, segment)
    site = optional_dicom_code(finding.site)
    return SegmentDescription(
        segment_number=number,
        segment_label=segment.label[:64],
        segmented_property_category=dicom_code(segment.category),
        segmented_property_type=dicom_code(segment.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=order.device.device,
            family=ARTIFICIAL_INTELLIGENCE,
            version=order.device.version,
            source=order.device.manufacturer[:64],
        ),
        tracking_id=finding.id,
        tracking_uid=tracking_uid(order, finding),
        anatomic_regions=[site] if site else None,
        display_color=hd.color.CIELabColor.from_rgb(*_COLOURS[(number - 1) % len(_COLOURS)]),
    )
