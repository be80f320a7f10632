"""Real servers for tests, the demo and local runs: started on free ports, awaited, frozen, killed and stopped.

Nothing here is a stand-in. Each class starts the program itself, on the loopback address only, with its state in
a directory of the caller's; starting again over the same directory finds what was stored before.
"""

from udckit.testing.nats import NatsServer
from udckit.testing.orthanc import Orthanc
from udckit.testing.postgresql import PostgreSQL
from udckit.testing.process import ServerFailedError
from udckit.testing.triton import Triton

__all__ = ["NatsServer", "Orthanc", "PostgreSQL", "ServerFailedError", "Triton"]
