"""Several replicas behind a proxy, under load while things break: nothing lost, doubled, mixed up, or denied.

"Lost" is a call with neither an answer nor an explicit error within 25 seconds; an explicit error is HTTP 502, 503 or
504, a connection that breaks before the answer begins, or a JSON-RPC error whose data says ``retry``. A plain call is
never resumed, so its client sends it again. What must never stand here: how a client or a process is run.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.fixtures.redis_server import redis_server
from tests.replicas.clients import Books
from tests.replicas.conftest import CALLS, load
from tests.replicas.forwarder import forwarding
from tests.replicas.place import Place, Replica, place

ROUNDS = max(1, CALLS // 10_000)
"""How often each fault comes again."""
pytestmark = [pytest.mark.redis, pytest.mark.nginx, pytest.mark.slow(seconds=max(300, CALLS // 20))]


def said(what: str, books: Books) -> None:
    """For whoever reads along (pytest -s): how much was served, and what had to be sent again and why."""
    sys.stdout.write(f"{what} {books.answered} answered, sent again: {dict(books.retried)}\n")


async def restarted(replica: Replica, number: signal.Signals) -> None:
    """End a replica and start it anew at its place."""
    await asyncio.to_thread(replica.end, number)
    replica.start()
    await asyncio.to_thread(replica.wait_ready)


async def test_a_rolling_restart(three: Place) -> None:
    """Each replica ends by SIGTERM, in turn, and comes back; sessions go on at the others, and no request fails."""

    async def roll() -> None:
        for replica in three.replicas * ROUNDS:
            await restarted(replica, signal.SIGTERM)
            await asyncio.sleep(0.5)

    books = await load(three.url, CALLS // 5, roll())
    said("rolling restart:", books)
    assert not books.retried, "a request failed"
    books.check()


async def test_kill_9_every_few_seconds(three: Place) -> None:
    """A replica that dies takes its running calls with it, and each of their callers is told."""

    async def kill() -> None:
        for replica in three.replicas * ROUNDS:
            await asyncio.sleep(1.5)
            await restarted(replica, signal.SIGKILL)

    books = await load(three.url, CALLS // 5, kill())
    said("kill -9:", books)
    books.check()


async def test_redis_is_restarted(three: Place) -> None:
    """Sessions survive a Redis that writes down what it is told; meanwhile 503, and no 404."""

    async def restart() -> None:
        for end in (three.redis.kill, three.redis.end) * ROUNDS:
            await asyncio.sleep(1)
            await asyncio.to_thread(end)
            await asyncio.sleep(1)
            await asyncio.to_thread(three.redis.start)
            await asyncio.sleep(1)

    books = await load(three.url, CALLS // 5, restart())
    said("Redis restart:", books)
    assert books.retried["503"]
    books.check()


async def test_redis_stands_still_for_a_while(three: Place) -> None:
    """SIGSTOP and SIGCONT: slower than any lease, but nothing is forgotten."""

    async def stop() -> None:
        for seconds in (0.5, 3) * ROUNDS:
            await asyncio.sleep(1)
            three.redis.send(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            three.redis.send(signal.SIGCONT)
        await asyncio.sleep(1)

    books = await load(three.url, CALLS // 5, stop())
    said("slow Redis:", books)
    books.check()


async def test_redis_fails_over(tmp_path: Path) -> None:
    """The primary dies, its replica is promoted, and the address that the servers know leads there."""
    with (
        forwarding() as address,
        redis_server(tmp_path / "second") as second,
        place(tmp_path, redis_url=address.url, before=lambda redis: address.turn(redis.port)) as three,
    ):
        second.follow(three.redis.port)

        async def fail_over() -> None:
            await asyncio.sleep(1.5)
            await asyncio.to_thread(three.redis.kill)
            await asyncio.sleep(0.5)
            assert second.ask("REPLICAOF", "NO", "ONE") == "+OK"
            address.turn(second.port)
            await asyncio.sleep(1)

        books = await load(three.url, CALLS // 5, fail_over())
    said("Redis failover:", books)
    assert books.retried["503"]
    books.check()
