"""A session belongs to its caller, and takes everything that it holds down with it."""

from __future__ import annotations

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.lifecycle import Phase
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from mcpkit.sessions.mailbox import MemoryMailbox, Shelf
from mcpkit.sessions.session import Session, SessionEnded

ALICE, BOB = Principal("alice"), Principal("bob")


class Waiter:
    """Stands for a handler that waits for the client's answer, and for one that works on its call."""

    def __init__(self) -> None:
        self.error: McpKitError | None = None
        self.cancelled = False

    def resolve(self, result: JsonObject) -> None: ...

    def reject(self, error: McpKitError) -> None:
        self.error = error

    def cancel(self, reason: str | None) -> None:
        self.cancelled = True


def session(principal: Principal | None = None) -> Session:
    return Session("id", NEWEST_HANDSHAKE, MemoryMailbox(Shelf()), principal)


def test_a_session_belongs_to_whoever_opened_it() -> None:
    """SESS-03, SHL-48: same id of a principal, same caller; anything else is a stranger."""
    mine = session(ALICE)
    assert mine.belongs_to(Principal("alice", scopes=frozenset({"more"})))
    assert not mine.belongs_to(BOB)
    assert not mine.belongs_to(None)
    assert not session(None).belongs_to(ALICE)
    assert session(None).belongs_to(None)


def test_its_end_cancels_calls_and_fails_questions() -> None:
    one, call, question = session(), Waiter(), Waiter()
    one.peer.begin(7, call)
    one.peer.ask("roots/list", {}, question)
    one.subscriptions |= {"file:///x"}
    one.end()
    one.end()
    assert call.cancelled
    assert isinstance(question.error, SessionEnded)
    assert (one.phase, one.subscriptions) == (Phase.CLOSED, set())


async def test_it_is_busy_while_it_serves_or_is_listened_to() -> None:
    one = session()
    seen = [one.busy]
    one.peer.begin(1, Waiter())
    seen.append(one.busy)
    one.peer.end(1)
    reader = one.mailbox.follow(one.mailbox.open(), 0)
    seen.append(one.busy)
    reader.close()
    seen.append(one.busy)
    assert seen == [False, True, True, False]
