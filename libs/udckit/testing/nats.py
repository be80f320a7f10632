"""A real nats-server with JetStream."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from udckit.testing.installation import HOME, version_of
from udckit.testing.ports import LOOPBACK
from udckit.testing.probe import http_get
from udckit.testing.process import Server, ServerFailedError

OLDEST = (2, 12)
"""Older servers reject ``sync_interval`` and lack fixes for the loss of streams and for security."""

DURABLE_JETSTREAM = "jetstream { sync_interval: always }\n"
"""Every message is fsynced before it is acknowledged; with the default, a power cut loses acknowledged messages."""


def nats_binary() -> Path:
    """The nats-server to use: one on the PATH that is new enough, else the one that scripts/install unpacked.

    Raises:
        ServerFailedError: There is none, or only one that is too old.
    """
    on_path = [Path(folder, "nats-server") for folder in os.get_exec_path()]
    for candidate in [*on_path, HOME / "tools/bin/nats-server"]:
        if candidate.is_file() and version_of(candidate) >= OLDEST:
            return candidate
    raise ServerFailedError(
        f"There is no nats-server {'.'.join(map(str, OLDEST))} or newer on the PATH or in {HOME}: run scripts/install."
    )


class NatsServer(Server):
    """A nats-server on free loopback ports.

    Args:
        state: Directory for configuration, store and log.
        config: Text of its configuration. Addresses, ports and store directory are given on the command line and
            win over the text. Relative paths in it (certificates) start at the state directory.
        binary: The program; by default the one found by ``nats_binary``.
        ports: Fixed client and monitoring port; free ones when left out.
        require_durable: Refuse a JetStream that acknowledges before it has fsynced.
    """

    name: ClassVar[str] = "nats-server"

    def __init__(
        self,
        state: Path,
        *,
        config: str = DURABLE_JETSTREAM,
        binary: Path | None = None,
        ports: tuple[int, int] | None = None,
        require_durable: bool = True,
    ) -> None:
        super().__init__(state, port_count=2, ports=ports, ready_within_s=15.0)
        self.config = config
        self._binary = binary
        self._require_durable = require_durable

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.ports[0]

    @property
    def monitor_port(self) -> int:
        """The HTTP port with ``/varz``, ``/jsz``, ``/connz``."""
        return self.ports[1]

    @property
    def url(self) -> str:
        """Where clients connect; TLS is up to them and the configuration."""
        return f"nats://{LOOPBACK}:{self.port}"

    def _command(self) -> Sequence[str]:
        binary = self._binary or nats_binary()
        version = version_of(binary)
        if version < OLDEST:
            raise ServerFailedError(
                f"{binary} is nats-server {'.'.join(map(str, version))}, which can lose acknowledged messages:"
                f" use {'.'.join(map(str, OLDEST))} or newer (scripts/install unpacks one)."
            )
        config = self.state / "nats.conf"
        config.write_text(self.config)
        config.chmod(0o600)  # may hold passwords
        return [
            str(binary),
            *("--config", str(config)),
            *("--addr", LOOPBACK, "--port", str(self.port), "--http_port", str(self.monitor_port)),
            *("--store_dir", str(self.state / "store")),
        ]

    async def _ready(self) -> bool:
        status, _ = await http_get(self.monitor_port, "/healthz")
        if status != 200:
            return False
        await self._refuse_unsafe()
        return True

    async def _refuse_unsafe(self) -> None:
        _, body = await http_get(self.monitor_port, "/varz")
        running: Mapping[str, Mapping[str, Mapping[str, object]]] = json.loads(body)
        jetstream = running.get("jetstream", {}).get("config")
        if self._require_durable and jetstream is not None and jetstream.get("sync_always") is not True:
            raise ServerFailedError(
                "This nats-server acknowledges messages before they are on disk:"
                " set jetstream { sync_interval: always } in its configuration."
            )
