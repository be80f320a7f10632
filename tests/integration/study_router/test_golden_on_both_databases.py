"""Golden cases are part of what is registered: checked against the manifest, and as immutable."""

import json
from typing import Any

import pytest

from integration.study_router.routing import DEVICE, Routing
from study_router.usecases.registering import AlreadyRegisteredError
from udckit.database import Database
from udckit.errors import InvalidRequestError, NotFoundError
from udcmodel.golden import parse_golden


async def golden(routing: Routing, **changes: Any) -> bytes:
    """The cases of the reference device: one healthy head, whose images are kept."""
    case = {
        "case": "healthy",
        "picture": "a head without anything wrong",
        "inputs": {"ct": await routing.put_case(b"images")},
        "expect": [{"finding": "hyperdensity", "presence": "absent", "probability": {"value": 0, "within": 0.1}}],
    }
    return json.dumps({"schema": "udc.golden/v1alpha1", "cases": [case | changes]}).encode()


async def test_cases_are_kept_and_every_service_is_told_their_digest(database: Database) -> None:
    routing = Routing(database)
    content = await golden(routing)

    assert await routing.register(golden=content)
    assert not await routing.register(golden=content), "the same content twice is registered twice"

    (device,) = await routing.store.read(lambda transaction: transaction.registry.devices())
    kept = routing.cases[device.golden_digest]
    assert parse_golden(kept) == parse_golden(content)
    assert (device.golden_cases, device.record().golden_digest) == (1, device.golden_digest)
    assert list(routing.contents) == [device.manifest_digest], "cases lie among what jobs leave, which is forgotten"


async def test_other_cases_need_another_version(database: Database) -> None:
    routing = Routing(database)
    await routing.register(golden=await golden(routing))

    for other in (b"", await golden(routing, picture="another head")):
        with pytest.raises(AlreadyRegisteredError, match=f"devices/{DEVICE}/versions/1.0.0 is registered with other"):
            await routing.register(golden=other)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"inputs": {}}, "golden case healthy has the inputs none; the manifest has ct"),
        ({"expect": []}, "has the findings none; the manifest has hyperdensity"),
        ({"expect": [{"finding": "opacity", "presence": "absent"}]}, "has the findings opacity"),
        ({"expect": [{"finding": "hyperdensity", "presence": "perhaps"}]}, "presence: Input should be 'present'"),
        (
            {
                "expect": [
                    {
                        "finding": "hyperdensity",
                        "presence": "present",
                        "boxes": [{"left": 0, "top": 0, "right": 1, "bottom": 1, "overlap": 0.5}],
                    }
                ]
            },
            "the manifest reads no box for it",
        ),
        ({"inputs": {"ct": "images.dcm"}}, "cases.0.inputs.ct: String should match pattern"),
    ],
)
async def test_a_case_of_another_device_is_refused(database: Database, changes: dict[str, Any], words: str) -> None:
    routing = Routing(database)
    content = await golden(routing, **changes)

    with pytest.raises(InvalidRequestError) as refusal:
        await routing.register(golden=content)

    assert words in refusal.value.message
    assert await routing.store.read(lambda transaction: transaction.registry.devices()) == []


async def test_images_that_were_not_put_are_missed(database: Database) -> None:
    routing = Routing(database)
    content = await golden(routing)
    routing.cases.clear()

    with pytest.raises(NotFoundError, match="an input of golden case healthy was not put"):
        await routing.register(golden=content)
