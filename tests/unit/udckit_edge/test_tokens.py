import base64
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from structlog.testing import capture_logs

from udckit.errors import InvalidRequestError, UnauthenticatedError
from udckit.security.identity import IdentityKind, Role
from udckit.security.tokens import TokenVerifier, create_signing_key, issue_token

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSPITAL = "1.2.643.5.1.13.13.12.2.77.7801"
RSA = (
    rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 it signs nothing
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


class SetClock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


class Office:
    """A region's key files, with one key."""

    def __init__(self, directory: Path) -> None:
        self.public = directory / "keys"
        self.private = directory / "signing.key"
        self.key_id = create_signing_key(self.private, self.public)
        self.clock = SetClock(NOON)
        self.verifier = TokenVerifier(self.public, region="r77", clock=self.clock)

    def issue(self, **changes: Any) -> str:
        given: dict[str, Any] = {
            "subject": "p-5f0c",
            "roles": [Role.PHYSICIAN],
            "organisations": [HOSPITAL],
            "region": "r77",
            "clock": self.clock,
        }
        return issue_token(self.private, **{**given, **changes})

    def forge(self, claims: Mapping[str, Any] = {}, *, drop: str = "", key: Any = None, **header: str) -> str:
        """Write a token without the code under test, with the office's own key unless another is given."""
        whole: dict[str, Any] = {
            "iss": "udc-local",
            "sub": "p-5f0c",
            "roles": ["physician"],
            "organisations": [HOSPITAL],
            "region": "r77",
            "iat": int(NOON.timestamp()),
            "exp": int((NOON + timedelta(hours=1)).timestamp()),
            "jti": "x",
        }
        whole.update(claims)
        whole.pop(drop, None)
        signer = key or load_pem_private_key(self.private.read_bytes(), password=None)
        assert isinstance(signer, Ed25519PrivateKey)
        return jwt.encode(whole, signer, algorithm="EdDSA", headers={"kid": self.key_id, **header})


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_token_says_who_the_person_is(office: Office) -> None:
    identity = office.verifier.verify(office.issue(roles=[Role.PHYSICIAN, Role.AUDITOR]))

    assert identity.kind is IdentityKind.PERSON
    assert (identity.name, identity.actor) == ("p-5f0c", "person/p-5f0c")
    assert identity.roles == {Role.PHYSICIAN, Role.AUDITOR}
    assert identity.organisations == {HOSPITAL}


def test_a_token_is_an_ordinary_jwt_without_a_name(office: Office) -> None:
    token = office.issue()
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2]
    )

    assert header == {"alg": "EdDSA", "typ": "JWT", "kid": office.key_id}
    assert claims.keys() == {"iss", "sub", "roles", "organisations", "region", "iat", "exp", "jti"}
    assert claims["exp"] - claims["iat"] == 12 * 3600


def test_the_private_key_is_readable_by_its_owner_only(office: Office) -> None:
    assert office.private.stat().st_mode & 0o777 == 0o600


def test_an_expired_token_is_refused(office: Office) -> None:
    token = office.issue(lifetime=timedelta(hours=1))
    office.clock.time += timedelta(hours=1)

    with pytest.raises(UnauthenticatedError, match="has expired"):
        office.verifier.verify(token)


def test_a_token_of_another_region_is_refused(office: Office) -> None:
    with pytest.raises(UnauthenticatedError, match="for region r50, and this is r77"):
        office.verifier.verify(office.issue(region="r50"))


def test_a_token_signed_by_nobody_is_refused(office: Office) -> None:
    unsigned = jwt.encode({"sub": "p"}, "", algorithm="none", headers={"kid": office.key_id})

    with pytest.raises(UnauthenticatedError, match="not with none"):
        office.verifier.verify(unsigned)


def test_a_token_signed_symmetrically_with_the_public_key_is_refused(office: Office) -> None:
    secret = (office.public / f"{office.key_id}.pem").read_bytes()
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": office.key_id}, {"sub": "p"})
    ]
    signature = jwt.get_algorithm_by_name("HS256").sign(b".".join(parts), secret[:64])
    token = b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()

    with pytest.raises(UnauthenticatedError, match="not with HS256"):
        office.verifier.verify(token)


def test_a_key_that_is_not_in_the_directory_is_refused(office: Office, tmp_path: Path) -> None:
    stranger = Office(tmp_path / "elsewhere")

    with pytest.raises(UnauthenticatedError, match="key that is not known here"):
        office.verifier.verify(stranger.issue())


def test_a_known_key_id_with_the_signature_of_another_key_is_refused(office: Office) -> None:
    with pytest.raises(UnauthenticatedError, match="signature"):
        office.verifier.verify(office.forge(key=Ed25519PrivateKey.generate()))


def test_removing_a_public_key_refuses_its_tokens_at_once(office: Office) -> None:
    token = office.issue()
    office.verifier.verify(token)

    (office.public / f"{office.key_id}.pem").unlink()

    with pytest.raises(UnauthenticatedError, match="not known here"):
        office.verifier.verify(token)


@pytest.mark.parametrize("content", [b"", b"no key", RSA], ids=["empty", "text", "rsa"])
def test_a_file_that_is_no_key_keeps_nobody_else_from_logging_in(
    office: Office, tmp_path: Path, content: bytes
) -> None:
    bad = office.public / "bad.pem"
    with capture_logs() as lines:
        bad.write_bytes(content)
        assert office.verifier.verify(office.issue()).name == "p-5f0c"
        assert TokenVerifier(office.public, region="r77", clock=office.clock).verify(office.issue()).name == "p-5f0c"
    assert [(line["log_level"], line["file"]) for line in lines] == [("warning", str(bad))] * 2

    office.private = tmp_path / "other.key"
    other = create_signing_key(office.private, tmp_path / "others")
    bad.write_bytes((tmp_path / "others" / f"{other}.pem").read_bytes())
    os.utime(bad, ns=(1, 1))
    assert office.verifier.verify(office.issue()).name == "p-5f0c", "it is read again once it is mended"


def test_a_new_key_is_known_without_a_restart(office: Office) -> None:
    create_signing_key(office.private, office.public)

    assert office.verifier.verify(office.issue()).name == "p-5f0c"


@pytest.mark.parametrize("claim", ["iss", "sub", "roles", "organisations", "region", "iat", "exp", "jti"])
def test_a_token_that_lacks_a_claim_is_refused(office: Office, claim: str) -> None:
    with pytest.raises(UnauthenticatedError):
        office.verifier.verify(office.forge(drop=claim))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int((NOON + timedelta(hours=13)).timestamp())},
        {"iat": int((NOON + timedelta(minutes=5)).timestamp())},
        {"iss": "somebody"},
        {"roles": ["emperor"]},
        {"roles": "physician"},
        {"organisations": [1]},
        {"exp": "soon"},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_a_well_signed_token_with_impossible_claims_is_refused(office: Office, claims: Mapping[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError):
        office.verifier.verify(office.forge(claims))


@pytest.mark.parametrize("text", ["", "a.b.c", "x" * 9_000, "ё.ё.ё"])
def test_what_is_no_token_is_refused(office: Office, text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        office.verifier.verify(text)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(hours=12, seconds=1)])
def test_no_token_is_issued_for_longer_than_allowed(office: Office, lifetime: timedelta) -> None:
    with pytest.raises(InvalidRequestError, match="lives at most"):
        office.issue(lifetime=lifetime)
