"""The local certificate authority of a region: one certificate per service identity, renewed in time.

Keys are ECDSA on P-256, which gRPC, NATS (Go) and Python's ssl all accept. A production region may use an authority of
its own instead, as long as its certificates carry the same URIs.
"""

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from udckit.clock import Clock
from udckit.errors import InvalidRequestError
from udckit.security.files import write_private, write_public
from udckit.security.identity import Service, service_uri
from udckit.security.tls import Tls

AUTHORITY_LIFETIME: Final = timedelta(days=3650)
CERTIFICATE_LIFETIME: Final = timedelta(days=90)
RENEW_BEFORE: Final = timedelta(days=30)
"""A certificate with less time left than this is due."""

_CERTIFICATE: Final = "ca.crt"
_BACKDATED: Final = timedelta(minutes=5)
"""Clocks differ; a certificate must not be refused because it is from the near future."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority whose files lie in one directory: ``ca.crt`` for everyone, ``ca.key`` for itself."""

    directory: Path
    region: str
    clock: Clock

    @property
    def certificate(self) -> Path:
        """The file that everybody must have to believe this authority."""
        return self.directory / _CERTIFICATE

    @property
    def _key(self) -> Path:
        return self.directory / "ca.key"

    @classmethod
    def opened(cls, directory: Path, *, region: str, clock: Clock) -> Self:
        """Return the authority in ``directory``, made now if there is none.

        Raises:
            InvalidRequestError: what lies there is the authority of another region.
        """
        authority = cls(directory, region, clock)
        if not authority.certificate.exists():
            authority._create()
        wanted = _authority_name(region)
        found = x509.load_pem_x509_certificate(authority.certificate.read_bytes()).subject
        if found != wanted:
            raise InvalidRequestError(
                f"{authority.certificate} is {found.rfc4514_string()}, not the authority of region {region}"
            )
        return authority

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _authority_name(self.region)
        now = self.clock.now()
        certificate = (
            _unsigned(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(self._key, _pem(key))
        write_public(self.certificate, certificate.public_bytes(Encoding.PEM))

    def issue(self, service: Service, *, hosts: Collection[str], lifetime: timedelta = CERTIFICATE_LIFETIME) -> Tls:
        """Write a new key and certificate for ``service`` and return where they are.

        Args:
            service: Whose identity it proves, by the URI ``spiffe://udc/<region>/<service>``.
            hosts: DNS names and IP addresses under which the service is reached; its own name is always among them.
            lifetime: From now.
        """
        signer = load_pem_private_key(self._key.read_bytes(), password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise InvalidRequestError(f"{self._key} is not the key of this authority")
        issuer = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(service_uri(self.region, service))]
        names += [_general_name(host) for host in sorted({*hosts, service.value})]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{service} {self.region}")])
        certificate = (
            _unsigned(subject, issuer.subject, key.public_key(), self.clock.now(), lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        tls = files_in(self.directory, service)
        # Between these two writes key and certificate do not match; readers notice and keep what they have.
        write_private(tls.key, _pem(key))
        write_public(tls.cert, certificate.public_bytes(Encoding.PEM))
        return tls

    def is_due(self, service: Service, *, hosts: Collection[str]) -> bool:
        """Say whether ``service`` needs a new certificate: it has none, it ends soon, or it lacks a host."""
        tls = files_in(self.directory, service)
        if not tls.cert.exists() or not tls.key.exists():
            return True
        certificate = x509.load_pem_x509_certificate(tls.cert.read_bytes())
        if certificate.not_valid_after_utc - self.clock.now() < RENEW_BEFORE:
            return True
        carried = set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        return not carried.issuperset(_general_name(host) for host in hosts)


def files_in(directory: Path, service: Service) -> Tls:
    """Return where an authority in ``directory`` keeps key and certificate of ``service``, issued or not."""
    folder = directory / service.value
    return Tls(ca=directory / _CERTIFICATE, cert=folder / "tls.crt", key=folder / "tls.key")


def _authority_name(region: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "UDC"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"UDC local authority {region}"),
        ]
    )


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
