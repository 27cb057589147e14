"""Load for the tests of replicas: how much of it, and who makes it.

What must never stand here: a fault, an expectation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.replicas.clients import Books, Client
from tests.replicas.place import Place, place

CALLS = int(os.environ.get("MCPKIT_REPLICA_CALLS", "5000"))
"""Calls over all tests of this folder; the nightly form sets 100000."""
CLIENTS = 16

Load = Callable[[str, int], Awaitable[Books]]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Place]:
    """Three replicas behind nginx, over one Redis."""
    with place(tmp_path) as running:
        yield running


async def load(url: str, calls: int, faults: Awaitable[None] | None = None) -> Books:
    """Make so many calls from several sessions at once while ``faults`` happen; calls go on until these are over."""
    books, numbers = Books(), count()
    happening = asyncio.ensure_future(faults) if faults is not None else None
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=4 * CLIENTS)) as http:

        async def work(name: str) -> None:
            client = Client(http, url, name, books)
            await client.open()
            while (number := next(numbers)) < calls or (happening is not None and not happening.done()):
                await one(client, number)

        try:
            await asyncio.gather(*(work(f"c{number}") for number in range(CLIENTS)))
        finally:
            if happening is not None:
                happening.cancel()
                await asyncio.gather(happening, return_exceptions=True)
    if happening is not None and not happening.cancelled():
        happening.result()
    return books


async def one(client: Client, number: int) -> None:
    """One call: mostly quick ones, some that take their time, some that ask their client."""
    text = f"{client.name} {number}"
    if number % 10 == 3:
        expected, got = f"{client.name} says {text}", await client.call("ask", question=text)
    elif number % 10 == 7:
        expected, got = "slept 0.05 seconds", await client.call("sleep", seconds=0.05)
    else:
        expected, got = text, await client.call("echo", text=text)
    if got and got != expected:
        client.books.strange.append(f"{expected!r} was answered {got!r}")
