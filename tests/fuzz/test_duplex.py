"""A pipe under arbitrary lines: it answers what is to be answered, once, and is never brought down (STDIO-10)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mcpkit.framing.ndjson import Line, Overlong
from mcpkit.jsonrpc.codec import decode
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Response
from mcpkit.protocol.revisions.registry import SUPPORTED
from tests.pipes import CALL, ENVELOPE, Desk, Pipe, initialize, notification, request

ids = st.sampled_from([1, 2, "1", "2"])
simple = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=3)
junk: st.SearchStrategy[Any] = simple | st.just([]) | st.just({})
metas = st.sampled_from([{}, {"_meta": ENVELOPE}, {"_meta": {}}, {"_meta": 7}])
calls = st.builds(
    lambda id, meta, name: request(id, CALL, {"name": name, **meta}), ids, metas, st.sampled_from(["echo", "wait"])
)
pings = st.builds(lambda id: request(id, "ping"), ids)
openings = st.builds(initialize, ids, st.sampled_from([*SUPPORTED, "?"]))
cancels = st.builds(lambda id: notification("notifications/cancelled", {"requestId": id}), ids | junk)
others = st.sampled_from(
    [
        notification("notifications/initialized"),
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "result": 1},
        {"jsonrpc": "2.0", "error": {"code": 1, "message": ""}},
    ]
)
broken = st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]), junk)
messages = calls | pings | openings | cancels | others | broken
lines = (
    (messages | st.lists(messages, max_size=4)).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=8)
    | st.just(Overlong(1))
)


def answers(heard: list[Any]) -> list[Any]:
    """Every answer, those in arrays too, that names the request it belongs to."""
    flat = [one for message in heard for one in (message if isinstance(message, list) else [message])]
    return [message["id"] for message in flat if "method" not in message and message.get("id") is not None]


def asked(line: Line) -> list[Any]:
    """The ids under which a line may be answered."""
    try:
        value = json.loads(line) if isinstance(line, bytes) else None
    except ValueError:
        return []
    entries = value if isinstance(value, list) else [value]
    found = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    return [id for id in found if type(id) in (int, str)]


async def converse(sent: list[Line]) -> list[Any]:
    desk = Desk()
    pipe = Pipe(desk.kernel)
    await pipe.take(sent)
    for _ in range(3):
        await pipe.quiet()
        for gate in desk.gates.values():
            if not gate.done():
                gate.set_result("done")
    heard = [*pipe.heard]
    await pipe.quiet()
    assert await pipe.ask(request("alive", "ping")) == {"jsonrpc": "2.0", "id": "alive", "result": {}}
    pipe.duplex.end(0)
    await pipe.over()
    return heard


@settings(deadline=None)
@given(st.lists(lines, max_size=12))
def test_every_line_is_survived_and_answered_at_most_once(sent: list[Line]) -> None:
    """RPC-05, RPC-06, RPC-12, CVE-2025-53365: what is said is JSON-RPC, under ids that were asked, no more often."""
    heard = asyncio.run(converse(sent))
    for message in heard:
        read = decode(json.dumps(message).encode())
        assert not isinstance(read, Batch) or all(isinstance(one, Response | ErrorResponse) for one in read.messages)
    open_questions = [(type(id), id) for line in sent for id in asked(line)]
    for id in answers(heard):
        open_questions.remove((type(id), id))
