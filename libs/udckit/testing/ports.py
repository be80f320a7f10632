"""Free TCP ports of the loopback address that two programs of this project never choose at the same time."""

import random
import socket
from collections.abc import Iterator
from typing import Self

from udckit.errors import OverloadedError

LOOPBACK = "127.0.0.1"

# Below the range from which Linux takes the local ports of outgoing connections (32768 and up), so that between
# our choice and the server's bind no client's connection can take the port.
_CANDIDATES = range(15_000, 32_000)
_ATTEMPTS = 2_000


def can_bind(port: int) -> bool:
    """Whether a server could listen on ``port`` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen()
        except OSError:
            return False
        return True


def _claimed(port: int) -> socket.socket | None:
    """Claims ``port`` among all programs of this project; the kernel drops the claim when its holder dies."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        # An abstract address has no file to clean up and is scoped like a port: one per network namespace.
        claim.bind(f"\0udc-port-{port}")
    except OSError:
        claim.close()
        return None
    return claim


class ReservedPorts:
    """Ports that no other reservation on this machine holds; kept until released or the process ends.

    Args:
        count: How many.

    Raises:
        OverloadedError: So many ports are taken that no free one was found.
    """

    def __init__(self, count: int) -> None:
        self._claims: dict[int, socket.socket] = {}
        for _ in range(_ATTEMPTS):
            if len(self._claims) == count:
                break
            port = random.choice(_CANDIDATES)  # noqa: S311 - spreads choices, guards nothing
            if port in self._claims or (claim := _claimed(port)) is None:
                continue
            if can_bind(port):
                self._claims[port] = claim
            else:
                claim.close()
        else:
            self.release()
            raise OverloadedError(
                f"No free port among {_CANDIDATES.start} to {_CANDIDATES.stop - 1}: stop servers that are left over.",
                wanted=count,
            )

    def __iter__(self) -> Iterator[int]:
        """The port numbers, in the order in which they were found."""
        return iter(self._claims)

    def release(self) -> None:
        """Lets others have the ports. Repeating it is harmless."""
        for claim in self._claims.values():
            claim.close()
        self._claims.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()
