"""A region for each module of fault tests: what one breaks is not the next one's surprise."""

from collections.abc import Iterator

import pytest

from faults.region_under_fault import RegionUnderFault
from faults.regions import running
from region.commands import set_up


@pytest.fixture(scope="module")
def under_fault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegionUnderFault]:
    """A running region with one archive and both reference devices attached."""
    with running(tmp_path_factory.mktemp("region")) as region:
        set_up(region)
        yield RegionUnderFault(region, tmp_path_factory.mktemp("studies"))
