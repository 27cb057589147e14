"""The example application's server, its files and database in a folder of the test's own. Never a transport."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from mcpkit.server import Server
from mcpkit.settings import Settings
from routers.base_router import MCPBaseRouter
from routers.prompt_router import register_prompts
from routers.resource_router import register_resources
from routers.tool_router import register_tools
from tests.exchanges import exchange

Ask: TypeAlias = Callable[..., Awaitable[Any]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        files_root=tmp_path / "files",
        database_path=tmp_path / "app.db",
        weather_url="http://127.0.0.1:9",
        base_url="http://127.0.0.1:9/v1",
        model_name="example-1",
        api_key="sk-very-secret",
        state_key="a-key-of-at-least-thirty-two-characters",
    )


@pytest.fixture
def server(settings: Settings) -> Server:
    server = Server("example", "1.2.3")
    router = MCPBaseRouter(server)
    register_tools(router, settings)
    register_resources(router, settings)
    register_prompts(router)
    return server


@pytest.fixture
def ask(server: Server) -> Ask:
    """Serve one request under plain JSON-RPC and give its result as JSON brings it."""

    async def ask(method: str, /, **params: Any) -> Any:
        result = await server.kernel.serve(exchange(method, params, revision=""))
        return json.loads(bytes(result)) if isinstance(result, bytes) else result

    return ask
