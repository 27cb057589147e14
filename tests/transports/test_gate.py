"""The gate: limits of the head, Host and Origin, media types, who calls. All of it before a byte of the body."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mcpkit.framing.whole import Lines, WholeRequests
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings
from mcpkit.transports.asgi import PRINCIPAL_KEY, Asked, Refused, Visit
from mcpkit.transports.gate import EITHER, EVENTS, JSON, REMEMBERED, REMEMBERED_BYTES, Gate
from tests.transports.doors import House, call, house

SUM = call("add", a=2, b=3)
MCP_DOORS = [("POST", "/api"), ("GET", "/api"), ("DELETE", "/api"), ("OPTIONS", "/api"), ("GET", "/sse")]


def scope(*headers: tuple[str, str], host: str | None = "127.0.0.1", method: str = "POST", **more: Any) -> Any:
    given = ([("host", host)] if host is not None else []) + list(headers)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given]
    return {"method": method, "path": "/api", "raw_path": b"/api", "query_string": b"", "headers": raw, **more}


async def refusal(gate: Gate, asked: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await gate.admit(asked, None, None)  # type: ignore[arg-type]
    return caught.value


async def accepts(value: str | None) -> int:
    headers = [] if value is None else [("accept", value)]
    return (await Gate(Settings()).admit(scope(*headers), None, None)).accept  # type: ignore[arg-type]


# ── Host and Origin ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("method", "path"), MCP_DOORS)
async def test_every_door_checks_host_and_origin(method: str, path: str) -> None:
    """NET-01, NET-02, SHC-02, SHC-04, HSSE-05: CVE-2025-66416 and its kin, the SSE door included."""
    home = house()
    app = home.endpoint.sse if path == "/sse" else home.endpoint
    home.wire.app = app
    for headers, status, setting in (
        ({"host": "evil.example.com"}, 421, b"MCP_ALLOWED_HOSTS"),
        ({"origin": "http://evil.example.com"}, 403, b"MCP_ALLOWED_ORIGINS"),
        ({"origin": "null"}, 403, b"MCP_ALLOWED_ORIGINS"),
        ({"origin": "http://localhost.evil.example"}, 403, b"MCP_ALLOWED_ORIGINS"),
    ):
        answer = await home.wire.send(method, headers, [b"{}"], path=path).done()
        assert answer.status == status
        assert setting in answer.body
        assert answer.headers["content-type"] == "application/json"
        assert "access-control-allow-origin" not in answer.headers
    assert home.seen == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:12000", "[::1]:8080", "LOCALHOST:1"])
async def test_loopback_is_served_with_and_without_a_port(host: str) -> None:
    """SHC-04, NET-05."""
    home = house()
    home.wire.host = host
    assert (await home.wire.ask(SUM)).status == 200


async def test_allowed_hosts_and_origins_come_from_the_settings() -> None:
    home = house(allowed_hosts=("mcp.example.com",), allowed_origins=("https://app.example.com",))
    allowed = {"host": "mcp.example.com:8443", "origin": "https://app.example.com"}
    answer = await home.wire.ask(SUM, allowed)
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert (await home.wire.ask(SUM, {**allowed, "origin": "https://app.example.com:444"})).status == 403


async def test_all_origins_may_be_allowed_but_are_not_reflected() -> None:
    """NET-07."""
    answer = await house(allowed_origins=("*",)).wire.ask(SUM, {"origin": "https://anywhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_request_without_an_origin_is_no_page() -> None:
    """SHC-03: Node sends Sec-Fetch-Mode without Origin."""
    assert (await house().wire.ask(SUM, {"sec-fetch-mode": "cors"})).status == 200


async def test_a_setting_that_is_no_host_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="http://x"):
        Gate(Settings(allowed_hosts=("http://x",)))


# ── the head's limits ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "status", "names"),
    [
        (scope(("x", "y" * 40_000)), 431, b"MCP_MAX_HEADER_BYTES"),
        (scope(*((f"x-{n}", "y") for n in range(100))), 431, b"MCP_MAX_HEADER_FIELDS"),
        (scope(query_string=b"q" * 9000), 414, b"MCP_MAX_URI_BYTES"),
        (scope(raw_path=b"/" + b"p" * 9000), 414, b"MCP_MAX_URI_BYTES"),
        (scope(host=None), 400, b"Host"),
        (scope(("host", "localhost")), 400, b"host"),
        (scope(("content-length", "1"), ("content-length", "1")), 400, b"content-length"),
        (scope(("content-length", "1"), ("transfer-encoding", "chunked")), 400, b"Transfer-Encoding"),
        (scope(("origin", "http://localhost"), ("origin", "http://localhost")), 400, b"origin"),
        (scope(("x", "a\nhost: b")), 400, b"line break"),
    ],
)
async def test_a_head_that_is_too_much_or_ambiguous(asked: Any, status: int, names: bytes) -> None:
    """XHDR-14, HDR-02, HDR-07, SHC-15: refused, and the connection closed, for what follows can't be trusted."""
    refused = await refusal(Gate(Settings()), asked)
    assert refused.status == status
    assert names in refused.body
    assert b'"id":null' in refused.body
    assert (b"connection", b"close") in refused.headers


