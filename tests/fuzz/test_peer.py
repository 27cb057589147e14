"""The peer as a machine: whatever the order of events, every question is answered at most once, and the right one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from mcpkit.jsonrpc.errors import InvalidRequest, McpKitError, RpcError
from mcpkit.jsonrpc.messages import ErrorResponse, Id, JsonObject, Response
from mcpkit.jsonrpc.peer import Peer

their_ids = st.sampled_from([0, 1, 2, "0", "1", "2", ""])
from_the_wire = their_ids | st.sampled_from([True, False, None, 1.0, 0.0, []])


class Waiting:
    def __init__(self) -> None:
        self.heard: list[JsonObject | McpKitError] = []

    def resolve(self, result: JsonObject) -> None:
        self.heard.append(result)

    def reject(self, error: McpKitError) -> None:
        self.heard.append(error)


class Working:
    def __init__(self) -> None:
        self.cancels = 0

    def cancel(self, reason: str | None) -> None:
        self.cancels += 1


class Conversation(RuleBasedStateMachine):
    """A model beside the peer: plain dictionaries keyed by type and value."""

    questions = Bundle("questions")

    def __init__(self) -> None:
        super().__init__()
        self.peer = Peer()
        self.used: set[tuple[type, Id]] = set()
        self.open: dict[tuple[type, Id], Waiting] = {}
        self.done: list[tuple[Waiting, int]] = []
        self.calls: dict[tuple[type, Id], Working] = {}

    @rule(target=questions, prefix=st.sampled_from(["", "s", "1"]))
    def ask(self, prefix: str) -> Id:
        waiting = Waiting()
        id = self.peer.ask("m", {}, waiting, prefix=prefix).id
        key = (type(id), id)
        assert key not in self.used
        self.used.add(key)
        self.open[key] = waiting
        return id

    @rule(id=questions, refused=st.booleans())
    def answer(self, id: Id, refused: bool) -> None:
        expected = self.open.pop((type(id), id), None)
        message = ErrorResponse(id, RpcError(-1, "no")) if refused else Response(id, {"for": id})
        assert self.peer.answered(message) is (expected is not None)
        if expected is not None:
            assert len(expected.heard) == 1
            self.done.append((expected, 1))

    @rule(id=questions)
    def answer_under_the_other_type(self, id: Id) -> None:
        other: Id = int(id) if isinstance(id, str) and id.isdigit() else str(id)
        if (type(other), other) not in self.open:
            assert not self.peer.answered(Response(other, {}))

    @rule(id=consumes(questions))
    def forget(self, id: Id) -> None:
        waiting = self.open.pop((type(id), id), None)
        self.peer.forget(id)
        if waiting is not None:
            self.done.append((waiting, 0))

    @rule(id=their_ids)
    def begin(self, id: Id) -> None:
        work, key = Working(), (type(id), id)
        if key in self.calls:
            with pytest.raises(InvalidRequest) as caught:
                self.peer.begin(id, work)
            assert type(caught.value.id) is type(id)
        else:
            self.peer.begin(id, work)
            self.calls[key] = work

    @rule(id=their_ids)
    def end(self, id: Id) -> None:
        self.peer.end(id)
        self.calls.pop((type(id), id), None)

    @rule(id=from_the_wire)
    def cancel(self, id: Any) -> None:
        work = None if isinstance(id, list) else self.calls.get((type(id), id))
        before = {key: other.cancels for key, other in self.calls.items()}
        assert self.peer.cancel(id, None) is (work is not None)
        for key, other in self.calls.items():
            assert other.cancels == before[key] + (other is work)

    @rule()
    def close(self) -> None:
        before = {key: work.cancels for key, work in self.calls.items()}
        self.peer.close(McpKitError("gone"))
        self.done += [(waiting, 1) for waiting in self.open.values()]
        self.open.clear()
        assert all(work.cancels == before[key] + 1 for key, work in self.calls.items())

    @invariant()
    def counts_agree(self) -> None:
        assert self.peer.pending == len(self.open)
        assert self.peer.in_flight == len(self.calls)
        assert all(not waiting.heard for waiting in self.open.values())
        assert all(len(waiting.heard) == times for waiting, times in self.done)


TestConversation = Conversation.TestCase
