"""MCP Apps: pages as resources, tools that name them, clients that can't show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcpkit.extensions.apps import LINKING, MIME_TYPE, Apps, Csp, shows_views
from mcpkit.features.context import Context
from mcpkit.features.returns import ToolResult
from mcpkit.jsonrpc.errors import InternalError, InvalidParams
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server
from tests.exchanges import Remembered, exchange
from tests.extensions.calling import Caller, text

UI = "io.modelcontextprotocol/ui"
SHOWS = {"extensions": {UI: {"mimeTypes": [MIME_TYPE]}}}
PAGE = "<!DOCTYPE html><title>Clock</title>"


@pytest.fixture
def server() -> Server:
    return Server("unit")


@pytest.fixture
def apps(server: Server) -> Apps:
    made = Apps()
    server.install(made)
    return made


@pytest.fixture
def call(server: Server) -> Caller:
    return Caller(server, capabilities=SHOWS)


async def test_it_is_advertised(apps: Apps, call: Caller) -> None:
    """EXT-01."""
    assert (await call("server/discover"))["capabilities"]["extensions"] == {UI: {}}


async def test_a_page_is_a_resource(apps: Apps, call: Caller) -> None:
    """APPS-11, APPS-02, APPS-04: what the host must know stands on the entry and on the contents."""
    apps.view(
        "ui://clock",
        PAGE,
        csp=Csp(connect=["https://time.example.com"], resource=["https://cdn.example.com"]),
        permissions=["geolocation"],
        domain="clock.example.com",
        prefers_border=True,
        description="A clock",
    )
    ui = {
        "csp": {"connectDomains": ["https://time.example.com"], "resourceDomains": ["https://cdn.example.com"]},
        "permissions": {"geolocation": {}},
        "domain": "clock.example.com",
        "prefersBorder": True,
    }
    [entry] = (await call("resources/list"))["resources"]
    assert entry == {
        "uri": "ui://clock",
        "name": "clock",
        "description": "A clock",
        "mimeType": MIME_TYPE,
        "_meta": {"ui": ui},
    }
    [contents] = (await call("resources/read", {"uri": "ui://clock"}))["contents"]
    assert contents == {"uri": "ui://clock", "mimeType": MIME_TYPE, "text": PAGE, "_meta": {"ui": ui}}


async def test_a_page_may_be_a_file_or_a_function(apps: Apps, call: Caller, tmp_path: Path) -> None:
    """It is read anew each time."""
    file = tmp_path / "page.html"
    file.write_text(PAGE)
    apps.view("ui://file", file)
    apps.view("ui://made", lambda: PAGE)
    file.write_text(PAGE + "<p>new")
    [contents] = (await call("resources/read", {"uri": "ui://file"}))["contents"]
    assert contents["text"] == PAGE + "<p>new"
    assert (await call("resources/read", {"uri": "ui://made"}))["contents"][0]["text"] == PAGE
    file.write_text("gone wrong")
    with pytest.raises(InternalError):
        await call("resources/read", {"uri": "ui://file"})


@pytest.mark.parametrize(
    ("uri", "page", "options", "why"),
    [
        ("https://clock", PAGE, {}, "begins with ui://"),
        ("ui://clock", "<p>half", {}, "whole HTML5 document"),
        ("ui://clock", PAGE, {"permissions": ["usb"]}, "no permission usb"),
    ],
)
def test_what_no_host_would_show_is_refused(apps: Apps, uri: str, page: str, options: Any, why: str) -> None:
    """APPS-02, APPS-04."""
    with pytest.raises(ValueError, match=why):
        apps.view(uri, page, **options)


async def test_a_tool_names_its_view_and_speaks_without_it(apps: Apps, call: Caller) -> None:
    """APPS-03, APPS-05: a text for the model, data for the view."""
    apps.view("ui://clock", PAGE)

    @apps.tool("ui://clock", title="Clock", meta={"own": 1})
    def clock() -> ToolResult:
        return ToolResult("It is noon.", {"hour": 12})

    [tool] = (await call("tools/list"))["tools"]
    assert tool["_meta"] == {"own": 1, "ui": {"resourceUri": "ui://clock", "visibility": ["model", "app"]}}
    result = await call("tools/call", {"name": "clock"}, capabilities={})
    assert text(result) == "It is noon."
    assert result["structuredContent"] == {"hour": 12}


async def test_a_tool_for_the_view_alone_is_hidden_from_those_without_views(apps: Apps, call: Caller) -> None:
    """APPS-06: a client that knows nothing of views would give it to its model."""
    apps.view("ui://clock", PAGE)

    @apps.tool("ui://clock", visibility=["app"])
    def wind() -> str:
        return "wound"

    assert [tool["name"] for tool in (await call("tools/list"))["tools"]] == ["wind"]
    assert (await call("tools/list", capabilities={}))["tools"] == []
    with pytest.raises(InvalidParams):
        await call("tools/call", {"name": "wind"}, capabilities={})
    assert text(await call("tools/call", {"name": "wind"}, revision=NEWEST_HANDSHAKE)) == "wound"


async def test_an_authors_own_rule_holds_too(apps: Apps, call: Caller) -> None:
    apps.view("ui://clock", PAGE)

    @apps.tool("ui://clock", visibility=["app"], visible=lambda exchange: exchange.principal is not None)
    def wind() -> str:
        return "wound"

    assert (await call("tools/list"))["tools"] == []


def test_a_view_must_be_there_first(apps: Apps) -> None:
    """APPS-02: it must exist when it is named."""
    with pytest.raises(ValueError, match="add it first"):
        apps.tool("ui://clock")
    apps.view("ui://clock", PAGE)
    for visibility in ([], ["user"]):
        with pytest.raises(ValueError, match="visibility"):
            apps.tool("ui://clock", visibility=visibility)


def test_it_must_be_installed_first() -> None:
    with pytest.raises(RuntimeError, match=r"server\.install"):
        Apps().view("ui://clock", PAGE)


@pytest.mark.parametrize(
    ("capabilities", "shows"),
    [
        (SHOWS, True),
        ({}, False),
        ({"extensions": {}}, False),
        ({"extensions": {UI: {}}}, False),
        ({"extensions": {UI: {"mimeTypes": ["text/html"]}}}, False),
        ({"extensions": {UI: 5}}, False),
        ({"extensions": 5}, False),
    ],
)
async def test_a_client_says_whether_it_shows_views(server: Server, capabilities: Any, shows: bool) -> None:
    """APPS-01."""
    call = exchange("tools/call", capabilities=capabilities)
    assert shows_views(call) is shows
    context = server.context(call)
    assert isinstance(context, Context)
    assert shows_views(context) is shows


@pytest.mark.parametrize("revision", REVISIONS.values(), ids=REVISIONS)
async def test_where_a_tool_can_not_name_its_view_there_are_none(apps: Apps, call: Caller, revision: Revision) -> None:
    """APPS-03, APPS-06: a host that never sees the visibility would give the view's own tools to its model."""
    apps.view("ui://clock", PAGE)
    apps.tool("ui://clock", name="clock")(lambda: "noon")
    apps.tool("ui://clock", name="wind", visibility=["app"])(lambda: "wound")
    tools = (await call("tools/list", revision=revision, session=Remembered()))["tools"]
    linked = [tool for tool in tools if "ui" in tool.get("_meta", {})]
    assert linked in ([], tools)
    assert len(tools) == (2 if linked else 1)
    assert (apps.settings(revision) is not None) is bool(linked)


async def test_most_revisions_have_views() -> None:
    """APPS-03: all that have ``_meta`` on tools."""
    assert len(LINKING) == len(REVISIONS) - 2
