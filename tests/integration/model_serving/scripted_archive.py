"""An archive that answers byte by byte as a test says: what a real one does only on its worst days."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from unit.model_serving.multipart_bytes import CONTENT_TYPE

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def head(status: str = "200 OK", content_type: str = CONTENT_TYPE) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n".encode()


def sending(content: bytes) -> Script:
    """Send ``content`` and close cleanly."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()

    return script


def hanging_after(content: bytes) -> Script:
    """Send ``content`` and then nothing until the client leaves."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        await reader.read()

    return script


def resetting_after(content: bytes) -> Script:
    """Send ``content`` and reset the connection."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        await asyncio.sleep(0.1)  # so that the client has seen the beginning
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return script


class ScriptedArchive:
    """Answers every request by the script of the moment."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.script: Script = sending(head("404 Not Found"))
        self.requests: list[str] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()


@asynccontextmanager
async def scripted_archive() -> AsyncIterator[ScriptedArchive]:
    """Listen on a free port of the loopback address while the block runs."""
    archive = ScriptedArchive("")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        archive.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        archive.asked.set()
        with contextlib.suppress(ConnectionError):
            await archive.script(reader, writer)
        archive.left.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    archive.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/dicom-web"
    async with server:
        yield archive
