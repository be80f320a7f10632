"""Everything that proves identities in one region, made in one directory.

::

    <directory>/ca.crt  ca.key            the authority
    <directory>/<service>/tls.crt tls.key one certificate per service
    <directory>/tokens/signing.key        signs the tokens of people
    <directory>/tokens/keys/<id>.pem      verifies them
    <directory>/nats.conf                 accounts, users and permissions of the broker
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from udckit.clock import Clock
from udckit.security import nats_accounts
from udckit.security.ca import Authority, files_in
from udckit.security.files import write_public
from udckit.security.identity import Service
from udckit.security.tls import Tls
from udckit.security.tokens import create_signing_key

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Installation:
    """The identities of one region, as files."""

    directory: Path

    @property
    def signing_key(self) -> Path:
        """The private key that signs tokens of people."""
        return self.directory / "tokens" / "signing.key"

    @property
    def token_keys(self) -> Path:
        """The directory of public keys by which tokens are verified."""
        return self.directory / "tokens" / "keys"

    @property
    def nats_configuration(self) -> Path:
        """The configuration of the broker."""
        return self.directory / "nats.conf"

    def tls_of(self, service: Service) -> Tls:
        """Return the files with which ``service`` proves who it is."""
        return files_in(self.directory, service)


def install(
    directory: Path,
    *,
    region: str,
    clock: Clock,
    hosts: Collection[str] = (),
    pools: Sequence[str] = nats_accounts.DEFAULT_POOLS,
) -> tuple[Installation, Sequence[Service]]:
    """Make what is missing and renew what ends soon; repeating it changes nothing else.

    Args:
        directory: Where it all lies.
        region: Region code.
        clock: Tells what ends soon.
        hosts: DNS names and addresses under which services are reached, beside those of this machine and their names.
        pools: Serving pools of the region.

    Returns:
        The installation, and the services whose certificates are new.

    Raises:
        InvalidRequestError: the directory belongs to another region.
    """
    directory = directory.absolute()
    installation = Installation(directory)
    authority = Authority.opened(directory, region=region, clock=clock)
    everywhere = {*LOCAL_HOSTS, *hosts}
    due = [service for service in Service if authority.is_due(service, hosts=everywhere)]
    for service in due:
        authority.issue(service, hosts=everywhere)
    if not installation.signing_key.exists():
        create_signing_key(installation.signing_key, installation.token_keys)
    text = nats_accounts.server_configuration(region, installation.tls_of(Service.NATS), pools=pools)
    write_public(installation.nats_configuration, text.encode())
    return installation, due
