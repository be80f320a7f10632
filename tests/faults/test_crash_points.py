"""Each service dies at each named place, three times; then every study has its one result."""

import asyncio
import contextlib

import pytest

from e2e.watching import until_dead
from faults.region_under_fault import RegionUnderFault
from udckit.security.identity import Service
from udckit.testing.process import ServerFailedError

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

EVERYWHERE = (
    "database.before_commit",
    "database.after_commit",
    "consumer.before_effect",
    "consumer.after_commit",
    "consumer.after_ack",
    "relay.after_number",
    "relay.after_publish",
)
IN_THE_ARCHIVER = (
    "archiver.after_build_commit",
    "archiver.after_begin",
    "archiver.after_stow_seg",
    "archiver.after_stow_sc",
    "archiver.before_sr",
    "archiver.after_stow_sr",
    "archiver.after_readback",
)
PLACES = [
    *(
        (service, place)
        for service in (Service.STUDY_ROUTER, Service.MODEL_SERVING, Service.RESULT_ARCHIVER)
        for place in EVERYWHERE
    ),
    *((Service.RESULT_ARCHIVER, place) for place in IN_THE_ARCHIVER),
]
DEATHS = 3


@pytest.mark.parametrize(("service", "place"), PLACES, ids=str)
def test_a_service_may_die_anywhere(under_fault: RegionUnderFault, service: Service, place: str) -> None:
    first_seed = 1000 + 10 * PLACES.index((service, place))

    async def die_and_recover() -> list[str]:
        process = under_fault.process(service)
        uids = []
        for death in range(DEATHS):
            await process.stop()
            process.environment_changes["UDC_CRASH_AT"] = place
            # It may be so quick to die that it was never ready.
            with contextlib.suppress(ServerFailedError):
                await process.start()
            uids.append(await under_fault.send(first_seed + death))
            await until_dead(process)
        process.environment_changes.clear()
        await process.start()
        return await under_fault.faults(uids)

    assert asyncio.run(die_and_recover()) == []
