"""A region for each module of fault tests: what one breaks is not the next one's surprise."""

import asyncio
from collections.abc import Iterator

import pytest

from faults.region_under_fault import RegionUnderFault
from region.commands import set_up
from region.stack import Region, Times

TIMES = Times(input_quiet_s=1.0, study_quiet_s=3.0)


@pytest.fixture(scope="module")
def under_fault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegionUnderFault]:
    """A running region with one archive and both reference devices attached."""
    region = Region(tmp_path_factory.mktemp("region"), times=TIMES, say=print)
    asyncio.run(region.__aenter__())
    try:
        set_up(region)
        yield RegionUnderFault(region, tmp_path_factory.mktemp("studies"))
    finally:
        asyncio.run(region.__aexit__())
