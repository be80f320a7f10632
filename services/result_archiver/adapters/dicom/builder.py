"""Builds all objects of a result: a pure function of the build order and ``BUILDER_VERSION``."""

import asyncio
from typing import Final

from highdicom import SOPClass

from result_archiver.adapters.dicom.capture import build_captures
from result_archiver.adapters.dicom.drawing import Typeface
from result_archiver.adapters.dicom.marks import BUILDER_VERSION, encoded
from result_archiver.adapters.dicom.report import build_report
from result_archiver.adapters.dicom.segmentation import build_segmentation
from result_archiver.adapters.dicom.sources import read_sources
from result_archiver.domain.failure import CannotArchiveError, FailureReason
from result_archiver.domain.objects import BuildOrder, EncodedObject, ObjectKind
from udckit import telemetry

_CODING_ERRORS: Final = (ValueError, TypeError, LookupError, AttributeError, OverflowError, NotImplementedError)
"""What the libraries raise at what they cannot take. Their texts may quote a name, so only the kind is told."""


class AirBuilder:
    """Builds the ``air`` profile: SEG where a segment is shown, SC of the key images, SR by TID 1500.

    Args:
        typeface: What captions are written in.
    """

    version = BUILDER_VERSION

    def __init__(self, typeface: Typeface) -> None:
        self._typeface = typeface

    async def __call__(self, order: BuildOrder) -> tuple[EncodedObject, ...]:
        """Build in a thread, because the work takes about a second and would hold up the event loop.

        Raises:
            CannotArchiveError: the sources or the result do not allow valid objects.
        """
        with telemetry.span("dicom.build"):
            return await asyncio.to_thread(build, order, self._typeface)


def build(order: BuildOrder, typeface: Typeface) -> tuple[EncodedObject, ...]:
    """Build the objects of a result in the order in which they are stored.

    Raises:
        CannotArchiveError: the sources or the result do not allow valid objects.
    """
    try:
        sources = read_sources(order)
    except _CODING_ERRORS as error:
        raise CannotArchiveError(
            FailureReason.SOURCE_ATTRIBUTE_MISSING, f"a source image's header is malformed ({type(error).__name__})"
        ) from error
    try:
        segmentation = build_segmentation(order, sources)
        captures = build_captures(order, sources, typeface)
        report = build_report(order, sources, segmentation)
        objects: list[tuple[SOPClass, ObjectKind]] = [(capture, ObjectKind.SC) for capture in captures]
        if segmentation is not None:
            objects.insert(0, (segmentation, ObjectKind.SEG))
        return tuple(encoded(dataset, kind) for dataset, kind in [*objects, (report, ObjectKind.SR)])
    except _CODING_ERRORS as error:  # what highdicom refuses beyond our own checks
        raise CannotArchiveError(
            FailureReason.BUILD_FAILED, f"the objects cannot be encoded ({type(error).__name__})"
        ) from error
