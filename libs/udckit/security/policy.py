"""Who may call what in this platform: the one table that the interceptor reads. A method that is not here is refused.

Requests about studies, jobs and results do not say for which organisation they ask. Until they do, they reach the
whole region (``Scope.REGION``), and only a person who acts for all of its organisations may make them.
"""

from collections.abc import Iterable
from typing import Final

from udckit.security.authorization import Rule, Scope
from udckit.security.identity import Role, Service

_ADMIN: Final = frozenset({Role.REGIONAL_ADMIN})
_DAILY: Final = _ADMIN | {Role.OPERATOR}
_REPAIR: Final = _DAILY | {Role.SRE}
_SEE_STATES: Final = _REPAIR | {Role.AUDITOR}
_SEE_RESULTS: Final = _DAILY | {Role.AUDITOR, Role.PHYSICIAN}
_EVERYBODY: Final = frozenset(Role)
_NOBODY: Final = frozenset[Role]()

_ARCHIVES: Final = "udc.router.v1.ArchivesService"
_REGISTRY: Final = "udc.router.v1.DeviceRegistryService"
_ATTACHMENTS: Final = "udc.router.v1.AttachmentsService"
_STUDIES: Final = "udc.router.v1.StudiesService"
_SENDERS: Final = "udc.router.v1.SenderProfilesService"
_JOBS: Final = "udc.router.v1.JobsService"
_RECONCILIATION: Final = "udc.router.v1.ReconciliationService"
_SERVING: Final = "udc.serving.v1.ServingService"
_RESULTS: Final = "udc.archive.v1.ResultsService"
_SURVEILLANCE: Final = "udc.surveillance.v1.SurveillanceService"
_EVENTS: Final = "udc.events.v1.EventsService"


def _rule(method: str, roles: Iterable[Role], scope: Scope, *services: Service) -> Rule:
    return Rule(method=method, services=frozenset(services), roles=frozenset(roles), scope=scope)


RULES: Final = (
    # Archives are reached by whoever retrieves from them or stores into them.
    _rule(f"{_ARCHIVES}/AddArchive", _ADMIN, Scope.REGION),
    _rule(f"{_ARCHIVES}/ListArchives", _SEE_STATES, Scope.REGION, Service.MODEL_SERVING, Service.RESULT_ARCHIVER),
    _rule(f"{_ARCHIVES}/CheckArchive", _REPAIR, Scope.REGION),
    # What an organisation's scanners send is known best there; what it means decides which device sees a study.
    _rule(f"{_SENDERS}/PutSenderProfile", _ADMIN, Scope.ORGANISATION),
    _rule(f"{_SENDERS}/ListSenderProfiles", _SEE_STATES, Scope.ORGANISATION),
    _rule(f"{_SENDERS}/RemoveSenderProfile", _ADMIN, Scope.ORGANISATION),
    # A vendor registers; what runs where is the region's decision. Stopping is easier than starting again.
    _rule(f"{_REGISTRY}/RegisterDevice", _ADMIN | {Role.VENDOR}, Scope.NONE),
    _rule(f"{_REGISTRY}/PutCaseInput", _ADMIN | {Role.VENDOR}, Scope.NONE),
    _rule(f"{_REGISTRY}/ListDevices", _EVERYBODY, Scope.NONE),
    _rule(f"{_REGISTRY}/SuspendDevice", _REPAIR, Scope.NONE, Service.SURVEILLANCE_REPORTER),
    _rule(f"{_REGISTRY}/ResumeDevice", _ADMIN, Scope.REGION),
    _rule(f"{_ATTACHMENTS}/CreateAttachment", _ADMIN, Scope.REGION),
    _rule(f"{_ATTACHMENTS}/ListAttachments", _SEE_STATES, Scope.REGION),
    _rule(f"{_STUDIES}/ListStudies", _SEE_STATES | {Role.PHYSICIAN}, Scope.REGION),
    _rule(f"{_STUDIES}/GetStudy", _SEE_STATES | {Role.PHYSICIAN}, Scope.REGION),
    _rule(f"{_STUDIES}/ExplainStudy", _SEE_STATES | {Role.PHYSICIAN}, Scope.REGION),
    _rule(f"{_STUDIES}/CompleteStudy", _DAILY, Scope.REGION),
    _rule(f"{_STUDIES}/ReleaseStudy", _DAILY, Scope.REGION),
    _rule(f"{_STUDIES}/SubmitStudy", _DAILY, Scope.REGION),
    # Which studies a device sees is the region's decision; it can keep a pool busy for days.
    _rule(f"{_STUDIES}/BackfillStudies", _ADMIN, Scope.REGION),
    _rule(f"{_STUDIES}/ListBackfills", _SEE_STATES, Scope.REGION),
    _rule(f"{_JOBS}/ListJobs", _SEE_STATES, Scope.REGION),
    _rule(f"{_JOBS}/GetJob", _SEE_STATES | {Role.PHYSICIAN}, Scope.REGION),
    _rule(f"{_JOBS}/WatchJobs", _SEE_STATES, Scope.REGION),
    _rule(f"{_JOBS}/RetryJob", _REPAIR, Scope.REGION),
    _rule(f"{_JOBS}/CancelJob", _DAILY, Scope.REGION),
    # The commit of a result; no person makes it.
    _rule(f"{_JOBS}/BeginArchiving", _NOBODY, Scope.REGION, Service.RESULT_ARCHIVER),
    # Comparing may repair, in the archives as well.
    _rule(f"{_RECONCILIATION}/ReconcileStudies", _REPAIR, Scope.REGION),
    _rule(f"{_RESULTS}/VerifyResults", _REPAIR, Scope.REGION),
    _rule(f"{_SERVING}/GetStatus", _SEE_STATES, Scope.NONE, Service.STUDY_ROUTER),
    # On phantoms only; what is loaded costs the region's memory.
    _rule(f"{_SERVING}/CheckDevice", _REPAIR | {Role.VENDOR}, Scope.NONE),
    _rule(f"{_SERVING}/LoadDevice", _REPAIR, Scope.NONE),
    _rule(f"{_SERVING}/UnloadDevice", _REPAIR, Scope.NONE),
    _rule(f"{_RESULTS}/GetResult", _SEE_RESULTS, Scope.REGION),
    _rule(f"{_SURVEILLANCE}/GetCounts", _DAILY | {Role.AUDITOR, Role.REGULATOR}, Scope.REGION),
    _rule(f"{_SURVEILLANCE}/GetJournalStatus", _SEE_STATES | {Role.REGULATOR}, Scope.REGION),
    _rule(f"{_SURVEILLANCE}/RebuildCounts", _REPAIR, Scope.REGION),
    # Every service answers these about its own events.
    _rule(f"{_EVENTS}/GetOutbox", _SEE_STATES, Scope.REGION),
    _rule(
        f"{_EVENTS}/Republish",
        _ADMIN | {Role.SRE},
        Scope.REGION,
        Service.STUDY_ROUTER,
        Service.MODEL_SERVING,
        Service.EHR_FEATURES,
        Service.RESULT_ARCHIVER,
        Service.SURVEILLANCE_REPORTER,
    ),
    _rule(f"{_EVENTS}/ListDeadLetters", _SEE_STATES, Scope.REGION),
    _rule(f"{_EVENTS}/ReplayDeadLetter", _REPAIR, Scope.REGION),
)
