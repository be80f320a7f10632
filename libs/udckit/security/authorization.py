"""Who may call what: one table of rules, and nothing that is not in it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto, unique
from functools import lru_cache
from typing import Any, Final

import structlog
from cryptography import x509

from udckit.clock import Clock
from udckit.errors import DeniedError, UnauthenticatedError
from udckit.grpc_server import ServedCall, Surrounding, texts
from udckit.security.identity import (
    EVERYWHERE,
    TRUST_DOMAIN,
    Identity,
    IdentityKind,
    Role,
    Service,
    acting_as,
    parse_service_uri,
    service_identity,
)
from udckit.security.tokens import TokenVerifier

SPEAKS_FOR_PEOPLE: Final = frozenset({Service.CLI})
"""Services whose certificate alone allows nothing, and which call with the token of a person."""

_BEARER: Final = "bearer "

log = structlog.get_logger()


@unique
class Scope(Enum):
    """What a person's organisations have to do with a call."""

    NONE = auto()
    """Nothing: the call shows or changes nothing of any organisation, and the role alone decides."""
    REGION = auto()
    """The call reaches what belongs to any organisation: only who acts for all of them may make it."""
    ORGANISATION = auto()
    """The request's field ``organisation`` is one of the person's; empty means all, which only ``*`` may ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may call one method.

    Attributes:
        method: ``<package>.<Service>/<Method>``.
        services: Services that may call it, for all organisations.
        roles: People who may call it, one of these roles being enough.
        scope: Whether the person's organisations matter.
    """

    method: str
    services: frozenset[Service] = frozenset()
    roles: frozenset[Role] = frozenset()
    scope: Scope = Scope.REGION


def table_of(rules: Iterable[Rule]) -> Mapping[str, Rule]:
    """Return ``rules`` by method.

    Raises:
        ValueError: a method has two rules.
    """
    table: dict[str, Rule] = {}
    for rule in rules:
        if rule.method in table:
            raise ValueError(f"{rule.method} has two rules")
        table[rule.method] = rule
    return table


def authorising(table: Mapping[str, Rule], *, region: str, verifier: TokenVerifier | None, clock: Clock) -> Surrounding:
    """Return the surrounding that lets only those through whom ``table`` names, and tells the handler who it is.

    Args:
        table: Rules by method; a method without a rule is refused to everybody.
        region: Region served here; certificates of another are refused.
        verifier: Judges tokens of people; None refuses all of them.
        clock: Tells whether a certificate is still valid: a connection outlives the check made when it was opened.
    """

    @asynccontextmanager
    async def authorised(call: ServedCall) -> AsyncIterator[None]:
        identity = _identity_of(call, region=region, verifier=verifier, clock=clock)
        reason = _refusal(table.get(call.method), identity, call.request)
        if reason is not None:
            log.warning("rpc.denied", method=call.method, actor=identity.actor, error=reason)
            raise DeniedError(f"{call.method} is refused: {reason}", method=call.method, actor=identity.actor)
        with acting_as(identity):
            yield

    return authorised


def _identity_of(call: ServedCall, *, region: str, verifier: TokenVerifier | None, clock: Clock) -> Identity:
    service = _certified_service(call.context.auth_context(), region=region, now=clock.now())
    header = texts(call.context.invocation_metadata()).get("authorization")
    if service not in SPEAKS_FOR_PEOPLE:
        if header is not None:
            raise UnauthenticatedError(f"{service} calls in its own name and does not carry a token")
        return service_identity(region, service)
    if header is None or not header.lower().startswith(_BEARER):
        raise UnauthenticatedError("the call carries no token; log in")
    if verifier is None:
        raise UnauthenticatedError("no token is accepted here: the service was started without token keys")
    return verifier.verify(header[len(_BEARER) :].strip())


def _certified_service(auth: Mapping[str, Iterable[bytes]], *, region: str, now: datetime) -> Service:
    names = [name.decode(errors="replace") for name in auth.get("x509_subject_alternative_name", ())]
    # Only the URI counts; DNS names say where a service listens, and a common name says nothing at all.
    uris = [name for name in names if name.startswith(TRUST_DOMAIN)]
    if len(uris) != 1:
        raise UnauthenticatedError("the caller's certificate names no service of this platform")
    certified_region, service = parse_service_uri(uris[0])
    if certified_region != region:
        raise UnauthenticatedError(f"the caller's certificate is for region {certified_region}, and this is {region}")
    if any(_valid_until(pem) <= now for pem in auth.get("x509_pem_cert", ())):
        raise UnauthenticatedError(f"the certificate of {service} has expired")
    return service


@lru_cache(maxsize=256)
def _valid_until(pem: bytes) -> datetime:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc.astimezone(UTC)


def _refusal(rule: Rule | None, identity: Identity, request: Any) -> str | None:
    """Return why not, or None."""
    if rule is None:
        return "no rule names it"
    if identity.kind is IdentityKind.SERVICE:
        return None if Service(identity.name) in rule.services else f"no service {identity.name} may call it"
    if not identity.roles & rule.roles:
        return "none of your roles may call it"
    if rule.scope is Scope.REGION and EVERYWHERE not in identity.organisations:
        return "it reaches every organisation, and you act for some only"
    if rule.scope is Scope.ORGANISATION:
        # A request without the field is a mistake in the table, and a mistake must not open anything.
        organisation = getattr(request, "organisation", None)
        if not isinstance(organisation, str):
            return "it names no organisation"
        if not identity.may_act_for(organisation):
            return "you do not act for this organisation"
    return None
