"""What golden cases gave: every run is kept, the latest of a combination counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import JSON, Boolean, Column, Connection, Index, Integer, String, Table, insert, select

from model_serving.adapters.store import METADATA
from model_serving.domain.golden import CaseResult
from model_serving.domain.processing_version import PROCESSING_VERSION
from model_serving.ports import Proof
from udckit.database import Database, UtcTime

GOLDEN_RUNS: Final = Table(
    "golden_runs",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("device", String, nullable=False),
    Column("version", String, nullable=False),
    Column("model_digest", String, nullable=False),
    Column("golden_digest", String, nullable=False),
    Column("processing_build", String, nullable=False),
    Column("processing_version", String, nullable=False),
    Column("is_passed", Boolean, nullable=False),
    # For each case its name and what was not as it must be.
    Column("complaints", JSON, nullable=False),
    Column("worker", String, nullable=False),
    Column("at", UtcTime, nullable=False),
)
Index("golden_runs_by_version", GOLDEN_RUNS.c.device, GOLDEN_RUNS.c.version, GOLDEN_RUNS.c.id)

log: Final = structlog.get_logger()


class SqlGoldenRuns:
    """Runs of golden cases in the service's database; ``worker`` is the name of this replica."""

    def __init__(self, database: Database, *, worker: str) -> None:
        self._database = database
        self._worker = worker

    async def has_passed(self, proof: Proof) -> bool:
        """Say whether the latest recorded run passed; see ``ports.GoldenRuns``."""
        wanted = _key(proof)
        latest = (
            select(GOLDEN_RUNS.c.is_passed)
            .where(*(GOLDEN_RUNS.c[name] == value for name, value in wanted.items()))
            .order_by(GOLDEN_RUNS.c.id.desc())
            .limit(1)
        )

        def read(connection: Connection) -> bool:
            return bool(connection.execute(latest).scalar_one_or_none())

        return await self._database.read(read)

    async def record(self, proof: Proof, results: Sequence[CaseResult], *, at: datetime) -> None:
        """Record a run; see ``ports.GoldenRuns``."""
        complaints = {result.case: result.complaint() for result in results}
        for complaint in filter(None, complaints.values()):
            log.error("golden.failed", device=proof.model.device, version=proof.model.version, complaint=complaint)
        row: dict[str, Any] = {
            **_key(proof),
            "processing_version": PROCESSING_VERSION,
            "is_passed": all(result.is_passed for result in results),
            "complaints": complaints,
            "worker": self._worker,
            "at": at,
        }

        def write(connection: Connection) -> None:
            connection.execute(insert(GOLDEN_RUNS).values(row))

        await self._database.transact(write)


def _key(proof: Proof) -> dict[str, str]:
    return {
        "device": proof.model.device,
        "version": proof.model.version,
        "model_digest": proof.model.digest,
        "golden_digest": proof.golden_digest,
        "processing_build": proof.processing_build,
    }
