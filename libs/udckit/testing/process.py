"""One server program: started, awaited, frozen, killed and stopped by its process id."""

import asyncio
import contextlib
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from udckit.errors import UpstreamUnavailableError
from udckit.testing.ports import ReservedPorts, can_bind

_POLL_S = 0.02
_LAST_LINES = 25
_PORT_ATTEMPTS = 3


class ServerFailedError(UpstreamUnavailableError):
    """A server program could not be started, or a program that talks to it failed.

    Args:
        message: What failed and what to do about it.
        last_lines: The program's own last words.
    """

    reason = "SERVER_FAILED"

    def __init__(self, message: str, /, last_lines: Sequence[str] = ()) -> None:
        super().__init__("\n  ".join([message, *last_lines]))
        self.last_lines = tuple(last_lines)


def tail_of(log: Path, offset: int = 0) -> list[str]:
    """The last lines of what was written to ``log`` after ``offset`` bytes."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(offset)
        return file.read().decode(errors="replace").splitlines()[-_LAST_LINES:]


def _descendants(pid: int) -> list[int]:
    """Process ids of all children of ``pid``, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        # A process may end while it is looked at. The name, in brackets, may hold spaces.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(pid, []))
    for descendant in found:
        found.extend(children.get(descendant, []))
    return found


class Server(ABC):
    """A real server with its state in a directory.

    Used as ``async with``, or by ``start`` and ``stop``. The program dies with the thread that started it, however
    that ends, so start it in a thread that outlives it. It is independent of the event loop: one started under a
    loop may be stopped under another.

    Args:
        state: Directory for configuration, data and log; made when missing, kept when stopped.
        port_count: How many ports the program listens on.
        ports: Fixed ports. Left out, free ones are chosen and kept until the object is closed, over restarts too.
        ready_within_s: How long the program may take until it answers.
        stop_within_s: How long it may take to end after the stop signal before it is killed.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    """What asks the program to end in order, without waiting for its clients to leave."""

    def __init__(
        self,
        state: Path,
        *,
        port_count: int,
        ports: Sequence[int] | None = None,
        ready_within_s: float = 30.0,
        stop_within_s: float = 15.0,
    ) -> None:
        self.state = state.absolute()
        self.log = self.state / "log.txt"
        self._port_count = port_count
        self._fixed_ports = tuple(ports) if ports is not None else None
        self._reserved: ReservedPorts | None = None
        self._ready_within_s = ready_within_s
        self._stop_within_s = stop_within_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Prepares what the program reads and returns its command line; called in a thread, as it may take long."""

    @abstractmethod
    async def _ready(self) -> bool:
        """Whether the program answers; OSError and EOFError count as no."""

    def _environment(self) -> Mapping[str, str]:
        """Variables for the program, in place of this process's."""
        return os.environ

    def _runs_as(self) -> Sequence[str]:
        """Options of setpriv(1) that give up rights."""
        return ()

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports the program listens on.

        Raises:
            ServerFailedError: None are chosen yet, because the server was never started.
        """
        if self._fixed_ports is not None:
            return self._fixed_ports
        if self._reserved is None:
            raise ServerFailedError(f"{self.name} was never started, so it has no port yet: call start() first.")
        return tuple(self._reserved)

    @property
    def running(self) -> bool:
        """Whether the program runs, or is frozen."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running program.

        Raises:
            ServerFailedError: It does not run.
        """
        if self._process is None or self._process.poll() is not None:
            raise ServerFailedError(f"{self.name} does not run.", self.last_lines())
        return self._process.pid

    def last_lines(self) -> list[str]:
        """What the program wrote last since its latest start."""
        return tail_of(self.log, self._log_offset)

    async def start(self) -> None:
        """Starts the program and returns when it answers; on the ports it had before, if it ran before.

        Raises:
            ServerFailedError: It ended, or did not answer in time; the error holds its last lines.
        """
        if self.running:
            return
        self.state.mkdir(parents=True, exist_ok=True)
        if self._fixed_ports is not None or self._reserved is not None:
            await self._start_once()
            return
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self._reserved = ReservedPorts(self._port_count)
            try:
                await self._start_once()
            except BaseException as error:
                # A program that does not take part in our reservations may have been faster: then choose again.
                taken = isinstance(error, ServerFailedError) and not all(map(can_bind, self._reserved))
                self.release_ports()
                if attempt == _PORT_ATTEMPTS or not taken:
                    raise
            else:
                return

    async def _start_once(self) -> None:
        process = self._process = self._spawned(await asyncio.to_thread(self._command))
        try:
            await self._until_ready(process)
        except BaseException:
            self._kill_all()
            raise

    def _spawned(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self._log_offset = log.tell()
            return subprocess.Popen(
                [
                    "setpriv",
                    # The kernel kills the program when we end, even by SIGKILL. Set here and not between fork and
                    # exec in Python, where other threads' locks (gRPC's) may be held.
                    *("--pdeathsig", "KILL"),
                    *self._runs_as(),
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self._environment()),
                cwd=self.state,
                start_new_session=True,  # Ctrl-C in a terminal is for us; we then stop the servers in order
            )

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        try:
            async with asyncio.timeout(self._ready_within_s):
                while True:
                    with contextlib.suppress(OSError, EOFError):
                        if await self._ready() and process.poll() is None:
                            return
                    if process.poll() is not None:
                        raise ServerFailedError(
                            f"{self.name} ended with code {process.returncode} before it was ready. Its last lines:",
                            self.last_lines(),
                        )
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise ServerFailedError(
                f"{self.name} did not answer within {self._ready_within_s:g} s. Its last lines:", self.last_lines()
            ) from error

    async def stop(self) -> None:
        """Asks the program to end and kills it when it does not, or when this call is cancelled."""
        process = self._process
        if process is None:
            return
        try:
            if process.poll() is None:
                process.send_signal(self.stop_signal)
                process.send_signal(signal.SIGCONT)  # a frozen program would never see the first one
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._stop_within_s):
                        while process.poll() is None:  # noqa: ASYNC110 - a process sets no asyncio event
                            await asyncio.sleep(_POLL_S)
        finally:
            self._kill_all()

    def kill(self) -> None:
        """Ends the program and its children at once, as a power cut would: no chance to write anything."""
        self._kill_all()

    def freeze(self) -> None:
        """Stops the program from running (SIGSTOP); connections stay open and get no answer."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)  # the signal alone lets its threads run a little longer

    def thaw(self) -> None:
        """Lets a frozen program go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def release_ports(self) -> None:
        """Lets others have the ports; the next start chooses new ones."""
        if self._reserved is not None:
            self._reserved.release()
            self._reserved = None

    async def aclose(self) -> None:
        """Stops the program and gives its ports back; the state directory stays."""
        try:
            await self.stop()
        finally:
            self.release_ports()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _kill_all(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)  # so that it starts no further child while they are collected
            family = _descendants(process.pid)
            process.kill()
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()
