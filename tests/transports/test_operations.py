"""The routes beside the MCP endpoint: who may read them, and that nothing is open by oversight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mcpkit.observe.metrics import Metrics
from mcpkit.security.principal import Principal
from mcpkit.security.resource import ProtectedResource
from mcpkit.settings import Settings
from mcpkit.transports.asgi import Refused
from mcpkit.transports.gate import Gate
from mcpkit.transports.operations import MetricsPage, ResourceMetadata, host_checked, is_local
from tests.transports.asgi_client import Wire

RESOURCE = ProtectedResource("https://mcp.example.com/api", ["https://login.example.com"], scopes=["read"])
SCRAPER = "prometheus" * 4
SETTINGS = Settings(allowed_hosts=("mcp.example.com",))


async def known(headers: Mapping[str, str]) -> Principal:
    if headers.get("authorization") != "Bearer good":
        raise Refused(401, "who are you?")
    return Principal("alice")


def page(*, authenticated: bool, token: str | None = None) -> MetricsPage:
    gate = Gate(SETTINGS, known if authenticated else None)
    return MetricsPage(Metrics(), gate, token, authenticated=authenticated)


def seen_from(app: Any, address: str) -> Wire:
    async def moved(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": (address, 5)}, receive, send)

    return Wire(moved)


async def test_everybody_may_read_what_the_resource_is() -> None:
    """RS-01, RS-03: no authentication, any origin."""
    wire = Wire(ResourceMetadata(RESOURCE))
    evil = {"origin": "https://evil.example", "host": "anything"}
    call = await wire.send("GET", evil).done()
    assert (call.status, call.json["resource"]) == (200, "https://mcp.example.com/api")
    assert call.headers["access-control-allow-origin"] == "*"
    assert [(await wire.send(method, evil).done()).status for method in ("OPTIONS", "HEAD", "POST")] == [204, 200, 405]


@pytest.mark.parametrize(
    ("authenticated", "address", "headers", "status"),
    [
        (False, "127.0.0.1", {}, 200),
        (False, "::1", {}, 200),
        (False, "127.0.0.1", {"host": "mcp.example.com"}, 421),
        (False, "127.0.0.1", {"host": "evil.example"}, 421),
        (False, "127.0.0.1", {"origin": "https://evil.example"}, 403),
        (False, "10.0.0.7", {}, 403),
        (True, "127.0.0.1", {}, 200),
        (True, "127.0.0.1", {"host": "mcp.example.com"}, 401),
        (True, "10.0.0.7", {"host": "mcp.example.com"}, 401),
        (True, "10.0.0.7", {"host": "mcp.example.com", "authorization": "Bearer good"}, 200),
        (True, "10.0.0.7", {"host": "evil.example", "authorization": "Bearer good"}, 421),
    ],
)
async def test_metrics_are_for_this_machine_and_for_the_authenticated(
    authenticated: bool, address: str, headers: dict[str, str | None], status: int
) -> None:
    call = await seen_from(page(authenticated=authenticated), address).send("GET", headers).done()
    assert call.status == status
    assert (b"mcp_server_active_calls" in call.body) is (status == 200)


@pytest.mark.parametrize("authenticated", [True, False])
@pytest.mark.parametrize("address", ["10.0.0.7", "127.0.0.1"])
@pytest.mark.parametrize(
    ("authorization", "let_in"),
    [
        ("Bearer good", False),
        (None, False),
        (f"Bearer {SCRAPER}", True),
        (f"Bearer {SCRAPER}x", False),
        (SCRAPER, False),
        ("Bearer ", False),
        ("\xff", False),
    ],
)
async def test_who_scrapes_has_a_token_that_opens_this_page_by_any_name(
    authenticated: bool, address: str, authorization: str | None, let_in: bool
) -> None:
    """Prometheus asks pods by their address. Once there is a token, this machine needs it too: its proxies are here."""
    wire = seen_from(page(authenticated=authenticated, token=SCRAPER), address)
    for host in ("10.0.0.9:12000", "localhost"):
        call = await wire.send("GET", {"host": host, "authorization": authorization}).done()
        assert (call.status, call.headers.get("www-authenticate")) == ((200, None) if let_in else (401, "Bearer"))


@pytest.mark.parametrize(
    "field",
    [
        *("forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip", "true-client-ip"),
        *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix"),
        *(
            "x-original-forwarded-for",
            "x-original-host",
            "x-cluster-client-ip",
            "x-envoy-external-address",
            "x_real_ip",
        ),
        *("x-amzn-trace-id", "cdn-loop", "fly-client-ip", "fastly-client-ip", "x-azure-clientip", "wl-proxy-client-ip"),
    ],
)
@pytest.mark.parametrize("authenticated", [True, False])
async def test_what_a_proxy_on_this_machine_passes_on_is_not_from_this_machine(field: str, authenticated: bool) -> None:
    """nginx rewrites Host to the upstream's own name unless it is told otherwise."""
    wire = seen_from(page(authenticated=authenticated), "127.0.0.1")
    for value in ("10.0.0.7", ""):
        assert (await wire.send("GET", {field: value}).done()).status == (401 if authenticated else 403)
    assert (await wire.send("GET", {"x-other": "1"}).done()).status == 200


async def test_a_proxy_that_adds_no_field_is_known_by_its_version() -> None:
    """nginx speaks HTTP/1.0 to its upstreams unless it is told otherwise, and then adds nothing."""
    metrics = page(authenticated=False)

    async def older(scope: Any, receive: Any, send: Any) -> None:
        await metrics({**scope, "http_version": "1.0"}, receive, send)

    assert (await seen_from(older, "127.0.0.1").send("GET").done()).status == 403
    assert (await seen_from(metrics, "127.0.0.1").send("GET").done()).status == 200


async def test_metrics_are_read_with_get() -> None:
    wire = Wire(page(authenticated=False))
    assert [(await wire.send(method).done()).status for method in ("HEAD", "POST")] == [200, 405]


@pytest.mark.parametrize(
    ("client", "local"),
    [
        *[(None, False), (("127.0.0.9", 1), True), (("10.0.0.1", 1), False), (("testclient", 1), False)],
        *[(("::1", 1), True), (("::ffff:127.0.0.1", 1), True), (("::ffff:10.0.0.1", 1), False), (("", 1), False)],
    ],
)
def test_what_is_this_machine(client: Any, local: bool) -> None:
    assert is_local({"client": client, "headers": []}) is local


async def test_a_public_document_is_public_under_our_name() -> None:
    wire = Wire(host_checked(Gate(SETTINGS), ResourceMetadata(RESOURCE)))
    twice = [(b"host", b"localhost")]
    assert (await wire.send("GET").done()).status == 200
    assert (await wire.send("GET", {"host": "evil.example"}).done()).status == 421
    assert (await wire.send("GET", raw=twice).done()).status == 400
