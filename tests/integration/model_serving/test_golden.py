"""Golden cases through the real chain: objects, decoding, a real Triton, findings, and the decision that follows."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cli.golden import read_cases
from integration.model_serving.world import DEVICES, World, a_world, add_example
from model_serving.adapters.case_images import StoredCaseImages
from model_serving.adapters.golden_store import SqlGoldenRuns
from model_serving.domain.golden import CaseResult
from model_serving.ports import NotActivatedError, PinnedModel
from model_serving.usecases import Inference, ManageDevices, Models, ProveGolden
from region.models import build_models
from udckit.database import Database, opened
from udckit.errors import NotFoundError
from udckit.objects import FileObjects
from udckit.testing import Triton
from udcmodel.golden import GoldenCase, GoldenCases, Near
from udcmodel.grant import DeviceVersionRecord
from udcmodel.manifest import Manifest

pytestmark = pytest.mark.connected

BRAIN = "ct-brain-hyperdensity"
CHEST = "cxr-opacity"


@dataclass
class Bench:
    """A worker with registered devices and what it has recorded."""

    world: World
    objects: FileObjects
    runs: SqlGoldenRuns
    manifests: dict[str, Manifest]

    def golden(self, build: str = "sha256:this") -> ProveGolden:
        return ProveGolden(
            registry=self.world.registry,
            artefacts=self.world.artefacts,
            images=StoredCaseImages(self.objects, self.world.images),
            infer=Inference(backend=self.world.backend, clock=self.world.clock),
            runs=self.runs,
            clock=self.world.clock,
            processing_build=build,
        )

    def devices(self, build: str = "sha256:this") -> ManageDevices:
        golden = self.golden(build)
        models = Models(self.world.backend, golden, slots=2, runs_per_model=1, load_s=60.0, canary_s=20.0)
        return ManageDevices(registry=self.world.registry, artefacts=self.world.artefacts, models=models, golden=golden)

    async def register(self, device: str, digest: str, cases: Sequence[GoldenCase] | None = None) -> None:
        """Register an example device with its golden cases, or with others on the same pictures."""
        written, golden = read_cases(DEVICES / device / "golden")
        for item in written:
            for body in item.bodies.values():
                await self.objects.put(body)
        assert golden is not None
        registered = golden if cases is None else GoldenCases(cases=tuple(cases))
        self.world.artefacts.goldens[registered.digest] = registered
        manifest = self.manifests[device]
        self.world.artefacts.manifests[manifest.digest] = manifest
        self.world.registry.versions[device, manifest.version] = DeviceVersionRecord(
            device=device,
            version=manifest.version,
            manifest_digest=manifest.digest,
            model_digest=digest,
            is_medical_device=True,
            is_suspended=False,
            suspension_reason="",
            certificate=None,
            golden_digest=registered.digest,
        )


@asynccontextmanager
async def a_bench(triton: Triton, tmp_path: Path, database: Database) -> AsyncIterator[tuple[Bench, dict[str, str]]]:
    build_models(triton.model_repository)
    examples = {name: add_example(triton.model_repository, name) for name in (BRAIN, CHEST)}
    async with a_world(triton) as world:
        bench = Bench(
            world=world,
            objects=FileObjects(tmp_path / "objects"),
            runs=SqlGoldenRuns(database, worker="w"),
            manifests={name: manifest for name, (manifest, _) in examples.items()},
        )
        yield bench, {name: digest for name, (_, digest) in examples.items()}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with opened(f"sqlite:///{tmp_path / 'data.db'}", migrations="model_serving.migrations") as database:
        yield database


async def results_of(devices: ManageDevices, device: str) -> dict[str, CaseResult]:
    return {result.case: result async for result in devices.check(device, "1.0.0")}


def with_probability(case: GoldenCase, value: float) -> GoldenCase:
    """The same pictures, and a promise that the device does not keep."""
    (expected,) = case.expect
    return case.model_copy(
        update={"expect": (expected.model_copy(update={"probability": Near(value=value, within=0.01)}),)}
    )


@pytest.mark.parametrize("device", [BRAIN, CHEST])
async def test_the_reference_devices_say_what_was_drawn(
    triton: Triton, tmp_path: Path, database: Database, device: str
) -> None:
    async with a_bench(triton, tmp_path, database) as (bench, digests):
        await bench.register(device, digests[device])

        results = await results_of(bench.devices(), device)

    assert len(results) == 3
    assert [result.complaint() for result in results.values()] == [""] * 3
    assert all(len(result.checks) >= 2 for result in results.values())


async def test_a_version_that_breaks_its_promise_is_not_activated_and_another_one_is(
    triton: Triton, tmp_path: Path, database: Database
) -> None:
    async with a_bench(triton, tmp_path, database) as (bench, digests):
        written, _ = read_cases(DEVICES / CHEST / "golden")
        cases = [item.case for item in written]
        await bench.register(CHEST, digests[CHEST], [with_probability(cases[0], 0.9), *cases[1:]])
        await bench.register(BRAIN, digests[BRAIN])
        devices = bench.devices()

        chest, brain = await devices.load(CHEST, "1.0.0"), await devices.load(BRAIN, "1.0.0")

        assert (chest.is_ready, chest.is_activated) == (True, False)
        assert chest.golden.startswith("golden case clear: opacity: probability: expected 0.9 ± 0.01, got 0.")
        assert (brain.is_activated, brain.golden) == (True, "passed")
        with pytest.raises(NotActivatedError, match="golden case clear"):
            async with devices.models.used(model_of(bench, CHEST, digests), bench.manifests[CHEST]):
                pytest.fail("a version that is not activated was handed out")


async def test_cases_run_again_when_the_processing_changes_and_not_before(
    triton: Triton, tmp_path: Path, database: Database
) -> None:
    async with a_bench(triton, tmp_path, database) as (bench, digests):
        await bench.register(CHEST, digests[CHEST])
        model = model_of(bench, CHEST, digests)
        assert (await bench.devices().load(CHEST, "1.0.0")).golden == "passed"

        # Without their images the cases cannot run: what is answered now is what is recorded.
        gone = replace(bench, objects=FileObjects(tmp_path / "empty"))
        assert (await gone.golden()(model, bench.manifests[CHEST])).text == "passed"
        upgraded = await gone.golden("sha256:upgraded")(model, bench.manifests[CHEST])
        assert not upgraded.is_passed
        assert "its images are kept no more; register the version again" in upgraded.text

        # A failure is recorded too, and a check that passes lifts it.
        assert not (await gone.golden("sha256:upgraded")(model, bench.manifests[CHEST])).is_passed
        await results_of(bench.devices("sha256:upgraded"), CHEST)
        assert (await gone.golden("sha256:upgraded")(model, bench.manifests[CHEST])).is_passed


async def test_what_is_not_registered_or_has_no_cases_cannot_be_checked(
    triton: Triton, tmp_path: Path, database: Database
) -> None:
    async with a_bench(triton, tmp_path, database) as (bench, digests):
        with pytest.raises(NotFoundError, match="there is no device"):
            await results_of(bench.devices(), CHEST)
        await bench.register(CHEST, digests[CHEST])
        record = bench.world.registry.versions[CHEST, "1.0.0"]
        bench.world.registry.versions[CHEST, "1.0.0"] = replace(record, golden_digest="")
        with pytest.raises(NotFoundError, match="has no golden cases"):
            await results_of(bench.devices(), CHEST)
        assert (await bench.devices().load(CHEST, "1.0.0")).golden == "none registered"


def model_of(bench: Bench, device: str, digests: dict[str, str]) -> PinnedModel:
    manifest = bench.manifests[device]
    return PinnedModel(
        device=device,
        version=manifest.version,
        name=manifest.model.name,
        number=manifest.model.version,
        digest=digests[device],
    )
