"""A shared session's record: what it says, and how what others say is taken over."""

from __future__ import annotations

from mcpkit.protocol.exchange import Client
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, REVISIONS
from mcpkit.sessions.mailbox import DEFAULT_BOUNDS
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.redis_mailbox import RedisMailbox
from mcpkit.sessions.redis_session import SharedSession
from mcpkit.sessions.store import watched_bound


def session() -> SharedSession:
    link = Link("redis://127.0.0.1:1")
    link.begin()
    return SharedSession(
        link, "id", NEWEST_HANDSHAKE, RedisMailbox(link, "id", DEFAULT_BOUNDS), None, watched_bound(1, 100)
    )


def test_a_record_says_all_that_a_session_remembers() -> None:
    one, other = session(), session()
    one.client, one.phase = Client({"name": "c", "n": 1}, {"roots": {}}), Phase.READY
    one.log_level, one.subscriptions = "info", {"a:1"}
    one.revision = REVISIONS[list(REVISIONS)[2]]
    other.learn(b"1", one.record())
    assert other.record() == one.record()
    assert (other.client, other.revision, other.version) == (one.client, one.revision, b"1")


async def test_nothing_is_said_when_nothing_has_changed() -> None:
    """There is no Redis here: saying something would fail."""
    one = session()
    one.opened()
    await one.keep()


def test_what_changed_here_wins_over_what_did_not_change_there() -> None:
    one = session()
    record = one.opened()
    one.log_level = "error"
    one.learn(b"2", {**record, "u:a:1": b"1"})
    assert (one.log_level, one.subscriptions) == ("error", {"a:1"})


def test_an_ended_session_does_not_come_back() -> None:
    one = session()
    record = one.opened()
    one.end()
    one.learn(b"2", {**record, "phase": b"READY"})
    assert one.phase is Phase.CLOSED


async def test_questions_name_the_replica_that_asks() -> None:
    class Nobody:
        def resolve(self, result: object) -> None: ...
        def reject(self, error: object) -> None: ...

    one, other = session(), session()
    ids = [each.peer.ask("m", {}, Nobody()).id for each in (one, other)]
    assert len(set(ids)) == 2
    assert str(ids[0]).startswith(f"{one._link.id}-")
