"""One raw connection of a client: whole answers, event by event, or rudely cut.

What must never stand here: MCP, a repair of what is sent.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

SECONDS = 30.0
"""Whoever waits longer has found something."""


class Broken(Exception):
    """The server answered what it must not, or not at all; the message says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; ``body`` is empty while a stream is still open."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def streams(self) -> bool:
        """Whether events follow."""
        return self.headers.get("content-type", "").startswith("text/event-stream")


class Wire:
    """A connection that is used for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._held = b""

    @classmethod
    async def open(cls, port: int) -> Wire:
        """Connect to the server on this machine."""
        async with asyncio.timeout(SECONDS):
            return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)

    async def drained(self) -> None:
        """Wait until they have left."""
        async with asyncio.timeout(SECONDS):
            await self._writer.drain()

    def close(self) -> None:
        """Go away (FIN)."""
        self._writer.close()

    def reset(self) -> None:
        """Go away rudely (RST, where anything is unread)."""
        self._writer.transport.abort()

    async def ask(self, data: bytes) -> Answer:
        """Send a request and take the answer; of a stream only its beginning."""
        self.send(data)
        return await self.answer()

    async def answer(self) -> Answer:
        """The next response.

        Raises: Broken.
        """
        try:
            async with asyncio.timeout(SECONDS):
                return await self._answer()
        except TimeoutError:
            raise Broken(f"no answer within {SECONDS:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Broken(f"the connection ended before the answer: {type(error).__name__}") from None

    async def _answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        answer = Answer(int(head[0].split()[1]), headers)
        if answer.status >= 500 and answer.status not in {501, 503, 505}:
            raise Broken(f"{answer.status}")
        if answer.streams:
            return answer
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join([chunk async for chunk in self._chunks()])
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        if b"Traceback" in body or b"object at 0x" in body:
            raise Broken(f"insides in a reply: {body[:200]!r}")
        return Answer(answer.status, headers, body)

    async def _chunks(self) -> Any:
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()

    async def event(self) -> tuple[str, str]:
        """The data and the id of the next event that has data.

        Raises: Broken; EOFError at the end of the stream.
        """
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    fields = _fields(await self._block())
                    if "data" in fields:
                        return fields["data"], fields.get("id", "")
        except TimeoutError:
            raise Broken(f"no event within {SECONDS:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Broken(f"the stream broke: {type(error).__name__}") from None

    async def _block(self) -> str:
        while b"\n\n" not in self._held:
            size = int(await self._reader.readline(), 16)
            chunk = await self._reader.readexactly(size + 2)
            if not size:
                self._held = b""
                raise EOFError
            self._held += chunk[:-2].replace(b"\r\n", b"\n")
        block, _, self._held = self._held.partition(b"\n\n")
        return block.decode()

    async def message(self) -> Any:
        """The JSON of the next event that has some."""
        while True:
            data, _ = await self.event()
            if data:
                return json.loads(data)


def _fields(block: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition(": ") for line in block.split("\n")) if name}


def post(message: Any, *fields: str, path: str = "/api", accept: str = "application/json, text/event-stream") -> bytes:
    """A whole POST."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Accept: {accept}"]
    return "\r\n".join([*lines, *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


def get(path: str, *fields: str, method: str = "GET") -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: text/event-stream", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def request(method: str, id: Any = 1, **params: Any) -> dict[str, Any]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def call(name: str, id: Any = 1, meta: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    """A call of a tool."""
    return request("tools/call", id, name=name, arguments=arguments, **({"_meta": meta} if meta else {}))
