"""HTTP as the client carries it, with the library that is installed."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest

from mcpkit.client.errors import ConnectionLost, ProtocolViolation, Timeout, Unreachable
from mcpkit.client.http import HttpAnswer, HttpCarrier, HttpRequest, HttpxCarrier, read_body
from mcpkit.client.http_lanes import LaneCarrier
from tests.client.scripted import Asked, Reply, http_peer, soon
from tests.conftest import ROOT

Make = Callable[[], HttpCarrier]
both = pytest.mark.parametrize("make", [HttpxCarrier, LaneCarrier])


async def fetched(carrier: HttpCarrier, url: str, limit: int = 1_000_000) -> tuple[int, bytes]:
    answer = await carrier.send(HttpRequest("GET", url, {"Accept": "*/*"}))
    return answer.status, await read_body(answer, limit)


@both
async def test_what_is_sent_and_what_comes_back(make: Make) -> None:
    """Method, headers and body as they are; header names of the answer in lower case."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(201, asked.body, X_Thing="v")

    carrier = make()
    async with http_peer(script) as peer:
        answer = await soon(carrier.send(HttpRequest("POST", peer.url, {"X-Mine": "1"}, b"\x00body")))
        assert (answer.status, answer.headers["x-thing"]) == (201, "v")
        assert await soon(read_body(answer, 100)) == b"\x00body"
        assert (peer.asked[0].method, peer.asked[0].headers["x-mine"], peer.asked[0].target) == ("POST", "1", "/mcp")
        await soon(carrier.close())


async def test_redirects_are_never_followed() -> None:
    """TCLI-03: that is the endpoint's decision, not the library's."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(307, location="http://127.0.0.1:9/elsewhere")

    async with http_peer(script) as peer, httpx.AsyncClient(follow_redirects=True) as own:
        for carrier in (HttpxCarrier(), HttpxCarrier(own), LaneCarrier()):
            assert (await soon(fetched(carrier, peer.url)))[0] == 307
            await carrier.close()


@both
async def test_bodies_are_bounded(make: Make) -> None:
    """AVAIL-07: by what is announced, and by what comes."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.target == "/said":
            await reply.send(200, b"x" * 101)
        elif asked.target == "/nonsense":
            await reply.send(200, b"x", content_length="many")
        else:
            await reply.stream()
            while True:
                await reply.chunk(b"x" * 60)

    carrier = make()
    async with http_peer(script) as peer:
        for path in ("/said", "/endless"):
            with pytest.raises(ProtocolViolation, match="larger than the 100 bytes"):
                await soon(fetched(carrier, peer.url.replace("/mcp", path), 100))
        with pytest.raises((ProtocolViolation, ConnectionLost)):
            await soon(fetched(carrier, peer.url.replace("/mcp", "/nonsense"), 100))
        await soon(carrier.close())


@both
async def test_a_compressed_bomb_is_not_opened(make: Make) -> None:
    """AVAIL-07: what was not asked for is refused before it can burst."""

    async def script(asked: Asked, reply: Reply) -> None:
        await reply.send(200, gzip.compress(b"\x00" * 10_000_000), content_encoding="gzip")

    carrier = make()
    async with http_peer(script) as peer:
        with pytest.raises(ProtocolViolation, match="compressed"):
            await soon(fetched(carrier, peer.url, 20_000_000))
        await soon(carrier.close())


@both
async def test_failures_tell_whether_anything_was_sent(make: Make) -> None:
    """The difference decides whether a call may be repeated; no message holds a path or query (LEAK-05)."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.target.startswith("/cut"):
            await reply.stream()
            await reply.chunk(b"begun")
        reply.abort()

    carrier = make()
    async with http_peer(script) as peer:
        for path in ("/cut?token=secret", "/abort?token=secret"):
            with pytest.raises(ConnectionLost) as lost:
                await soon(fetched(carrier, peer.url.replace("/mcp", path)))
            assert lost.value.sent
            assert "secret" not in str(lost.value)
        gone = peer.url
    for url in (gone + "?token=secret", "http://nobody.invalid/?token=secret", "http://[bad/?token=secret"):
        with pytest.raises(Unreachable) as unreachable:
            await soon(fetched(carrier, url))
        assert "secret" not in str(unreachable.value)
    await soon(carrier.close())


async def test_an_application_may_bring_its_own_client() -> None:
    """Proxies, certificates: its client is used, its read timeout is not, and it stays open."""

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.headers.get("x-own") == "1":
            await reply.stream()
            await go.wait()
            await reply.chunk(b"late")
            await reply.end()

    class Own(httpx.AsyncClient):
        pass

    go = asyncio.Event()
    async with http_peer(script) as peer, Own(headers={"X-Own": "1"}, timeout=0.01) as own:
        carrier = HttpxCarrier(own)
        answer = await soon(carrier.send(HttpRequest("GET", peer.url, {})))
        asyncio.get_running_loop().call_later(0.05, go.set)
        assert await soon(read_body(answer, 100)) == b"late"
        await carrier.close()
        assert not own.is_closed


async def test_timeouts_of_the_library_are_ours() -> None:
    """Its exceptions never reach a caller."""

    def slow(request: httpx.Request) -> httpx.Response:
        raise {"/r": httpx.ReadTimeout, "/c": httpx.ConnectTimeout, "/p": httpx.ProxyError}[request.url.path]("x")

    async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as own:
        for path, error in (("/r", Timeout), ("/c", Unreachable), ("/p", Unreachable)):
            with pytest.raises(error):
                await soon(fetched(HttpxCarrier(own), f"http://h{path}"))


def test_any_carrier_will_do() -> None:
    """The port is a protocol: an application's own needs no base class."""

    class Mine:
        async def send(self, request: HttpRequest) -> HttpAnswer:
            raise NotImplementedError

        async def close(self) -> None:
            raise NotImplementedError

    assert isinstance(Mine(), HttpCarrier)
    assert not isinstance(httpx.AsyncClient, HttpCarrier)


def test_the_library_is_loaded_when_it_is_needed() -> None:
    """``import mcpkit.client`` stays light: a stdio client needs no HTTP."""
    late = ["httpx", "httpx2", "jwt", "yaml"]
    script = f"import sys, mcpkit.client.skills, json; print(json.dumps([n for n in {late} if n in sys.modules]))"
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    ).stdout
    assert json.loads(said) == []


def test_secrets_are_not_shown() -> None:
    """TOK-11, LEAK-05: a request in a log or a traceback."""
    shown = repr(HttpRequest("POST", "http://h/", {"Authorization": "Bearer hush"}, b"hush"))
    assert "hush" not in shown
