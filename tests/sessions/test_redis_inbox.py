"""What other replicas send is taken in order, and one bad message stops nothing."""

from __future__ import annotations

import pytest

from mcpkit.sessions import redis_scripts as scripts
from mcpkit.sessions.redis_inbox import entry
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer
from tests.sessions.conftest import until

pytestmark = pytest.mark.redis


async def test_messages_are_taken_in_order_each_once(two: tuple[Replica, Replica]) -> None:
    here, there = two
    taken: list[tuple[str, bytes]] = []

    async def take(session: str, body: bytes) -> None:
        if body == b"2":
            raise ValueError(body)
        taken.append((session, body))

    here._inbox.on("test", take)
    for body in ("0", "1", "2", "3"):
        step = (here.link.id, "session", "test", body, there.link.token(), 1 << 20)
        assert await there.link.run(scripts.SEND, *step)
        assert await there.link.run(scripts.SEND, *step)  # its answer was lost
    await there.link.run(scripts.SEND, here.link.id, "session", "nonsense", "", there.link.token(), 1 << 20)
    await there.link.run(scripts.BROADCAST, there.link.id, "all", "test", "4")
    await until(lambda: len(taken) == 4)
    assert taken == [("session", b"0"), ("session", b"1"), ("session", b"3"), ("all", b"4")]


async def test_nothing_is_lost_while_the_line_is_cut(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    here, there = two
    taken: list[bytes] = []

    async def take(session: str, body: bytes) -> None:
        taken.append(body)

    here._inbox.on("test", take)
    for body in range(10):
        await there.link.run(scripts.SEND, here.link.id, "s", "test", str(body), there.link.token(), 1 << 20)
        if body % 3 == 0:
            redis.ask("CLIENT", "KILL", "TYPE", "normal")
            await until(lambda: not there.link.away)
    await until(lambda: len(taken) == 10)
    assert taken == [str(body).encode() for body in range(10)]


async def test_what_was_dealt_with_is_let_go(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    here, there = two
    for _ in range(200):
        await there.link.run(scripts.SEND, here.link.id, "s", "nonsense", "", there.link.token(), 1 << 20)
    name = f"{here.link.prefix}inbox:{here.link.id}"
    last = redis.ask("XINFO", "STREAM", name)
    assert last
    await until(lambda: here.link.read_up_to != "0")
    for _ in range(2):
        await here.link.beat()
    await until(lambda: int(redis.ask("XLEN", name)[1:]) < 200)


def test_an_entry_is_read_in_either_shape() -> None:
    assert entry((b"1-0", [b"a", b"1"])) == entry((b"1-0", {b"a": b"1"})) == ("1-0", {"a": b"1"})


async def test_an_entry_of_the_feed_that_nobody_understands_deafens_nobody(
    two: tuple[Replica, Replica], redis: RedisServer
) -> None:
    here, there = two
    taken: list[bytes] = []

    async def take(session: str, body: bytes) -> None:
        taken.append(body)

    here._inbox.on("test", take)
    assert redis.ask("XADD", "{mcpkit}:feed", "*", "nonsense", "1").startswith("$")
    await there.link.run(scripts.SEND, here.link.id, "s", "test", "after", there.link.token(), 1 << 20)
    await until(lambda: taken == [b"after"])
