"""One client, calling one tool again and again: ``calling.py KIND ERA URL SECONDS`` prints what a call costs it.

Runs in whatever environment has the client; prints one JSON object, processor microseconds per call by calls in flight.
What must never stand here: a server, a table; two clients in one process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a bare clone is measured from any directory

from bench import wire

IN_FLIGHT = (1, 16)
WARM = 50
BATCH = 160
TEXT = "hello"

Call = Callable[[], Awaitable[object]]
"""One call, its answer checked by whoever makes it."""


def posted(era: str, url: str) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a bare call, where no client makes them."""
    session = wire.open_session(urlsplit(url).port or 80) if era == "session" else None
    asked = wire.call(era, "echo", {"text": TEXT}, session)
    return asked.data, asked.headers


def checked(answer: bytes) -> None:
    """The answer is the tool's."""
    if TEXT.encode() not in answer:
        raise RuntimeError(f"not the answer: {answer[:200]!r}")


@asynccontextmanager
async def bare_httpx(era: str, url: str) -> AsyncIterator[Call]:
    import httpx  # noqa: PLC0415

    body, headers = posted(era, url)
    async with httpx.AsyncClient() as client:
        yield lambda: _through(client.post(url, content=body, headers=headers))


async def _through(asking: Awaitable[Any]) -> None:
    checked((await asking).content)


@asynccontextmanager
async def bare_aiohttp(era: str, url: str) -> AsyncIterator[Call]:
    import aiohttp  # noqa: PLC0415

    body, headers = posted(era, url)

    async def call() -> None:
        async with client.post(url, data=body, headers=headers) as answer:
            checked(await answer.read())

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        yield call


@asynccontextmanager
async def bare_ours(era: str, url: str) -> AsyncIterator[Call]:
    from mcpkit.client.http import HttpRequest, read_body  # noqa: PLC0415
    from mcpkit.client.http_lanes import LaneCarrier  # noqa: PLC0415

    body, headers = posted(era, url)
    carrier = LaneCarrier()

    async def call() -> None:
        checked(await read_body(await carrier.send(HttpRequest("POST", url, headers, body)), 1_000_000))

    yield call
    await carrier.close()


@asynccontextmanager
async def ours(era: str, url: str) -> AsyncIterator[Call]:
    async with _ours(era, url) as call:
        yield call


@asynccontextmanager
async def ours_httpx(era: str, url: str) -> AsyncIterator[Call]:
    import httpx  # noqa: PLC0415

    async with httpx.AsyncClient() as client, _ours(era, url, http=client) as call:
        yield call


@asynccontextmanager
async def _ours(era: str, url: str, **options: Any) -> AsyncIterator[Call]:
    from mcpkit import MCPClient  # noqa: PLC0415

    async def call() -> None:
        checked((await client.call_tool("echo", {"text": TEXT})).text.encode())

    async with MCPClient(url, mode="auto" if era == "modern" else "legacy", **options) as client:
        await client.list_tools()
        yield call


@asynccontextmanager
async def sdk(era: str, url: str) -> AsyncIterator[Call]:
    from mcp import Client  # noqa: PLC0415

    async def call() -> None:
        answer: Any = await client.call_tool("echo", {"text": TEXT})
        checked(answer.content[0].text.encode())

    async with Client(url, mode="auto" if era == "modern" else "legacy") as client:
        await client.list_tools()
        yield call


@asynccontextmanager
async def fastmcp(era: str, url: str) -> AsyncIterator[Call]:
    from fastmcp import Client  # noqa: PLC0415

    async def call() -> None:
        answer: Any = await client.call_tool("echo", {"text": TEXT})
        checked(answer.content[0].text.encode())

    async with Client(url, mode="auto" if era == "modern" else "legacy") as client:
        await client.list_tools()
        yield call


KINDS = {maker.__name__: maker for maker in (bare_httpx, bare_aiohttp, bare_ours, ours, ours_httpx, sdk, fastmcp)}


async def micros(call: Call, in_flight: int, seconds: float) -> float:
    """Processor time of this process per call, in microseconds."""

    async def lane(times: int) -> None:
        for _ in range(times):
            await call()

    async def batch(calls: int) -> None:
        await asyncio.gather(*(lane(calls // in_flight) for _ in range(in_flight)))

    await batch(max(WARM, in_flight))
    done, used, until = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until:
        await batch(BATCH)
        done += BATCH
    return (time.process_time() - used) / done * 1e6


async def main(kind: str, era: str, url: str, seconds: str) -> None:
    async with KINDS[kind](era, url) as call:
        found = {str(in_flight): await micros(call, in_flight, float(seconds)) for in_flight in IN_FLIGHT}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
