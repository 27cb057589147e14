"""Which URLs of strangers are asked."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed, Unreachable
from mcpkit.client.http import HttpRequest, HttpxCarrier, read_body
from mcpkit.client.http_lanes import LaneCarrier
from mcpkit.client.oauth.exchange import Exchanges
from mcpkit.client.oauth.guard import Guard
from tests.client.scripted import Asked, Reply, http_peer, soon

OUTSIDE = "https://203.0.114.1/mcp"
INSIDE = "https://10.1.2.3/mcp"
PRIVATE = [
    "https://10.0.0.1/x",
    "https://172.16.5.5/x",
    "https://192.168.1.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://127.0.0.1/x",
    "http://127.0.0.1/x",
    "https://0.0.0.0/x",
    "https://100.64.0.1/x",
    "https://224.0.0.1/x",
    "https://[::1]/x",
    "https://[fc00::1]/x",
    "https://[fe80::1]/x",
    "https://[::ffff:10.0.0.1]/x",
    "https://[64:ff9b::a00:1]/x",
    "https://[2002:a00:1::]/x",
    "https://[::10.0.0.1]/x",
    "https://[fec0::1]/x",
    "https://[64:ff9b:1::a00:1]/x",
    "https://[2001:0:a00:1::]/x",
    "https://[3fff::1]/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.1/x",
    "https://127.1/x",
    "https://0177.0.0.1/x",
    "https://0/x",
    "https://localhost./x",
    "https://127.0.0.1./x",
    "https://localhost/x",
]


@pytest.mark.parametrize("url", PRIVATE)
async def test_a_server_outside_points_nobody_inside(url: str) -> None:
    """OCLI-01, OCLI-03, STEST-07: in whatever notation; a server that is inside itself may, and so may who says so."""
    with pytest.raises(AuthorizationFailed, match="public internet"):
        await soon(Guard(OUTSIDE).check(url, "x"))
    assert await soon(Guard(INSIDE).check(url, "x")) == url
    assert await soon(Guard(OUTSIDE, inward=True).check(url, "x")) == url
    assert await soon(Guard(OUTSIDE).inward().check(url, "x")) == url


@pytest.mark.parametrize("url", ["https://203.0.114.9/x", "https://[2600::1]/x"])
async def test_the_public_internet(url: str) -> None:
    """From anywhere, unless told otherwise."""
    assert await soon(Guard(OUTSIDE).check(url, "x")) == url
    assert await soon(Guard(OUTSIDE, inward=False).check(url, "x")) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://203.0.114.9/x",
        "http://10.0.0.1/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:,x",
        "https://",
        "/x",
    ],
)
async def test_only_https(url: str) -> None:
    """OCLI-02, OCLI-07, FLOW-11: plain http on this machine only."""
    for guard in (Guard(OUTSIDE), Guard(INSIDE), Guard(INSIDE, inward=True)):
        with pytest.raises(AuthorizationFailed, match="what it is is refused"):
            await soon(guard.check(url, "what it is"))


async def test_names_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """OCLI-03: a name is as private as any of its addresses; one that nobody knows harms nobody."""
    known: dict[str, list[str]] = {"mixed.example": ["203.0.114.1", "10.0.0.1"], "public.example": ["203.0.114.1"]}

    async def getaddrinfo(host: str, *args: Any, **options: Any) -> list[Any]:
        if host not in known:
            raise OSError("no such host")
        return [(None, None, None, None, (address, 0)) for address in known[host]]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    guard = Guard("https://public.example/mcp")
    assert await soon(guard.check("https://public.example/x", "x"))
    assert await soon(guard.check("https://unknown.example/x", "x"))
    with pytest.raises(AuthorizationFailed):
        await soon(guard.check("https://mixed.example/x", "x"))


def names(monkeypatch: pytest.MonkeyPatch, **answers: list[list[str]]) -> list[str]:
    """Let these names lead to one list of addresses after the other; what was looked up."""
    looked_up: list[str] = []
    real = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = str(host).rstrip(".").removesuffix(".example")
        if name not in answers:
            return await real(host, port, *args, **options)
        looked_up.append(name)
        listed = answers[name].pop(0) if len(answers[name]) > 1 else answers[name][0]
        if not listed:
            raise OSError("no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in listed]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return looked_up


@pytest.mark.parametrize("first", [["203.0.114.1"], []])
async def test_a_name_that_leads_elsewhere_the_second_time(first: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: what was checked is what is connected to, and a name that was unknown then is connected to nowhere."""
    dialled: list[str] = []

    async def create_connection(*args: Any, **options: Any) -> Any:
        dialled.append(str(args[1]))
        raise OSError("nobody there")

    looked_up = names(monkeypatch, public=[["203.0.114.1"]], rebinding=[first, ["127.0.0.1"]])
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    carrier = LaneCarrier()
    exchanges = Exchanges(carrier, Guard("https://public.example/mcp"))
    with pytest.raises(AuthorizationFailed, match="cannot be reached"):
        await soon(exchanges.get("https://rebinding.example/x", "the metadata"))
    assert dialled == first
    assert looked_up == ["public", "rebinding"]
    await carrier.close()


async def test_the_checked_address_is_asked_by_its_name() -> None:
    """Host and certificate are those of the name; one address that is down does not keep from the next."""
    async with http_peer(found) as peer:
        carrier = LaneCarrier()
        port = int(peer.url.split(":")[2].split("/")[0])
        for _ in range(2):  # the second over the same connection
            request = HttpRequest("GET", f"http://as.example:{port}/x", {}, None, ("127.0.0.2", "127.0.0.1"))
            answer = await soon(carrier.send(request))
            assert (await read_body(answer, 10), answer.status) == (b"here", 200)
        assert [asked.headers["host"] for asked in peer.asked] == [f"as.example:{port}"] * 2
        await carrier.close()
        library = HttpxCarrier()
        answer = await soon(library.send(HttpRequest("GET", f"http://as.example:{port}/x", {}, None, ("127.0.0.1",))))
        assert await read_body(answer, 10) == b"here"
        assert peer.asked[-1].headers["host"] == f"as.example:{port}"
        with pytest.raises(Unreachable):
            await soon(library.send(HttpRequest("GET", f"http://127.0.0.1:{port}/x", {}, None, ())))
        await library.close()


async def test_a_server_is_where_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one private address among others, nor a name that leads inward later, opens the inside to a server."""
    names(monkeypatch, mixed=[["203.0.114.1", "10.0.0.1"]], moved=[["10.0.0.1"]])
    with pytest.raises(AuthorizationFailed, match="public internet"):
        await soon(Guard("https://mixed.example/mcp").check(INSIDE, "x"))
    guard = Guard("https://moved.example/mcp")
    guard.connected("203.0.114.1")
    with pytest.raises(AuthorizationFailed, match="public internet"):
        await soon(guard.check(INSIDE, "x"))


async def found(asked: Asked, reply: Reply) -> None:
    await reply.send(200, b"here")
