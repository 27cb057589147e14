"""Batches: an array of messages, in the one revision that has them. No client sends them by itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.interaction.conftest import Connect
from tests.interaction.requirements import proves
from tests.interaction.ways import Way

ACCEPT = {"Accept": "application/json, text/event-stream"}
INFO = {"name": "tester", "version": "1"}


def request(id: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def add(id: Any, a: int) -> dict[str, Any]:
    return request(id, "tools/call", name="add", arguments={"a": a, "b": 1})


def initialize(revision: str) -> dict[str, Any]:
    return request(0, "initialize", protocolVersion=revision, capabilities={}, clientInfo=INFO)


async def posted(http: httpx.AsyncClient, connect: Connect, *bodies: Any) -> httpx.Response:
    """The answer to the last of these, posted in one session of this revision."""
    answer = await http.post(connect.url, json=initialize(connect.way.revision))
    headers = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
    for body in ({"jsonrpc": "2.0", "method": "notifications/initialized"}, *bodies):
        answer = await http.post(connect.url, json=body, headers=headers)
    return answer


@pytest.fixture
async def http() -> Any:
    async with httpx.AsyncClient(verify=False, headers=ACCEPT, timeout=10) as client:
        yield client


@proves("BAT-01", "BAT-05", over=("http",))
async def test_a_batch_is_answered_request_by_request(connect: Connect, http: httpx.AsyncClient) -> None:
    notification = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
    batch = [add(1, 10), notification, add("two", 20), {"jsonrpc": "2.0", "id": 3}, request(4, "nonsense")]
    answers = (await posted(http, connect, batch)).json()
    told = {answer["id"]: answer for answer in answers}
    assert [told[id]["result"]["content"][0]["text"] for id in (1, "two")] == ["11", "21"]
    assert [told[id]["error"]["code"] for id in (3, 4)] == [-32600, -32601]
    silent = await posted(http, connect, [notification])
    assert (silent.status_code, silent.content) == (202, b"")


@proves("BAT-03", over=("http",))
async def test_a_handshake_travels_alone(connect: Connect, http: httpx.AsyncClient) -> None:
    answer = (await http.post(connect.url, json=[initialize(connect.way.revision), add(1, 1)])).json()
    errors = answer if isinstance(answer, list) else [answer]
    assert any(entry.get("error", {}).get("code") == -32600 for entry in errors)


@proves("BAT-02", over=("http",))
async def test_other_revisions_refuse_batches(connect: Connect, way: Way, http: httpx.AsyncClient) -> None:
    if way.spoken.batch:
        return  # the tests above
    if way.has_sessions:
        answer = await posted(http, connect, [add(1, 10)])
    else:
        answer = await http.post(connect.url, json=[add(1, 10)], headers={"MCP-Protocol-Version": way.revision})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)
