"""A real Triton Inference Server, from the Python package that carries it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from udckit.testing.installation import HOME
from udckit.testing.ports import LOOPBACK
from udckit.testing.probe import http_get
from udckit.testing.process import Server, ServerFailedError

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has POSIX shared memory


class Triton(Server):
    """A tritonserver with explicit model control on free loopback ports.

    Models in Python run in the server's own environment: it has NumPy 1 (with NumPy 2 this server answers OK and an
    empty tensor) and ONNX Runtime.

    Args:
        state: Directory for the log.
        model_repository: Folder with one folder per model; made when missing. Models are loaded on request.
        environment: The virtual environment that scripts/install made for the server.
        ports: Fixed HTTP, gRPC and metrics port; free ones when left out.
    """

    name: ClassVar[str] = "tritonserver"

    def __init__(
        self,
        state: Path,
        model_repository: Path,
        *,
        environment: Path = HOME / "triton",
        ports: tuple[int, int, int] | None = None,
    ) -> None:
        # Loading the libraries takes seconds from a cold disk.
        super().__init__(state, port_count=3, ports=ports, ready_within_s=90.0)
        self.model_repository = model_repository.absolute()
        self._environment_folder = environment

    @property
    def http_port(self) -> int:
        """The port of the KServe v2 HTTP API."""
        return self.ports[0]

    @property
    def grpc_port(self) -> int:
        """The port of the KServe v2 gRPC API."""
        return self.ports[1]

    @property
    def metrics_port(self) -> int:
        """The port with Prometheus metrics."""
        return self.ports[2]

    @property
    def grpc_address(self) -> str:
        """Host and port of the gRPC API, as Triton's clients take it."""
        return f"{LOOPBACK}:{self.grpc_port}"

    @property
    def _shared_memory_prefix(self) -> str:
        return f"udc-triton-{self.grpc_port}-"

    def _site_packages(self) -> Path:
        found = next(iter(self._environment_folder.glob("lib/python3.*/site-packages/pytriton/tritonserver")), None)
        if found is None:
            raise ServerFailedError(
                f"There is no Triton Inference Server in {self._environment_folder}: run scripts/install."
            )
        return found.parents[1]

    def _command(self) -> Sequence[str]:
        server = self._site_packages() / "pytriton/tritonserver"
        self.model_repository.mkdir(parents=True, exist_ok=True)
        self._remove_shared_memory()
        return [
            str(server / "bin/tritonserver"),
            f"--model-repository={self.model_repository}",
            f"--backend-directory={server / 'backends'}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory_prefix}",
            "--model-control-mode=explicit",
            *(f"--{api}-address={LOOPBACK}" for api in ("http", "grpc", "metrics")),
            f"--http-port={self.http_port}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-port={self.metrics_port}",
            "--allow-gpu-metrics=false",
            "--exit-timeout-secs=5",
        ]

    def _environment(self) -> Mapping[str, str]:
        # What the environment's owner knows about itself; the stub that runs Python models needs the very libpython
        # of the interpreter whose packages it imports.
        library = self._environment_folder / "libpython"
        return {
            **os.environ,
            "PATH": f"{self._environment_folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(self._site_packages()),
            "LD_LIBRARY_PATH": str(library.resolve()),
        }

    async def _ready(self) -> bool:
        status, _ = await http_get(self.http_port, "/v2/health/ready")
        return status == 200

    def kill(self) -> None:
        """Ends the server and the processes of its models at once, and removes the shared memory they leave behind."""
        super().kill()
        self._remove_shared_memory()

    def _remove_shared_memory(self) -> None:
        for region in _SHARED_MEMORY.glob(f"{self._shared_memory_prefix}*"):
            region.unlink(missing_ok=True)
