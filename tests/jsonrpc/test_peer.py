"""One end of a duplex conversation (RPC-04 to RPC-06, STDIO-21, CANC-02, CANC-08)."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.jsonrpc.errors import InvalidRequest, McpKitError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, JsonObject, Request, Response
from mcpkit.jsonrpc.peer import Peer


class Waiting:
    """Waits for one answer and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[JsonObject | McpKitError] = []

    def resolve(self, result: JsonObject) -> None:
        self.heard.append(result)

    def reject(self, error: McpKitError) -> None:
        self.heard.append(error)


class Working:
    """Serves one call and keeps what it is told."""

    def __init__(self) -> None:
        self.cancelled: list[str | None] = []

    def cancel(self, reason: str | None) -> None:
        self.cancelled.append(reason)


def test_every_question_has_an_id_of_its_own() -> None:
    """RPC-04: never used before, also after the answer came; a prefix makes them strings."""
    peer = Peer()
    first = peer.ask("a", {"x": 1}, Waiting())
    assert first == Request(1, "a", {"x": 1})
    peer.answered(Response(1, {}))
    assert peer.ask("b", {}, Waiting()).id == 2
    assert peer.ask("c", {}, Waiting(), prefix="s-").id == "s-3"
    assert peer.pending == 2


def test_an_answer_reaches_who_asked_once() -> None:
    """RPC-06: by value and type; a second answer, or one to nothing, reaches nobody."""
    peer, waiting = Peer(), Waiting()
    id = peer.ask("a", {}, waiting).id
    assert not peer.answered(Response(str(id), {}))
    assert not peer.answered(Response(99, {}))
    assert not peer.answered(ErrorResponse(None, RpcError(-1, "?")))
    assert waiting.heard == []
    assert peer.answered(Response(id, {"ok": True}))
    assert not peer.answered(Response(id, {"ok": False}))
    assert waiting.heard == [{"ok": True}]
    assert peer.pending == 0


def test_a_refusal_reaches_who_asked() -> None:
    """RPC-07."""
    peer, waiting = Peer(), Waiting()
    error = RpcError(-1, "User rejected sampling request")
    assert peer.answered(ErrorResponse(peer.ask("a", {}, waiting).id, error))
    assert waiting.heard == [error]


def test_a_forgotten_question_hears_nothing() -> None:
    """CANC-03: the sender ignores a late answer."""
    peer, waiting = Peer(), Waiting()
    id = peer.ask("a", {}, waiting).id
    peer.forget(id)
    peer.forget(id)
    assert not peer.answered(Response(id, {}))
    assert waiting.heard == []


def test_an_id_in_flight_is_refused_and_the_first_call_unharmed() -> None:
    """RPC-05, python-sdk #2655: until the call is over; 1 is not "1"."""
    peer, first = Peer(), Working()
    peer.begin(1, first)
    with pytest.raises(InvalidRequest, match="in flight") as caught:
        peer.begin(1, Working())
    assert caught.value.id == 1
    peer.begin("1", Working())
    assert peer.in_flight == 2
    assert peer.cancel(1, "bored")
    assert first.cancelled == ["bored"]
    peer.end(1)
    peer.end(1)
    peer.begin(1, Working())


@pytest.mark.parametrize("id", [True, 1.0, None, [1], {"a": 1}, "1", 2])
def test_a_cancel_of_nothing_does_nothing(id: Any) -> None:
    """CANC-08: unknown and malformed ids; what equals 1 in Python is not 1 on the wire."""
    peer, work = Peer(), Working()
    peer.begin(1, work)
    assert not peer.cancel(id, None)
    assert work.cancelled == []


def test_both_directions_may_use_one_id_at_once() -> None:
    """STDIO-21."""
    peer, waiting, work = Peer(), Waiting(), Working()
    id = peer.ask("a", {}, waiting).id
    peer.begin(id, work)
    assert peer.answered(Response(id, {}))
    assert work.cancelled == []
    assert peer.in_flight == 1


def test_closing_ends_everything_once() -> None:
    """STDIO-44: questions fail with the local error, calls are cancelled, even when they react by asking again."""
    peer, work = Peer(), Working()
    error = McpKitError("connection lost")

    class AsksAgain(Waiting):
        def reject(self, error: McpKitError) -> None:
            super().reject(error)
            peer.ask("again", {}, Waiting())

    class EndsItself(Working):
        def cancel(self, reason: str | None) -> None:
            super().cancel(reason)
            peer.end("b")

    waiting, ends = AsksAgain(), EndsItself()
    peer.ask("a", {}, waiting)
    peer.begin("a", work)
    peer.begin("b", ends)
    peer.close(error)
    assert waiting.heard == [error]
    assert work.cancelled == ends.cancelled == [None]


def test_the_end_of_answers_is_not_the_end_of_calls() -> None:
    """STDIO-41: a client that has said its last word may still wait for answers."""
    peer, waiting, work = Peer(), Waiting(), Working()
    error = McpKitError("nothing more will come")
    peer.ask("a", {}, waiting)
    peer.begin(1, work)
    peer.fail_all(error)
    assert (waiting.heard, work.cancelled) == ([error], [])
    assert (peer.pending, peer.in_flight) == (0, 1)