async def test_repeated_fields_are_joined_so_that_none_is_hidden() -> None:
    """SHM-25."""
    visit = await Gate(Settings()).admit(scope(("mcp-name", "a"), ("mcp-name", "b")), None, None)  # type: ignore[arg-type]
    assert visit.headers["mcp-name"] == "a, b"


# ── what the caller takes and sends ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (None, EITHER),
        ("", EITHER),
        ("*/*", EITHER),
        ("application/json, text/event-stream", EITHER),
        ("APPLICATION/JSON", JSON),
        ("application/*", JSON),
        ("text/*", EVENTS),
        ("text/event-stream;q=0.5, text/html", EVENTS),
        ("*/*, application/json;q=0", EVENTS),
        ("application/json;q=0", 0),
        ("application/json;q=rubbish", 0),
        ("text/html", 0),
        ("application/jsonx, xtext/event-stream", 0),
    ],
)
async def test_what_accept_admits(value: str | None, verdict: int) -> None:
    """SHC-08, SHC-16."""
    assert await accepts(value) == verdict


async def test_verdicts_are_remembered_but_not_without_end() -> None:
    gate = Gate(Settings())
    for number in range(2 * REMEMBERED):
        asked = scope(("accept", f"x/{number}"), ("content-type", f"x/{number}"))
        visit = await gate.admit(asked, None, None)  # type: ignore[arg-type]
        with pytest.raises(Refused):
            gate.check_body(visit)
    assert 0 < len(gate._heads) <= REMEMBERED


async def test_a_remembered_head_lets_nothing_else_in() -> None:
    """What a known caller sends besides, twice or too long is looked at like a stranger's (HDR-02, HDR-07, SHM-25)."""
    gate = Gate(Settings())
    known = [("content-length", "2"), ("accept", "text/html"), ("mcp-session-id", "s")]

    async def admitted(*more: tuple[str, str]) -> Visit:
        return await gate.admit(scope(*known, *more), None, None)  # type: ignore[arg-type]

    for _ in range(2):
        visit = await admitted()
        assert (visit.accept, visit.headers["mcp-session-id"], visit.headers["content-length"]) == (0, "s", "2")
    assert len(gate._heads) == 1
    visit.headers["x"] = "mine"  # type: ignore[index]  # what a careless handler might do
    assert "x" not in (await admitted()).headers
    for more, status in (
        (("content-length", "2"), 400),
        (("transfer-encoding", "chunked"), 400),
        (("host", "localhost"), 400),
        (("mcp-session-id", "t"), 400),
        (("origin", "http://evil.example.com"), 403),
    ):
        with pytest.raises(Refused) as caught:
            await admitted(more)
        assert caught.value.status == status
    assert (await admitted(("accept", "text/plain"))).headers["accept"] == "text/html, text/plain"
    for value in ("x" * 40_000, "x\ny"):
        assert (await refusal(gate, scope(*known[:2], ("mcp-session-id", value)))).status in {400, 431}


