"""A result archiver of a later version, whose objects differ in every file: ``python -m faults.another_builder``."""

from typing import Final

from result_archiver.__main__ import main
from result_archiver.adapters.dicom import marks
from result_archiver.adapters.dicom.builder import AirBuilder
from result_archiver.domain.objects import BuildOrder

DESCRIPTION: Final = "built by another version"
"""Series Description (0008,103E) of everything it builds."""


def series_description(order: BuildOrder) -> str:
    """Return what stands in its objects instead."""
    del order
    return DESCRIPTION


if __name__ == "__main__":
    marks.series_description = series_description
    AirBuilder.version = "another"
    main()
