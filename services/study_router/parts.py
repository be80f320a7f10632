"""What the whole service shares, and what several parts of it are made of."""

from dataclasses import dataclass
from datetime import timedelta

from study_router.adapters.connectors import HttpConnectors
from study_router.adapters.store import SqlStore
from study_router.domain.readiness import Quiet
from study_router.settings import Settings
from study_router.usecases.planning import PlanStudy
from study_router.usecases.viewing import RuleBook
from udckit.clock import Clock
from udckit.database import Database
from udckit.objects import Objects
from udcmodel.codec import encode_stack
from udcmodel.stack import StackDescriptor


@dataclass(frozen=True, slots=True)
class Parts:
    """What the whole service shares."""

    settings: Settings
    store: SqlStore
    database: Database
    objects: Objects
    cases: Objects
    connectors: HttpConnectors
    rules: RuleBook
    clock: Clock


def plan_of(parts: Parts) -> PlanStudy:
    """Return what decides for every attachment what is to become of a study."""
    settings = parts.settings

    async def put_stack(stack: StackDescriptor) -> str:
        return await parts.objects.put(encode_stack(stack))

    return PlanStudy(
        put_stack=put_stack,
        rules=parts.rules,
        region=settings.region,
        identity_key=settings.identity_key(),
        quiet=Quiet(stack=timedelta(seconds=settings.input_quiet_s), study=timedelta(seconds=settings.study_quiet_s)),
        longest_quiet=Quiet(
            stack=timedelta(seconds=settings.longest_input_quiet_s),
            study=timedelta(seconds=settings.longest_study_quiet_s),
        ),
        job_deadline_s=settings.job_deadline_s,
        max_study_age_days=settings.max_study_age_days,
    )
