"""A whole region with every real part, shared by the end-to-end tests of a module."""

import asyncio
from collections.abc import Iterator

import pytest

from e2e.terminal import Terminal
from e2e.watching import Watcher
from region.commands import set_up
from region.stack import Region, Times

TIMES = Times(input_quiet_s=2.0, study_quiet_s=6.0)


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A running region with one archive and both reference devices attached."""
    region = Region(tmp_path_factory.mktemp("region"), times=TIMES, say=print)
    asyncio.run(region.__aenter__())
    try:
        set_up(region)
        yield region
    finally:
        asyncio.run(region.__aexit__())


@pytest.fixture(scope="module")
def watcher(region: Region) -> Watcher:
    """Sees what a person with the command line sees."""
    return Watcher(region)


@pytest.fixture(scope="module")
def terminal(region: Region) -> Terminal:
    """The terminal of an administrator."""
    return Terminal(region, region.state / "token")
