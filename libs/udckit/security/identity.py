"""Who is asking: a service, proven by its certificate, or a person, proven by a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final

from udckit.errors import InternalError, UnauthenticatedError

TRUST_DOMAIN: Final = "spiffe://udc/"
EVERYWHERE: Final = "*"
"""Stands for all organisations of the region."""


@unique
class Service(StrEnum):
    """Everything that has a certificate."""

    STUDY_ROUTER = "study-router"
    MODEL_SERVING = "model-serving"
    EHR_FEATURES = "ehr-features"
    RESULT_ARCHIVER = "result-archiver"
    SURVEILLANCE_REPORTER = "surveillance-reporter"
    PROVISIONER = "provisioner"
    """Creates streams, consumers and buckets; runs at installation only."""
    NATS = "nats"
    """The broker."""
    CLI = "cli"
    """The command line: has no rights of its own and speaks for the person whose token it carries."""


@unique
class Role(StrEnum):
    """What a person is to the region."""

    REGIONAL_ADMIN = "regional_admin"
    """Attaches archives and devices, decides what is live."""
    OPERATOR = "operator"
    """Runs the daily business: studies, re-runs, dead letters."""
    VENDOR = "vendor"
    """Supplies AI medical devices and sees their own."""
    PHYSICIAN = "physician"
    """Reads results and assesses them."""
    AUDITOR = "auditor"
    """Reads everything that happened, changes nothing."""
    SRE = "sre"
    """Keeps the platform running; sees states, not results."""
    REGULATOR = "regulator"
    """Receives operation data and adverse events."""


@unique
class IdentityKind(StrEnum):
    """Whether a machine or a human being asks."""

    SERVICE = "service"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks.

    Attributes:
        kind: Service or person.
        name: Name of the service, or the person's opaque id. Never a human name.
        region: Region code.
        roles: Roles of a person; empty for a service.
        organisations: FRMO OIDs for which a person may act, or ``EVERYWHERE``.
    """

    kind: IdentityKind
    name: str
    region: str
    roles: frozenset[Role] = frozenset()
    organisations: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """Name for the audit trail, such as ``person/5f0c…`` or ``service/study-router``."""
        return f"{self.kind}/{self.name}"

    def may_act_for(self, organisation: str) -> bool:
        """Say whether ``organisation`` is among those this identity acts for."""
        return EVERYWHERE in self.organisations or (organisation != "" and organisation in self.organisations)


def service_uri(region: str, service: Service) -> str:
    """Return the URI that the certificate of ``service`` carries; also its user name in NATS."""
    return f"{TRUST_DOMAIN}{region}/{service}"


def service_identity(region: str, service: Service) -> Identity:
    """Return the identity of a service, which acts for all organisations."""
    return Identity(kind=IdentityKind.SERVICE, name=service.value, region=region, organisations=frozenset({EVERYWHERE}))


def parse_service_uri(uri: str) -> tuple[str, Service]:
    """Return region and service named by ``uri``.

    Raises:
        UnauthenticatedError: it is not of the form ``spiffe://udc/<region>/<service>`` with a known service.
    """
    region, separator, name = uri.removeprefix(TRUST_DOMAIN).partition("/")
    if not uri.startswith(TRUST_DOMAIN) or not separator or name not in set(Service):
        raise UnauthenticatedError(f"the certificate names {uri}, which is no service of this platform")
    return region, Service(name)


_current: ContextVar[Identity | None] = ContextVar("udc_identity", default=None)


def current_identity() -> Identity:
    """Return who asked for the work being done.

    Raises:
        InternalError: nobody did: this code runs outside of a call and of ``acting_as``.
    """
    identity = _current.get()
    if identity is None:
        raise InternalError("nobody is named as the one who acts")
    return identity


@contextmanager
def acting_as(identity: Identity) -> Iterator[None]:
    """Let ``identity`` be the one who acts while the block runs."""
    token = _current.set(identity)
    try:
        yield
    finally:
        _current.reset(token)
