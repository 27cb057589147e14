"""Whatever a client sends, to whichever replica it comes: it takes effect where it must, soon.

What must never stand here: load, faults (test_replicas.py).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, REVISIONS
from tests.replicas.clients import USUAL, Books, Client
from tests.replicas.conftest import CALLS
from tests.replicas.place import Place, place

pytestmark = [pytest.mark.redis, pytest.mark.nginx, pytest.mark.slow]
SECONDS = 20
FIRST = list(REVISIONS)[-1]
EVENTS = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Three replicas for all tests that break nothing."""
    with place(tmp_path_factory.mktemp("routing")) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        yield client


async def opened(http: httpx.AsyncClient, url: str) -> Client:
    client = Client(http, url, "c", Books())
    await client.open()
    return client


def request(method: str, id: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": method, "params": params}


def calling(tool: str, id: Any = 1, **arguments: Any) -> dict[str, Any]:
    return request("tools/call", id, name=tool, arguments=arguments)


class Events:
    """The messages of one event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.id = ""

    async def next(self) -> Any:
        """The data of the next event that has any; None at the end."""
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                if line.startswith("id: "):
                    self.id = line[4:]
                elif line.startswith("data: "):
                    text = line[6:]
                    return json.loads(text) if text.startswith("{") else text
        return None


@asynccontextmanager
async def stream(http: httpx.AsyncClient, method: str, url: str, **options: Any) -> AsyncIterator[Events]:
    async with http.stream(method, url, **options) as response:
        assert response.status_code == 200, await response.aread()
        yield Events(response)


async def test_answers_cancellations_and_ends_arrive_within_a_quarter_second(
    three: Place, http: httpx.AsyncClient
) -> None:
    """p99 of client → other replica → the call that it concerns → the client."""
    taken: dict[str, list[float]] = {"answer": [], "cancel": [], "end": []}
    a, b = (f"{replica.url}/api" for replica in three.replicas[:2])
    for kind in (*["answer"] * 40, *["cancel"] * 40, *["end"] * 40):
        client = await opened(http, three.replicas[2].url)
        async with stream(http, "POST", a, headers=client.headers, json=calling("ask", 5, question="?")) as events:
            await events.next()
            question = await events.next()
            began = time.monotonic()
            if kind == "answer":
                result = {"action": "accept", "content": {"value": "yes"}}
                answer = {"jsonrpc": "2.0", "id": question["id"], "result": result}
                await http.post(b, headers=client.headers, json=answer)
            elif kind == "cancel":
                cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
                await http.post(b, headers=client.headers, json=cancel)
            else:
                assert (await http.delete(b, headers=client.headers)).status_code == 204
            last = await events.next()
            taken[kind].append(time.monotonic() - began)
            assert (last is not None) == (kind == "answer")
    for kind, times in taken.items():
        times.sort()
        sys.stdout.write(f"{kind}: p50 {times[len(times) // 2] * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms\n")
        if CALLS >= 20_000:  # by night, when the machine does nothing else
            assert times[-2] < 0.25, kind
    again = await http.post(a, headers=client.headers, json=request("ping"))
    assert again.status_code == 404


async def test_a_stream_is_resumed_at_another_replica(three: Place, http: httpx.AsyncClient) -> None:
    """SHL-32: the question and the answer that the first response did not deliver come at another replica, once."""
    client = await opened(http, three.url)
    a, b, c = (f"{replica.url}/api" for replica in three.replicas)
    async with stream(http, "POST", a, headers=client.headers, json=calling("ask", 5, question="?")) as events:
        assert await events.next() == ""
        primed = events.id
    resumed = {**client.headers, **EVENTS, "last-event-id": primed}
    async with stream(http, "GET", b, headers=resumed) as events:
        question = await events.next()
        result = {"action": "accept", "content": {"value": "late"}}
        await http.post(c, headers=client.headers, json={"jsonrpc": "2.0", "id": question["id"], "result": result})
        answer = await events.next()
        assert (answer["id"], answer["result"]["content"][0]["text"]) == (5, "late")
        assert await events.next() is None
    async with stream(http, "GET", c, headers={**resumed, "last-event-id": events.id}) as events:
        assert await events.next() is None
    refused = await http.get(c, headers={**resumed, "last-event-id": "99999999999999-1"})
    assert refused.status_code == 400


async def test_notices_reach_the_streams_of_every_replica(three: Place, http: httpx.AsyncClient) -> None:
    """A resource that changes at one replica is told at the others: to legacy streams, and to subscriptions/listen."""
    client = await opened(http, three.url)
    a, b, c = (f"{replica.url}/api" for replica in three.replicas)
    uri = "probe://touched"
    subscribed = await http.post(a, headers=client.headers, json=request("resources/subscribe", 2, uri=uri))
    assert subscribed.json()["result"] == {}
    meta = {
        "io.modelcontextprotocol/protocolVersion": NEWEST.name,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
    }
    listen = request("subscriptions/listen", 1, notifications={"resourceSubscriptions": [uri]}, _meta=meta)
    modern = {**USUAL, "mcp-protocol-version": NEWEST.name, "mcp-method": "subscriptions/listen"}
    async with (
        stream(http, "GET", b, headers={**client.headers, **EVENTS}) as legacy,
        stream(http, "GET", c, headers={**client.headers, **EVENTS}) as second,
        stream(http, "POST", b, headers=modern, json=listen) as listening,
    ):
        assert await legacy.next() == ""
        assert await second.next() == ""
        assert (await listening.next())["method"].endswith("acknowledged")
        for _ in range(2):
            await http.post(a, headers=USUAL, json=calling("touch", 1, uri=uri))
            assert (await listening.next())["params"]["uri"] == uri
            assert (await second.next())["params"]["uri"] == uri  # the newest stream of the session, once
        await http.delete(a, headers=client.headers)
        assert await legacy.next() is None
        assert await second.next() is None


async def test_what_is_logged_at_one_replica_is_heard_once_wherever_a_session_listens(
    three: Place, http: httpx.AsyncClient
) -> None:
    """LOG-06, SHL-26: two sessions, two streams of the one, none where it is said."""
    one, other = await opened(http, three.url), await opened(http, three.url)
    a, b, c = (f"{replica.url}/api" for replica in three.replicas)
    quiet = request("logging/setLevel", 2, level="error")
    assert (await http.post(a, headers=other.headers, json=quiet)).json()["result"] == {}
    async with (
        stream(http, "GET", b, headers={**one.headers, **EVENTS}) as first,
        stream(http, "GET", c, headers={**one.headers, **EVENTS}) as second,
        stream(http, "GET", b, headers={**other.headers, **EVENTS}) as deaf,
    ):
        for events in (first, second, deaf):
            assert await events.next() == ""
        for text in ("fire", "fire", "all clear"):
            await http.post(a, headers=USUAL, json=calling("shout", 1, text=text))
            assert (await second.next())["params"] == {"level": "warning", "data": text}
        for client in (one, other):
            await http.delete(a, headers=client.headers)
        assert [await events.next() for events in (first, second, deaf)] == [None] * 3


async def test_what_was_missed_between_two_streams_is_told(three: Place, http: httpx.AsyncClient) -> None:
    """SHL-28: a change that came while the session had a stream nowhere."""
    client = await opened(http, three.url)
    a, b, c = (f"{replica.url}/api" for replica in three.replicas)
    uri = "probe://missed"
    await http.post(a, headers=client.headers, json=request("resources/subscribe", 2, uri=uri))
    async with stream(http, "GET", b, headers={**client.headers, **EVENTS}) as events:
        await events.next()
    await http.post(a, headers=USUAL, json=calling("touch", 1, uri=uri))
    async with stream(http, "GET", c, headers={**client.headers, **EVENTS}) as events:
        await events.next()
        assert (await events.next())["params"]["uri"] == uri


async def test_the_first_transport_takes_posts_anywhere(three: Place, http: httpx.AsyncClient) -> None:
    """HSSE-07: the stream is at one replica, every POST goes to another; in order, and until the stream ends."""
    a, b, c = (replica.url for replica in three.replicas)
    async with stream(http, "GET", f"{a}/sse", headers=EVENTS) as events:
        path = await events.next()
        opening = request(
            "initialize", protocolVersion=FIRST, capabilities={}, clientInfo={"name": "c", "version": "1"}
        )
        for id, (url, message) in enumerate(
            [(b, opening), *[(c, calling("echo", n, text=str(n))) for n in range(2, 6)]]
        ):
            assert (await http.post(url + path, headers=USUAL, json=message)).status_code == 202
            assert (await events.next())["id"] == id + 1
        assert (await http.post(c + path, headers=USUAL, json=calling("sleep", 9, seconds=30))).status_code == 202
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
        assert (await http.post(b + path, headers=USUAL, json=cancel)).status_code == 202
        assert (await http.post(b + path, headers=USUAL, json=calling("echo", 10, text="z"))).status_code == 202
        assert (await events.next())["id"] == 10
        bad = {"jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": [1]}
        assert (await http.post(b + path, headers=USUAL, json=bad)).status_code == 202
        assert (await events.next())["error"]["code"] == -32602
    async with asyncio.timeout(SECONDS):
        while (await http.post(b + path, headers=USUAL, json=calling("echo", 12, text="z"))).status_code != 404:
            pass


async def test_a_question_asked_by_result_is_answered_at_another_replica(three: Place, http: httpx.AsyncClient) -> None:
    """MRTR-09: requestState is sealed with a key that all replicas share, though nobody has set one."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": NEWEST.name,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
    }
    headers = {**USUAL, "mcp-protocol-version": NEWEST.name, "mcp-method": "tools/call", "mcp-name": "ask"}
    call = calling("ask", 1, question="?")
    call["params"]["_meta"] = meta
    asked = (await http.post(f"{three.replicas[0].url}/api", headers=headers, json=call)).json()["result"]
    (key,) = asked["inputRequests"]
    call["params"]["inputResponses"] = {key: {"action": "accept", "content": {"value": "blue"}}}
    call["params"]["requestState"] = asked["requestState"]
    answer = (await http.post(f"{three.replicas[1].url}/api", headers=headers, json=call)).json()["result"]
    assert answer["content"][0]["text"] == "blue"


