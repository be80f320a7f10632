"""Mutual TLS from three PEM files, re-read when they change."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from udckit.errors import InvalidRequestError

log = structlog.get_logger()

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of what proves who a process is, and whom it believes.

    Attributes:
        ca: Certificates of the authority, PEM.
        cert: Own certificate, PEM.
        key: Own private key, PEM, unencrypted.
    """

    ca: Path
    cert: Path
    key: Path

    def stamp(self) -> Stamp:
        """Return a value that changes when one of the files is replaced."""
        return tuple(path.stat().st_mtime_ns for path in (self.ca, self.cert, self.key))

    def read(self) -> "Credentials":
        """Read the files.

        Raises:
            InvalidRequestError: a file is missing or malformed, or key and certificate are no pair.
        """
        try:
            ca, cert, key = (path.read_bytes() for path in (self.ca, self.cert, self.key))
        except OSError as error:
            raise InvalidRequestError(f"cannot read {error.filename}: {error.strerror}") from error
        try:
            certified = x509.load_pem_x509_certificate(cert).public_key()
            own = load_pem_private_key(key, password=None).public_key()
            x509.load_pem_x509_certificates(ca)
        except (ValueError, TypeError) as error:
            raise InvalidRequestError(f"{self.ca}, {self.cert} or {self.key} is not the PEM it should be") from error
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if certified.public_bytes(*form) != own.public_bytes(*form):
            raise InvalidRequestError(f"{self.key} is not the key of {self.cert}")
        return Credentials(ca, cert, key)

    def client_context(self) -> ssl.SSLContext:
        """Return a context for NATS and HTTPS clients: TLS 1.2 or newer, the server's name is checked.

        After a renewal, ``load_cert_chain(tls.cert, tls.key)`` on the same context serves the next connections.
        """
        self.read()
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.cert, self.key)
        return context

    def server_context(self) -> ssl.SSLContext:
        """Return a context for servers that are not gRPC: TLS 1.2 or newer, every client shows a certificate."""
        self.read()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.cert, self.key)
        return context

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for one gRPC channel; a channel keeps them, so a renewal needs a new one."""
        read = self.read()
        return grpc.ssl_channel_credentials(read.ca, read.key, read.cert)

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a gRPC server that asks every client for a certificate and follows renewals."""
        return grpc.dynamic_ssl_server_credentials(
            self.read().server_configuration(),
            _Renewal(self),  # type: ignore[arg-type]  # gRPC takes None for "keep what you have"; the stub does not
            require_client_authentication=True,
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the three files held at one moment; key and certificate belong together."""

    ca: bytes
    cert: bytes
    key: bytes = field(repr=False)

    def server_configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return them in gRPC's form."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.cert)], root_certificates=self.ca)


class _Renewal:
    """Asked by gRPC at every new connection: None means that nothing has changed."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._seen = tls.stamp()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            stamp = self._tls.stamp()
            if stamp == self._seen:
                return None
            read = self._tls.read()
        except (OSError, InvalidRequestError) as error:
            # In the middle of a renewal, or a broken one: the certificate in use stays, and the next connection tries.
            log.warning("certificate.unreadable", error=str(error))
            return None
        self._seen = stamp
        log.info("certificate.renewed", path=str(self._tls.cert))
        return read.server_configuration()
