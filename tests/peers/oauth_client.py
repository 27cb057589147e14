"""Does the whole OAuth flow by the client of mcp 1.x or 2.x and prints what it found, as JSON.

It runs in the environment of mcp1.txt or mcp2.txt: ``python oauth_client.py URL CALLBACK``. The user consents at once.
What must never stand here: an import of this project.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

NEW = version("mcp").startswith("2.")
if NEW:
    import httpx2 as http
    from mcp.client.auth import AuthorizationCodeResult
else:
    import httpx as http


class Storage:
    """Tokens and the registration, in memory."""

    tokens: Any = None
    client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


class Browser:
    """A user who agrees to everything."""

    fields: dict[str, list[str]]

    async def visit(self, url: str) -> None:
        async with http.AsyncClient() as browser:
            self.fields = parse_qs(urlsplit((await browser.get(url)).headers["location"]).query)

    async def returned(self) -> Any:
        code, state, issuer = (self.fields.get(name, [None])[0] for name in ("code", "state", "iss"))
        return AuthorizationCodeResult(code=code, state=state, iss=issuer) if NEW else (code, state)


async def main(url: str, callback: str) -> None:
    storage, user = Storage(), Browser()
    about = OAuthClientMetadata(
        redirect_uris=[callback], client_name="sdk", grant_types=["authorization_code", "refresh_token"]
    )
    flow = OAuthClientProvider(url, about, storage, user.visit, user.returned)
    async with (
        http.AsyncClient(auth=flow) as carrier,
        streamable_http_client(url, http_client=carrier) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        who = await session.call_tool("whoami", {})
        more = await session.call_tool("write", {})
    found = {"who": who.content[0].text, "more": more.content[0].text, "scope": storage.tokens.scope}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 40))
