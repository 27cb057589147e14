"""The MCP URLs as a router in somebody's application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request

from mcpkit.fastapi import as_principal, create_app, mcp_router, metadata_router
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from mcpkit.settings import Settings, SettingsError
from tests.fastapi.house import CALL, SLASHES, make_server, text
from tests.transports.asgi_client import SessionWire, Wire, request


def current_user(x_user: Annotated[str, Header()]) -> str:
    if x_user == "mallory":
        raise HTTPException(403, "not you")
    return x_user


@pytest.mark.parametrize("path", SLASHES)
async def test_a_router_serves_both_slashes_below_a_prefix(path: str) -> None:
    app = FastAPI()
    app.include_router(mcp_router(make_server()), prefix="/tools")
    assert text(await Wire(app).ask(CALL, path=f"/tools{path}")) == "nobody"


@pytest.mark.parametrize("wrap", [lambda f: f, Depends])
async def test_the_applications_own_dependency_says_who_calls(wrap: Any) -> None:
    app = FastAPI()
    app.include_router(mcp_router(make_server(), principal=wrap(current_user)))
    wire = Wire(app)
    assert text(await wire.ask(CALL, {"x-user": "alice"})) == "alice"
    assert (await wire.ask(CALL, {"x-user": "mallory"})).status == 403
    assert (await wire.ask(CALL)).status == 422


async def test_sessions_are_bound_to_that_caller() -> None:
    """SESS-03: another's session looks unknown."""
    app = FastAPI()
    app.include_router(mcp_router(make_server(), principal=current_user))
    wire = Wire(app)
    params = {"protocolVersion": NEWEST_HANDSHAKE.name}
    opened = await wire.ask(request("initialize", params), {"x-user": "alice"})
    session = SessionWire(wire, opened.headers["mcp-session-id"], NEWEST_HANDSHAKE.name)
    assert text(await session.ask(CALL, {"x-user": "alice"})) == "alice"
    assert (await session.ask(CALL, {"x-user": "bob"})).status == 404


async def test_dependencies_given_when_including_are_obeyed() -> None:
    """CVE-2026-33032; they may name the caller by request.state.principal."""

    def authenticate(request: Request, x_user: Annotated[str, Header()]) -> None:
        request.state.principal = Principal(current_user(x_user))

    app = FastAPI()
    app.include_router(mcp_router(make_server()), dependencies=[Depends(authenticate)])
    wire = Wire(app)
    assert text(await wire.ask(CALL, {"x-user": "alice"})) == "alice"
    for path in (*SLASHES, "/sse"):
        assert (await wire.ask(CALL, {"x-user": "mallory"}, path=path)).status == 403


async def test_a_caller_that_a_dependency_names_beside_keys_is_told_of_and_not_let_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys say who calls, nobody else."""

    def authenticate(request: Request) -> None:
        request.state.principal = Principal("alice")

    app = FastAPI()
    settings = Settings(api_keys_file=tmp_path / "keys.json")
    app.include_router(mcp_router(make_server(), settings=settings), dependencies=[Depends(authenticate)])
    assert (await Wire(app).ask(CALL)).status == 401
    assert "a dependency sets request.state.principal, which does nothing beside API keys" in caplog.text


@pytest.mark.parametrize("prefix", ["", "/mcp"])
async def test_a_challenge_names_metadata_that_exists(prefix: str) -> None:
    """RS-01, RS-02, RS-03: at both well-known forms, with a prefix too, and open to everybody."""
    url = f"https://mcp.example.com{prefix}/api"
    settings = Settings(
        auth_issuer="https://login.example.com",
        auth_resource=url,
        auth_jwks_url="https://login.example.com/jwks",
        allowed_hosts=("mcp.example.com",),
    )
    app = FastAPI()
    app.include_router(mcp_router(make_server(), settings), prefix=prefix)
    if prefix:
        app.include_router(metadata_router(settings))
    wire = Wire(app)
    refused = await wire.ask(CALL, path=f"{prefix}/api")
    assert refused.status == 401
    named = refused.headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    for path in (named.removeprefix("https://mcp.example.com"), "/.well-known/oauth-protected-resource"):
        document = await wire.send("GET", path=path).done()
        assert document.status == 200
        assert orjson.loads(document.body)["resource"] == url


def test_metadata_needs_an_issuer_and_a_url() -> None:
    for settings in (Settings(), Settings(auth_issuer="https://login.example.com")):
        with pytest.raises(SettingsError):
            metadata_router(settings)


async def test_the_announced_uri_has_the_routers_prefix() -> None:
    """HSSE-02, HSSE-10."""
    app = FastAPI()
    app.include_router(mcp_router(make_server()), prefix="/tools")
    outer = FastAPI()
    outer.mount("/v1", app)
    stream = Wire(outer).send("GET", path="/v1/tools/sse")
    announced = (await stream.event()).data
    assert announced.startswith("/v1/tools/api?session_id=")
    assert (await Wire(outer).ask(request("ping"), path=announced)).status == 202
    assert '"result"' in (await stream.event()).data
    stream.disconnect()
    await stream.done()


def test_who_a_dependency_may_name() -> None:
    assert as_principal(None) is None
    assert as_principal("x") == Principal("x")
    assert as_principal(Principal("y")) == Principal("y")
    for wrong in ("", 7, {"id": "x"}):
        with pytest.raises(TypeError, match="return a Principal"):
            as_principal(wrong)


async def nobody(headers: Any) -> Principal:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(api_keys_file=Path("keys.json")), "MCP_API_KEYS_FILE say"),
        (Settings(api_keys_redis=True, redis_url="redis://127.0.0.1:1"), "MCP_API_KEYS_REDIS say"),
        (Settings(api_keys_file=Path("k"), auth_issuer="https://a.example"), "MCP_API_KEYS_FILE and MCP_AUTH_ISSUER"),
    ],
)
def test_who_calls_is_said_in_one_way(settings: Settings, named: str) -> None:
    """Configured keys that nobody asks for would be a hole."""
    for principal in (current_user, Depends(current_user)):
        with pytest.raises(ValueError, match=rf"both mcp_router\(principal=…\) and {named}.*leave one of them out"):
            mcp_router(make_server(), settings, principal=principal)
    with pytest.raises(ValueError, match=rf"both create_app\(authenticate=…\) and {named}"):
        create_app(make_server(), settings, authenticate=nobody)
