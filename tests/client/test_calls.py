"""How every request is made."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client import MCPClient
from mcpkit.client.answers import Elicitation
from mcpkit.client.calls import Calls
from mcpkit.client.errors import ProtocolViolation, ServerRefused
from mcpkit.client.notices import Change
from mcpkit.client.tasks import TASKS_EXTENSION
from mcpkit.jsonrpc.errors import RpcError
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from tests.client.scripted import FakeTransport, answering, soon


def calls(rows: Any, *, mode: str = "auto", **options: Any) -> tuple[Calls, FakeTransport]:
    """The calls of a client whose server answers with these rows."""
    transport = FakeTransport(answering(rows, modern=mode == "auto"))
    client = MCPClient(transport, mode=mode, **options)
    return client._calls, transport


def page(*names: str, cursor: str | None = None, ttl: int = 0) -> dict[str, Any]:
    listed = {
        "resultType": "complete",
        "things": [{"name": name} for name in names],
        "ttlMs": ttl,
        "cacheScope": "private",
    }
    return listed if cursor is None else {**listed, "nextCursor": cursor}


async def test_pages_are_followed_to_their_end() -> None:
    """PAGE-02: cursors as they are, the empty one too; a missing one is the end."""
    pages = {None: page("a", cursor=""), "": page("b", cursor="x"), "x": page("c")}
    made, transport = calls({"x/list": lambda params: pages[params.get("cursor")]})
    listed = await soon(made.pages("x/list", "things", {}))
    assert [entry["name"] for entry in listed] == ["a", "b", "c"]
    assert [call.params.get("cursor") for call in transport.calls[1:]] == [None, "", "x"]


@pytest.mark.parametrize("cursor", ["same", None])
async def test_pages_without_end(cursor: str | None) -> None:
    """PAGE-05: whether the server goes in circles or ever on."""
    count = 0

    def row(params: dict[str, Any]) -> dict[str, Any]:
        nonlocal count
        count += 1
        return page("a", cursor=cursor or str(count))

    made, _ = calls({"x/list": row})
    with pytest.raises(ProtocolViolation, match="no end"):
        await soon(made.pages("x/list", "things", {}))
    assert count <= 1001


async def test_entries_that_are_none_are_left_out() -> None:
    """A careless server does not spoil its list."""
    made, _ = calls({"x/list": lambda _: {"things": [1, None, {"name": "a"}]}, "y/list": lambda _: {"things": "x"}})
    assert await soon(made.pages("x/list", "things", {})) == [{"name": "a"}]
    assert await soon(made.pages("y/list", "things", {})) == []


async def test_what_may_be_kept_is_asked_once() -> None:
    """CACHE-05: until it is stale, or something has changed."""
    made, transport = calls({"tools/list": lambda _: page("a", ttl=60_000)})
    for _ in range(3):
        await soon(made.pages("tools/list", "things", {}))
    assert transport.methods().count("tools/list") == 1
    made.changed(Change("tools"))
    await soon(made.pages("tools/list", "things", {}))
    assert transport.methods().count("tools/list") == 2
    made.forget()
    await soon(made.pages("tools/list", "things", {}))
    assert transport.methods().count("tools/list") == 3
    without, transport = calls({"tools/list": lambda _: page("a", ttl=60_000)}, cache=False)
    for _ in range(2):
        await soon(without.pages("tools/list", "things", {}))
    without.changed(Change("tools"))
    without.forget()
    assert transport.methods().count("tools/list") == 2


async def test_requests_themselves_are_not_kept() -> None:
    """A caller that asks for anything by name gets it asked."""
    made, transport = calls({"x": lambda _: page("a", ttl=60_000)})
    for _ in range(2):
        await soon(made.request("x", {}, {}))
    assert transport.methods().count("x") == 2


@pytest.mark.parametrize(
    ("method", "kind", "fine"),
    [
        ("tools/call", "complete", True),
        ("tools/call", "input_required", True),
        ("tools/call", "task", False),
        ("tools/call", "surprise", False),
        ("tools/list", "input_required", False),
        ("prompts/get", "task", False),
        ("resources/read", "input_required", True),
        ("completion/complete", 5, False),
    ],
)
async def test_types_of_results(method: str, kind: Any, fine: bool) -> None:
    """DCLI-08, RES-02 to RES-04: what must not be answered is refused, not guessed."""
    made, _ = calls({method: lambda _: {"resultType": kind}})
    if fine:
        assert (await soon(made.request(method, {}, {})))["resultType"] == kind
    else:
        with pytest.raises(ProtocolViolation, match="of type"):
            await soon(made.request(method, {}, {}))


async def test_tasks_where_they_are_known() -> None:
    """RES-03: by the extension that this client declared, or by the revision that has them in its core."""
    task = {"resultType": "task", "taskId": "t", "status": "working"}
    made, _ = calls({"tools/call": lambda _: task}, extensions={TASKS_EXTENSION: {}})
    assert (await soon(made.request("tools/call", {}, {})))["taskId"] == "t"
    old = {"task": {"taskId": "t", "status": "working"}}
    made, _ = calls({"tools/call": lambda _: old}, mode=NEWEST_HANDSHAKE.name)
    assert (await soon(made.request("tools/call", {}, {})))["taskId"] == "t"


async def test_a_dialogue_keeps_its_headers() -> None:
    """MRTR-07: each retry is a request like any other, with a new id."""
    asked = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": {"type": "object"}}}
    answers = [{"resultType": "input_required", "inputRequests": {"a": asked}}, {"resultType": "complete"}]
    made, transport = calls({"tools/call": lambda _: answers.pop(0)}, elicitation_handler=lambda _: {})
    await soon(made.dialogue("tools/call", {"name": "t"}, {}, headers={"Mcp-Param-A": "1"}))
    one, two = transport.calls[1:]
    assert one.headers == two.headers == {"Mcp-Param-A": "1"}
    assert one.id != two.id
    assert two.params["inputResponses"] == {"a": {"action": "accept", "content": {}}}
    assert two.params["_meta"] == one.params["_meta"]


async def test_pages_that_must_be_opened_first() -> None:
    """ELIC-23: consent, then the same request again; without it the refusal stands."""
    pages = [{"mode": "url", "elicitationId": "1", "url": "https://a.example/", "message": "sign in"}]
    refusal = ServerRefused(RpcError(-32042, "first", {"elicitations": pages}))
    left = [refusal, refusal]

    def row(params: dict[str, Any]) -> dict[str, Any]:
        if left:
            raise left.pop()
        return {"content": []}

    shown: list[str | None] = []

    def consent(asked: Elicitation) -> bool:
        shown.append(asked.url)
        return True

    made, transport = calls({"tools/call": row}, mode=NEWEST_HANDSHAKE.name, elicitation_url_handler=consent)
    assert await soon(made.dialogue("tools/call", {"name": "t"}, {})) == {"resultType": "complete", "content": []}
    assert shown == ["https://a.example/"] * 2
    assert transport.methods().count("tools/call") == 3
    left.append(refusal)
    refusing, _ = calls({"tools/call": row}, mode=NEWEST_HANDSHAKE.name, elicitation_url_handler=lambda _: False)
    with pytest.raises(ServerRefused):
        await soon(refusing.dialogue("tools/call", {"name": "t"}, {}))
    left.append(refusal)
    newest, _ = calls({"tools/call": row}, elicitation_url_handler=consent)
    with pytest.raises(ServerRefused):
        await soon(newest.dialogue("tools/call", {"name": "t"}, {}))
    assert len(shown) == 2, "ERR-01: that number means nothing in the newest revision"


async def test_options_of_one_call() -> None:
    """Its own timeout, progress and meta, over the client's."""
    made, transport = calls({"m": lambda _: {}}, timeout=5, progress_handler=lambda _: None)
    manner = made._manner({}, False)
    assert (manner.silence, manner.whole) == (5, 600.0)
    manner = made._manner({"timeout": 1000.0}, True)
    assert (manner.silence, manner.whole, manner.repeatable) == (1000.0, 1000.0, True)
    assert made._manner({"timeout": None}, False).whole is None
    await soon(made.request("m", {}, {"meta": {"traceparent": "t"}}))
    meta = transport.calls[-1].params["_meta"]
    assert (meta["traceparent"], meta["progressToken"]) == ("t", 1)