async def test_the_caller_of_a_replica_that_died_is_told_to_send_again(tmp_path: Path, http: httpx.AsyncClient) -> None:
    """One explicit error, at whichever replica the client resumes; and a session that goes on."""
    with place(tmp_path, count=3) as three:
        client = await opened(http, three.url)
        a, b, c = (f"{replica.url}/api" for replica in three.replicas)
        async with stream(http, "POST", a, headers=client.headers, json=calling("ask", 5, question="?")) as events:
            await events.next()
            await events.next()
            await asyncio.to_thread(three.replicas[0].end, signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                await events.next()
        resumed = {**client.headers, **EVENTS, "last-event-id": events.id}
        async with stream(http, "GET", b, headers=resumed) as events:
            told = await events.next()
            assert (told["id"], told["error"]["data"]) == (5, {"retry": True})
            assert await events.next() is None
        async with stream(http, "GET", c, headers=resumed) as events:
            assert (await events.next())["error"]["data"] == {"retry": True}
        assert (await http.post(c, headers=client.headers, json=request("ping"))).status_code == 200


async def test_while_redis_is_away(tmp_path: Path, http: httpx.AsyncClient) -> None:
    """503 with Retry-After and an honest readiness, within about a second; stateless calls go on; then all is back."""
    with place(tmp_path, count=1) as one:
        client = await opened(http, one.replicas[0].url)
        url = f"{one.replicas[0].url}/api"
        async with (
            stream(http, "GET", url, headers={**client.headers, **EVENTS}) as events,
            stream(http, "POST", url, headers=client.headers, json=calling("ask", 2, question="?")) as asking,
        ):
            await events.next()
            await asking.next()
            question = await asking.next()
            await asyncio.to_thread(one.redis.kill)
            for method, options in (("POST", {"json": request("ping")}), ("GET", {}), ("DELETE", {})):
                began = time.monotonic()
                answer = await http.request(method, url, headers=client.headers, **options)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert time.monotonic() - began < 2.5
            assert (await http.get(f"{one.replicas[0].url}/readyz")).json() == {"status": "redis is away"}
            assert "mcp_server_redis_up 0.0" in (await http.get(f"{one.replicas[0].url}/metrics")).text
            opening = request("initialize", protocolVersion=NEWEST_HANDSHAKE.name)
            assert (await http.post(url, headers=USUAL, json=opening)).status_code == 503
            assert (await http.get(f"{one.replicas[0].url}/sse", headers=EVENTS)).status_code == 503
            plain = await http.post(url, headers=USUAL, json=calling("echo", 1, text="hello"))
            assert plain.json()["result"]["content"][0]["text"] == "hello"
            await asyncio.to_thread(one.redis.start)
            async with asyncio.timeout(SECONDS):
                while (await http.get(f"{one.replicas[0].url}/readyz")).status_code != 200:
                    pass
            result = {"action": "accept", "content": {"value": "patient"}}
            await http.post(
                url, headers=client.headers, json={"jsonrpc": "2.0", "id": question["id"], "result": result}
            )
            assert (await asking.next())["result"]["content"][0]["text"] == "patient"
            uri = "probe://back"
            answer = await http.post(url, headers=client.headers, json=request("resources/subscribe", 3, uri=uri))
            assert answer.json()["result"] == {}
            await http.post(url, headers=USUAL, json=calling("touch", 1, uri=uri))
            assert (await events.next())["params"]["uri"] == uri


async def test_a_call_that_speaks_while_redis_is_away_reaches_its_caller(
    tmp_path: Path, http: httpx.AsyncClient
) -> None:
    """What can't be stored is sent without an event id; and stored later, for whoever comes back for it."""
    with place(tmp_path, count=1) as one:
        client = await opened(http, one.replicas[0].url)
        url = f"{one.replicas[0].url}/api"
        call = calling("announce", 3, seconds=1.5)
        call["params"]["_meta"] = {"progressToken": "p"}
        async with stream(http, "POST", url, headers=client.headers, json=call) as events:
            assert await events.next() == ""
            assert (await events.next())["params"]["progress"] == 1
            before = events.id
            await asyncio.to_thread(one.redis.kill)
            assert (await events.next())["params"]["progress"] == 2
            assert (await events.next())["result"]["content"][0]["text"] == "announced"
            assert events.id == before
        await asyncio.to_thread(one.redis.start)
        resumed = {**client.headers, **EVENTS, "last-event-id": before}
        async with asyncio.timeout(SECONDS):
            while (await http.get(f"{one.replicas[0].url}/readyz")).status_code != 200:
                pass
        async with stream(http, "GET", url, headers=resumed) as events:
            assert (await events.next())["result"]["content"][0]["text"] == "announced"
            assert await events.next() is None
