"""A real PostgreSQL cluster of its own, beside any that the machine may run."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from udckit.testing.installation import program
from udckit.testing.ports import LOOPBACK
from udckit.testing.process import Server, ServerFailedError

_OWNER = "udc"
_UNPRIVILEGED_USER = "postgres"


def _bin(name: str) -> Path:
    """The program of the newest major version that is installed; Debian keeps them off the PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return program(name, *reversed(installed))


class PostgreSQL(Server):
    """A PostgreSQL cluster on a free loopback port, with password authentication and no Unix socket.

    PostgreSQL refuses to run as root; then the user ``postgres`` of Debian's package runs it, who must be able to
    reach the state directory.

    Args:
        state: Directory for cluster, password and log.
        port: A fixed port; a free one when left out.
    """

    name: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # SIGTERM waits until the last client has gone

    def __init__(self, state: Path, *, port: int | None = None) -> None:
        super().__init__(state, port_count=1, ports=None if port is None else (port,), ready_within_s=60.0)

    @property
    def port(self) -> int:
        """The port for clients."""
        return self.ports[0]

    @property
    def _cluster(self) -> Path:
        return self.state / "cluster"

    @property
    def _password(self) -> str:
        return (self.state / "password").read_text()

    def _runs_as(self) -> Sequence[str]:
        if os.geteuid() != 0:
            return ()
        return ("--reuid", _UNPRIVILEGED_USER, "--regid", _UNPRIVILEGED_USER, "--init-groups")

    def _command(self) -> Sequence[str]:
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster()
        return [
            str(_bin("postgres")),
            *("-D", str(self._cluster), "-p", str(self.port)),
            *("-c", f"listen_addresses={LOOPBACK}"),
            *("-c", "unix_socket_directories="),  # a socket's path may not be longer than 107 bytes
            *("-c", "max_connections=200"),
        ]

    def _make_cluster(self) -> None:
        if os.geteuid() == 0:
            self._hand_over_state()
        shutil.rmtree(self._cluster, ignore_errors=True)  # an initdb that was cut short
        password = self.state / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24))
        if os.geteuid() == 0:
            shutil.chown(password, _UNPRIVILEGED_USER)
        made = subprocess.run(
            [
                "setpriv",
                *self._runs_as(),
                str(_bin("initdb")),
                *("--pgdata", str(self._cluster), "--username", _OWNER, "--pwfile", str(password)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
            ],
            cwd=self.state,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if made.returncode != 0:
            raise ServerFailedError(
                f"initdb could not make a cluster in {self._cluster}:",
                [*made.stdout.splitlines(), *made.stderr.splitlines()],
            )

    def _hand_over_state(self) -> None:
        try:
            user = pwd.getpwnam(_UNPRIVILEGED_USER)
        except KeyError as error:
            raise ServerFailedError(f"There is no user {_UNPRIVILEGED_USER}: run scripts/install.") from error
        os.chown(self.state, user.pw_uid, user.pw_gid)
        reachable = subprocess.run(
            ["setpriv", *self._runs_as(), "test", "-w", str(self.state)], cwd="/", check=False, timeout=30
        )
        if reachable.returncode != 0:
            raise ServerFailedError(
                f"PostgreSQL does not run as root, and the user {_UNPRIVILEGED_USER} cannot reach {self.state}:"
                " choose a directory below one that others may enter."
            )

    async def _ready(self) -> bool:
        try:
            async with await self._connected():
                return True
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error

    async def _connected(self) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            host=LOOPBACK, port=self.port, user=_OWNER, password=self._password, dbname="postgres", autocommit=True
        )

    async def create_database(self, name: str) -> str:
        """Makes an empty database and returns its URL for SQLAlchemy, with user and password."""
        async with await self._connected() as connection:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{_OWNER}:{self._password}@{LOOPBACK}:{self.port}/{name}"

    async def drop_database(self, name: str) -> None:
        """Removes a database, cutting the connections it still has."""
        async with await self._connected() as connection:
            await connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
