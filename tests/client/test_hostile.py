"""Servers that mean harm, or are merely broken in every way there is: a clear error in bounded time, or a result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpkit.client import ClientError, MCPClient
from mcpkit.client.http import HttpAnswer, HttpRequest
from mcpkit.client.limits import Bounds, Deadlines, Patience, Pauses
from mcpkit.client.transports.transport import Call
from tests.client.scripted import HANDSHAKE, MODERN, FakeTransport, answering, soon

HURRY = Patience(
    bounds=Bounds(message_bytes=100_000, attempts=2, pages=20),
    deadlines=Deadlines(call=0.3, whole_call=0.3, probe=0.3, handshake=0.3, listen=0.05, goodbye=0.1, stream_end=0.05),
    pauses=Pauses(first=0.0, most=0.0),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = [
    *("resultType", "tools", "content", "structuredContent", "isError", "_meta", "nextCursor", "inputRequests"),
    *("requestState", "taskId", "status", "capabilities", "protocolVersion", "supportedVersions", "serverInfo"),
    "ttlMs",
]
members = st.dictionaries(st.sampled_from(MEMBERS), json_values, max_size=6)


class Chaos:
    """A carrier whose server answers whatever the test made up, always the same."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, endless: bool) -> None:
        self._answer = (status, headers, body, endless)

    async def send(self, request: HttpRequest) -> HttpAnswer:
        await asyncio.sleep(0)
        return _Made(*self._answer)

    async def close(self) -> None:
        pass


class _Made:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, endless: bool) -> None:
        self.status, self.headers, self._body, self._endless = status, headers, body, endless

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._body
        while self._endless:
            await asyncio.sleep(0.001)
            yield self._body

    async def close(self) -> None:
        pass


def answers() -> st.SearchStrategy[bytes]:
    """Bodies: bytes, JSON of any kind, nearly right messages, events of these."""
    result = members.map(lambda value: {"jsonrpc": "2.0", "id": 1, "result": value})
    error = json_values.map(lambda value: {"jsonrpc": "2.0", "id": 1, "error": value})
    strange = st.tuples(json_values, json_values).map(lambda pair: {"jsonrpc": "2.0", "id": pair[0], "result": pair[1]})
    messages = (result | error | strange | json_values).map(lambda value: json.dumps(value).encode())
    return st.binary(max_size=60) | messages | messages.map(lambda body: b"id: 1\nretry: 0\ndata: " + body + b"\n\n")


@settings(max_examples=120, deadline=None)
@given(
    status=st.sampled_from([200, 200, 200, 202, 204, 301, 307, 400, 401, 403, 404, 405, 429, 500, 503]),
    kind=st.sampled_from(["application/json", "text/event-stream", "text/html", "", "\x00", "application/json; x"]),
    extra=st.dictionaries(
        st.sampled_from(["mcp-session-id", "retry-after", "www-authenticate", "location", "content-length"]),
        st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12),
        max_size=2,
    ),
    body=answers(),
    endless=st.booleans(),
    mode=st.sampled_from(["auto", MODERN, HANDSHAKE]),
)
def test_whatever_is_answered(
    status: int, kind: str, extra: dict[str, str], body: bytes, endless: bool, mode: str
) -> None:
    """Issue: hostile servers are survived; nothing but a ClientError comes out, and it comes soon."""

    async def use() -> None:
        carrier = Chaos(status, {"content-type": kind, **extra}, body, endless)
        client = MCPClient("http://h.example/mcp", mode=mode, http=carrier, patience=HURRY)
        try:
            await client.connect()
            await client.list_tools()
            await client.call_tool("t", {"a": 1}, raise_on_error=False)
        except ClientError:
            pass
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(use(), 8))


@settings(max_examples=150, deadline=None)
@given(results=st.lists(members, min_size=1, max_size=4), modern=st.booleans())
def test_whatever_a_result_holds(results: list[dict[str, Any]], modern: bool) -> None:
    """Every method reads what it can and refuses the rest."""

    async def use() -> None:
        left = list(results)

        async def answer(call: Call) -> dict[str, Any]:
            if call.method in {"server/discover", "initialize"}:
                return await answering({}, modern=modern)(call)
            return left.pop() if len(left) > 1 else left[0]

        mode = MODERN if modern else HANDSHAKE
        async with MCPClient(
            FakeTransport(answer), mode=mode, patience=HURRY, elicitation_handler=lambda _: {}
        ) as client:
            for work in (
                client.list_tools,
                lambda: client.call_tool("t", raise_on_error=False),
                client.list_resources,
                lambda: client.read_resource("a:b"),
                lambda: client.get_prompt("p"),
                lambda: client.complete({"type": "ref/prompt", "name": "p"}, {"name": "a", "value": ""}),
            ):
                with suppress(ClientError):
                    repr(await work())

    asyncio.run(asyncio.wait_for(use(), 8))


@settings(max_examples=150, deadline=None)
@given(
    method=st.text(max_size=40) | st.sampled_from(["notifications/progress", "notifications/message"]), params=members
)
def test_whatever_is_said_unasked(method: str, params: dict[str, Any]) -> None:
    """Notifications and requests of any shape harm nobody."""

    async def use() -> None:
        transport = FakeTransport(answering({"m": lambda _: {}}, modern=False))
        heard: list[Any] = []
        async with MCPClient(
            transport,
            mode=HANDSHAKE,
            log_handler=heard.append,
            change_handler=heard.append,
            message_handler=lambda *said: heard.append(said),
            elicitation_handler=lambda _: {},
            sampling_handler=lambda _: "x",
        ) as client:
            for name in (method, "notifications/cancelled", "notifications/resources/updated", "notifications/message"):
                transport.tell(name, params)
            transport.ask(1, method, params)
            for question in ("elicitation/create", "sampling/createMessage", "roots/list"):
                transport.ask(question, question, params)
            await soon(client.request("m"))

    asyncio.run(asyncio.wait_for(use(), 8))


@pytest.mark.parametrize("depth", [100, 5_000])
async def test_nesting_without_measure(depth: int) -> None:
    """A schema or a result as deep as a well is refused by the codec, not by the stack."""
    deep = b'{"jsonrpc":"2.0","id":1,"result":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    carrier = Chaos(200, {"content-type": "application/json"}, deep, False)
    client = MCPClient("http://h.example/mcp", http=carrier, patience=HURRY)
    with pytest.raises(ClientError):
        await soon(client.list_tools())
    await client.close()
