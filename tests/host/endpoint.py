"""A model's endpoint that answers what a function says, byte by byte, and keeps what it was asked. Never a test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Writes: TypeAlias = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]
"""Answers one request, given its body."""


@dataclass
class Endpoint:
    """A running endpoint."""

    base_url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def endpoint(answer: Writes) -> AsyncIterator[Endpoint]:
    """Listen on a free port; each connection carries one request."""
    made, underway = Endpoint(), set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        underway.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            made.asked.append(body)
            await answer(body, writer)
        with contextlib.suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        made.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield made
    await asyncio.gather(*underway, return_exceptions=True)


def head_of(kind: str, status: str = "200 OK", **fields: str) -> bytes:
    """A status line and header fields; the end of the connection ends the body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def sending(*pieces: bytes) -> Writes:
    """Answers these bytes, each piece on its own."""

    async def answer(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


def in_turn(*answers: Writes) -> Writes:
    """Answers the first request with the first of them, and so on; the last serves all that follow."""
    left = list(answers)

    async def answer(body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(body, writer)

    return answer


def streamed(chunks: Iterable[Any], **fields: str) -> Writes:
    """An event stream of these values; text goes out as it is."""
    return sending(head_of("text/event-stream", **fields), *map(event, chunks))


def event(chunk: Any) -> bytes:
    """One event; text is one as it is."""
    if isinstance(chunk, str):
        return chunk.encode()
    try:
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
    except UnicodeEncodeError:  # half an emoji
        return f"data: {json.dumps(chunk)}\n\n".encode()


def whole(value: Any, status: str = "200 OK", **fields: str) -> Writes:
    """A body of JSON."""
    return sending(head_of("application/json", status, **fields), json.dumps(value).encode())
