"""An application without settings of its own is as the environment says: what is set there is never left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from mcpkit import Server
from mcpkit.fastapi import create_app, mcp_router
from mcpkit.settings import Settings, SettingsError
from routers.base_router import MCPBaseRouter
from tests.fastapi.house import CALL, make_server, text
from tests.transports.asgi_client import Wire

MakeApp = Callable[..., Any]


def included(server: Server, *settings: Settings) -> FastAPI:
    app = FastAPI()
    app.include_router(mcp_router(server, *settings))
    return app


def from_base(server: Server, *settings: Settings) -> FastAPI:
    app = FastAPI()
    app.include_router(MCPBaseRouter(server, *settings).router)
    return app


WAYS = pytest.mark.parametrize("make", [create_app, included, from_base], ids=["create_app", "mcp_router", "base"])


@WAYS
async def test_api_keys_of_the_environment_are_asked_for(
    make: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An application that was configured to be closed must not be open because nobody passed the settings on."""
    monkeypatch.setenv("MCP_API_KEYS_FILE", str(tmp_path / "keys.json"))
    assert (await Wire(make(make_server())).ask(CALL)).status == 401
    assert text(await Wire(make(make_server(), Settings())).ask(CALL)) == "nobody", "empty settings are meant"


@WAYS
async def test_a_file_beside_the_program_counts_too(
    make: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MCP_ALLOWED_HOSTS=mcp.example\n")
    monkeypatch.chdir(tmp_path)
    wire = Wire(make(make_server()))
    assert text(await wire.ask(CALL, {"host": "mcp.example"})) == "nobody"
    assert (await wire.ask(CALL, {"host": "evil.example"})).status == 421


@WAYS
def test_an_environment_that_cant_be_read_is_told_at_once(make: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_MAX_SESSIONS", "many")
    with pytest.raises(SettingsError, match="MCP_MAX_SESSIONS must be a whole number"):
        make(make_server())
