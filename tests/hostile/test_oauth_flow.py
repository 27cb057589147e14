"""The whole of OAuth, nobody pretending: Authlib issues, our client asks for consent, our server checks."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from mcpkit import Context, Server
from mcpkit.client import MCPClient
from mcpkit.client.oauth import AuthorizationCode, CustomRedirect, OAuth
from mcpkit.fastapi import create_app
from mcpkit.settings import Settings
from tests.fixtures.authorization_server import Realm, User
from tests.transports.sockets import Place, serving

CALLBACK = "http://127.0.0.1:3000/callback"


@pytest.fixture(autouse=True, scope="module")
def _plain_http_on_this_machine() -> Any:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    yield
    del os.environ["AUTHLIB_INSECURE_TRANSPORT"]


@dataclass
class World:
    """An authorization server and a protected server."""

    realm: Realm
    place: Place

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.place.port}/api"

    def client(self, user: str) -> MCPClient:
        async def consent(url: str) -> str:
            self.realm.user = user
            async with httpx.AsyncClient() as browser:
                return (await browser.get(url)).headers["location"]

        return MCPClient(self.url, auth=OAuth(AuthorizationCode(redirect=CustomRedirect(CALLBACK, consent))))


def protected() -> Server:
    server = Server("vault")

    @server.tool
    def whoami(ctx: Context) -> str:
        """Say who calls."""
        return ctx.principal.id if ctx.principal else "nobody"

    @server.tool(scopes=["write"])
    def write() -> str:
        """Needs more."""
        return "written"

    return server


@asynccontextmanager
async def world(*, opaque: bool = False) -> AsyncIterator[World]:
    realm = Realm()
    async with serving(realm) as issuer, serving(_Later()) as place:
        realm.open(f"http://127.0.0.1:{issuer.port}")
        settings = Settings(
            auth_issuer=realm.issuer,
            auth_resource=f"http://127.0.0.1:{place.port}/api",
            auth_scopes=("use",),
            auth_jwks_url=None if opaque else f"{realm.issuer}/jwks",
            auth_introspection_url=f"{realm.issuer}/introspect" if opaque else None,
            auth_client_id="resource-server",
            auth_client_secret="rs-secret",
        )
        place.program._app.app = create_app(protected(), settings)
        yield World(realm, place)


class _Later:
    """An application that is known once its port is."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await self.app(scope, receive, send)

    def drain(self) -> None:
        if self.app is not None:
            self.app.drain()


async def test_our_client_does_the_whole_flow_and_steps_up() -> None:
    """RS-02, TOK-03, STEP-01…06: 401, metadata, registration, consent, PKCE, token, and 403 once a tool needs more."""
    async with world() as given, given.client("alice") as client:
        assert json.loads((await client.call_tool("whoami")).text)[1] == "alice"
        assert len(given.realm.tokens) == 1
        assert (await client.call_tool("write")).text == "written"
        assert len(given.realm.tokens) == 2


async def test_a_session_of_one_user_is_unknown_to_another() -> None:
    """SESS-03, TOK-09: two users of one server."""
    async with world() as given:
        tokens = []
        for user in ("alice", "bob"):
            async with given.client(user) as client:
                await client.call_tool("whoami")
            tokens.append(given.realm.tokens[-1])
        opening = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        both = {"accept": "application/json, text/event-stream"}
        async with httpx.AsyncClient(headers=both) as http:

            async def post(token: str, method: str, session: str | None = None) -> httpx.Response:
                headers = {"authorization": f"Bearer {token}"} | ({"mcp-session-id": session} if session else {})
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": opening if method != "ping" else {}}
                return await http.post(given.url, json=body, headers=headers)

            session = (await post(tokens[0], "initialize")).headers["mcp-session-id"]
            assert (await post(tokens[0], "ping", session)).status_code == 200
            foreign, unknown = await post(tokens[1], "ping", session), await post(tokens[1], "ping", "A" * 32)
            assert (foreign.status_code, foreign.content) == (404, unknown.content)
            assert (await http.delete(given.url, headers={"mcp-session-id": session})).status_code == 401


async def test_what_the_server_says_of_itself_and_whom_it_refuses() -> None:
    """RS-01, RS-03, RS-07, TOK-05, TOK-07, STEST-08."""
    async with world() as given, httpx.AsyncClient() as http:
        root = given.url.removesuffix("/api")
        for path in ("/.well-known/oauth-protected-resource/api", "/.well-known/oauth-protected-resource"):
            answer = await http.get(root + path, headers={"origin": "https://web.example"})
            assert (answer.json()["resource"], answer.headers["access-control-allow-origin"]) == (given.url, "*")
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        for token, status in (("", 401), ("rubbish", 401), ("a.b.c", 401), ("two words", 400)):
            answer = await http.post(
                given.url, json=ping, headers={"authorization": f"Bearer {token}"} if token else {}
            )
            assert answer.status_code == status
            assert "resource_metadata=" in answer.headers["www-authenticate"]
        assert (await http.post(f"{given.url}?access_token=x", json=ping)).status_code == 400
        for path in ("/", "/sse", "/metrics", "/openapi.json", "/nothing"):
            status = (await http.get(root + path)).status_code
            assert status == (200 if path == "/metrics" else 401)
        assert (await http.get(f"{root}/healthz")).status_code == 200


async def test_tokens_of_another_audience_or_without_a_scope_are_refused() -> None:
    async with world() as given:
        async with given.client("alice") as client:
            await client.call_tool("whoami")
        server = given.realm.server
        http = httpx.AsyncClient()
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}

        async def status(resource: str, scope: str, lifetime: int = 600) -> int:
            given.realm.resource, given.realm.lifetime = resource, lifetime
            client = next(iter(given.realm.clients.values()))
            token = server.generate_token("authorization_code", client, user=User("alice"), scope=scope)["access_token"]
            answer = await http.post(given.url, json=ping, headers={"authorization": f"Bearer {token}"})
            return answer.status_code

        async with http:
            assert await status(given.url, "use") == 200
            assert await status("http://127.0.0.1:1/api", "use") == 401
            assert await status(f"{given.url}.evil.example", "use") == 401
            assert await status(given.url, "other") == 403
            assert await status(given.url, "use", lifetime=-100) == 401


async def test_opaque_tokens_are_asked_about() -> None:
    """RFC 7662."""
    async with world(opaque=True) as given, httpx.AsyncClient() as http:
        good = {"sub": "alice", "aud": given.url, "scope": "use", "iss": given.realm.issuer}
        given.realm.issued = {"good": good, "foreign": {**good, "aud": "https://other.example"}}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        for token, status in (("good", 200), ("foreign", 401), ("never-issued", 401)):
            answer = await http.post(given.url, json=ping, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == status