def repeated(body: bytes) -> Asked:
    """A request as it comes on a connection that has brought the same head before."""
    lines = [b"POST /api HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(body), b"Mcp-Session-Id: s"]
    found = CONNECTION.read(b"\r\n".join([*lines, b"", body]))
    assert found is not None
    asked = Asked(scope(), None, None, {}, 0)  # type: ignore[arg-type]
    asked.head, asked.posted = found
    asked.scope["headers"] = asked.head.fields(len(body))
    return asked


CONNECTION = WholeRequests(Lines())


def test_a_head_that_the_server_knows_again_is_judged_once() -> None:
    gate = Gate(Settings())
    for body in (b"{}", b"[1]", b"[1, 2]"):
        asked = repeated(body)
        gate.recognise(asked)
        assert asked.headers == {"host": "localhost", "content-length": str(len(body)), "mcp-session-id": "s"}
        assert asked.accept == EITHER
        asked.headers["x"] = "mine"  # type: ignore[index]  # what a careless handler might do
        gate._heads.clear()


def test_a_head_that_is_known_again_opens_no_other_gate() -> None:
    """Two servers in one process may serve different hosts; what another let in says nothing here."""
    strict = Gate(Settings(allowed_hosts=("example.com",)))
    strict._rules = replace(strict._rules, hosts=frozenset({"example.com"}))
    for _ in range(2):
        Gate(Settings()).recognise(repeated(b"{}"))
        with pytest.raises(Refused):
            strict.recognise(repeated(b"{}"))


async def test_long_heads_are_not_remembered() -> None:
    gate = Gate(Settings())
    await gate.admit(scope(("authorization", "x" * REMEMBERED_BYTES)), None, None)  # type: ignore[arg-type]
    assert not gate._heads


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json-patch+json"}, 415),
        ({"content-type": "text/plain; application/json"}, 415),
        ({"content-type": None}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-encoding": "identity"}, 200),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": 'application/json; x=y; charset="UTF-8"; z'}, 200),
        ({"content-type": "Application/JSON ; charset=utf-8"}, 200),
        ({"content-length": "4194305"}, 413),
        ({"content-length": "9" * 400}, 413),
        ({"content-length": "-1"}, 413),
    ],
)
async def test_which_bodies_are_read(headers: dict[str, Any], status: int) -> None:
    """SHC-09, SHC-15; CVE-2026-33252: a page can post text/plain without asking, so nothing but JSON is read."""
    home = house()
    answer = await home.wire.ask(SUM, headers)
    assert answer.status == status
    assert len(home.seen) == (status == 200)


# ── who calls ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_caller_is_identified_before_the_body_is_read() -> None:
    """SHC-17."""

    async def nobody(headers: Any) -> Principal:
        raise Refused(401, "no", [(b"www-authenticate", b"Bearer")])

    home = House(authenticate=nobody)
    asked = home.wire.send("POST", {"origin": "http://localhost"}, [b""], hold=True)
    await asked.done()
    assert (asked.status, asked.headers["www-authenticate"]) == (401, "Bearer")
    assert asked.headers["access-control-allow-origin"] == "http://localhost"
    assert (await home.wire.send("OPTIONS", {"origin": "http://localhost"}).done()).status == 204


async def test_a_frameworks_own_principal_is_taken() -> None:
    visit = await Gate(Settings()).admit(scope(**{PRINCIPAL_KEY: Principal("x")}), None, None)  # type: ignore[arg-type]
    assert visit.principal == Principal("x")
