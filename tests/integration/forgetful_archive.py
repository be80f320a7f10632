"""An archive that closes an idle connection at the very moment at which it is used again, as real ones do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from udckit.testing.ports import LOOPBACK


@dataclass
class ForgetfulArchive:
    """Answers every question with an empty list, and each connection only so often.

    Attributes:
        answers: How often a connection is answered; at the next question it is closed without a word.
        asked: The method of every question that came, in order.
        authorizations: What it said about who asks, where it said anything.
        connections: How many were opened.
    """

    answers: int = 1
    asked: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for number in range(self.answers + 1):
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(head.split(b" ")[0].decode())
                fields = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n")[1:])
                self.authorizations += [fields["Authorization"]] if "Authorization" in fields else []
                if number < self.answers:
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: 2\r\n\r\n[]"
                    )
                    await writer.drain()
        except asyncio.IncompleteReadError:
            return  # the other side closed it first
        finally:
            writer.close()


@asynccontextmanager
async def forgetful(*, answers: int = 1) -> AsyncIterator[ForgetfulArchive]:
    """Serve such an archive on a free loopback port."""
    archive = ForgetfulArchive(answers=answers)
    server = await asyncio.start_server(archive.serve, LOOPBACK, 0)
    archive.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield archive
