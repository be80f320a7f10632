"""Short-lived tokens of people: JWT signed with Ed25519, verified against a directory of public keys.

Removing a public key from the directory refuses every token it signed, at the next call.
"""

import base64
import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from udckit.clock import Clock
from udckit.errors import InvalidRequestError, UnauthenticatedError
from udckit.security.files import write_private, write_public
from udckit.security.identity import Identity, IdentityKind, Role

log: Final = structlog.get_logger()

ISSUER: Final = "udc-local"
MAX_LIFETIME: Final = timedelta(hours=12)
CLOCK_SKEW: Final = timedelta(seconds=30)
"""How far the clocks of two machines may differ."""

_ALGORITHM: Final = "EdDSA"
_MAX_BYTES: Final = 8 * 1024


def create_signing_key(private: Path, public_directory: Path) -> str:
    """Write a new key pair and return its key id.

    Args:
        private: File for the private key, readable by its owner only.
        public_directory: Where verifiers look; the public key is added as ``<key id>.pem``.
    """
    key = Ed25519PrivateKey.generate()
    name = key_id(key.public_key())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_public(public_directory / f"{name}.pem", pem)
    write_private(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return name


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of ``key``: 16 characters of the SHA-256 of its raw bytes, base64url."""
    digest = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()
    return base64.urlsafe_b64encode(digest).decode()[:16]


def issue_token(
    signing_key: Path,
    *,
    subject: str,
    roles: Collection[Role],
    organisations: Collection[str],
    region: str,
    clock: Clock,
    lifetime: timedelta = MAX_LIFETIME,
) -> str:
    """Return a token for one person.

    Args:
        signing_key: Private key, PEM.
        subject: Opaque id of the person. Never a name: it appears in logs and in the audit trail.
        roles: What the person is to the region; at least one.
        organisations: FRMO OIDs for which the person may act, or ``*`` for all.
        region: Region code; the token is refused elsewhere.
        clock: Tells when it is issued.
        lifetime: More than nothing, at most ``MAX_LIFETIME``.

    Raises:
        InvalidRequestError: no role or organisation, a lifetime out of bounds, or an unusable signing key.
    """
    if not subject or not roles or not organisations:
        raise InvalidRequestError("a token names a subject, at least one role and at least one organisation")
    if not timedelta() < lifetime <= MAX_LIFETIME:
        raise InvalidRequestError(f"a token lives at most {MAX_LIFETIME}, not {lifetime}")
    try:
        key = load_pem_private_key(signing_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InvalidRequestError(f"{signing_key} is no readable private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidRequestError(f"{signing_key} is no Ed25519 key")
    issued = clock.now()
    claims = {
        "iss": ISSUER,
        "sub": subject,
        "roles": sorted(roles),
        "organisations": sorted(organisations),
        "region": region,
        "iat": int(issued.timestamp()),
        "exp": int((issued + lifetime).timestamp()),
        "jti": secrets.token_urlsafe(12),
    }
    return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": key_id(key.public_key())})


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamps: Mapping[Path, int]
    """When what decides about the keys was changed: the directory, and every file of it that was no key."""
    keys: Mapping[str, Ed25519PublicKey]


class TokenVerifier:
    """Turns a token into the identity of a person.

    Args:
        keys: Directory of public keys in PEM files, or one such file.
        region: Region served here.
        clock: Tells when a token has expired.
    """

    def __init__(self, keys: Path, *, region: str, clock: Clock) -> None:
        self._path = keys
        self._region = region
        self._clock = clock
        self._loaded = _load(keys)

    def verify(self, token: str) -> Identity:
        """Return who ``token`` speaks for.

        Raises:
            UnauthenticatedError: malformed, signed by an unknown key or by none, expired, issued for longer than
                allowed, or for another region; the sentence says which.
        """
        if len(token) > _MAX_BYTES:
            raise UnauthenticatedError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("this is no token") from error
        if header.get("alg") != _ALGORITHM:
            raise UnauthenticatedError(f"a token is signed with {_ALGORITHM}, not with {header.get('alg')}")
        key = self._keys().get(str(header.get("kid")))
        if key is None:
            raise UnauthenticatedError("the token is signed by a key that is not known here; log in again")
        try:
            # Times are judged below, by the clock that was given.
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                options={
                    "require": ["iss", "sub", "iat", "exp", "jti", "roles", "organisations", "region"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                },
            )
        except jwt.InvalidSignatureError as error:
            raise UnauthenticatedError("the signature of the token is wrong") from error
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("the token is malformed; log in again") from error
        self._judge_times(claims)
        if claims["region"] != self._region:
            raise UnauthenticatedError(f"the token is for region {claims['region']}, and this is {self._region}")
        return _identity(claims)

    def _judge_times(self, claims: Mapping[str, Any]) -> None:
        try:
            issued, expires = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
        except (TypeError, ValueError, OverflowError, OSError) as error:
            raise UnauthenticatedError("the token is malformed; log in again") from error
        now = self._clock.now()
        if expires <= now:
            raise UnauthenticatedError("the token has expired; log in again")
        if issued > now + CLOCK_SKEW:
            raise UnauthenticatedError("the token is from the future; check the clocks")
        if expires - issued > MAX_LIFETIME:
            raise UnauthenticatedError(f"the token lives longer than {MAX_LIFETIME}, which is not allowed")

    def _keys(self) -> Mapping[str, Ed25519PublicKey]:
        if any(_changed_at(path) != stamp for path, stamp in self._loaded.stamps.items()):
            self._loaded = _load(self._path)
        return self._loaded.keys


def _identity(claims: Mapping[str, Any]) -> Identity:
    roles, organisations = claims["roles"], claims["organisations"]
    if not _are_texts(roles) or not _are_texts(organisations) or not set(Role).issuperset(roles):
        raise UnauthenticatedError("the token names roles or organisations that are not known here; log in again")
    return Identity(
        kind=IdentityKind.PERSON,
        name=str(claims["sub"]),
        region=str(claims["region"]),
        roles=frozenset(Role(role) for role in roles),
        organisations=frozenset(organisations),
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _load(path: Path) -> _Loaded:
    stamps = {path: _changed_at(path)}
    if not path.is_dir():
        key = _read(path)
        return _Loaded(stamps, {key_id(key): key})
    keys: dict[str, Ed25519PublicKey] = {}
    for file in sorted(path.glob("*.pem")):
        stamp = _changed_at(file)
        try:
            key = _read(file)
        except (InvalidRequestError, OSError) as error:
            # Whoever holds another key must be able to log in; it is looked at again once it is written anew.
            log.warning("token.key_skipped", file=str(file), error=str(error))
            stamps[file] = stamp
        else:
            keys[key_id(key)] = key
    return _Loaded(stamps, keys)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read(file: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequestError(f"{file} is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidRequestError(f"{file} is no Ed25519 key")
    return key
