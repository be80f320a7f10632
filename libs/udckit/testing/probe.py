"""The one HTTP request that tells whether a server of the loopback address answers."""

import asyncio
from collections.abc import Mapping

from udckit.testing.ports import LOOPBACK


async def http_get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Asks for ``path`` and returns status and body.

    HTTP/1.0, so that the server closes and never answers in chunks.

    Raises:
        OSError: Nobody listens.
        EOFError: The server closed without an answer.
    """
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        lines = [f"GET {path} HTTP/1.0", f"Host: {LOOPBACK}", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/"):
        raise EOFError(f"port {port} closed the connection without an HTTP answer")
    return int(head.split(maxsplit=2)[1]), body
