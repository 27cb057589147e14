"""A protected MCP server and its authorization server in one script, with a knob for everything that can go wrong.

What must never stand here: a test.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcpkit.client.endpoint import Endpoint
from mcpkit.client.http import HttpAnswer
from mcpkit.client.http_lanes import LaneCarrier
from mcpkit.client.oauth import About, AuthorizationCode, CustomRedirect, Grant, OAuth, Registration
from tests.client.scripted import Asked, Reply, soon

REDIRECT = "http://127.0.0.1:3000/callback"


class Realm:
    """The script; ``url`` is the MCP server's, once it is known."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: Counter[str] = Counter()
        self.forms: list[dict[str, str]] = []
        self.visits: list[dict[str, str]] = []
        self.registrations: list[dict[str, Any]] = []
        self.token_headers: list[dict[str, str]] = []
        self.valid: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.challenge_scope = ""
        self.needed: set[str] = set()
        self.granted: dict[str, set[str]] = {}
        self.issuer_path = ""
        self.challenged_with_url = True
        self.server: dict[str, Any] = {}
        """Over the authorization server's metadata; a None takes a member away."""
        self.resource: dict[str, Any] | None = {}
        """Over the protected resource's metadata; None publishes none."""
        self.returned: dict[str, str | None] = {}
        """Over what the browser comes back with."""
        self.token_answer: dict[str, Any] = {}
        self.token_error: str | None = None
        self.expires_in: int | None = 3600
        self.nonces: dict[str, str] = {}
        self.dpop = False

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")

    @property
    def issuer(self) -> str:
        return self.origin + self.issuer_path

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        path = asked.target.partition("?")[0]
        self.seen[path] += 1
        rows = {
            "/mcp": self._mcp,
            "/register": self._register,
            "/token": self._token,
            "/.well-known/oauth-protected-resource/mcp": self._resource_metadata,
            f"/.well-known/oauth-authorization-server{self.issuer_path}": self._server_metadata,
        }
        row = rows.get(path)
        if row is not None:
            await row(asked, reply)

    async def _mcp(self, asked: Asked, reply: Reply) -> None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        wanted = "DPoP" if self.dpop else "Bearer"
        if scheme != wanted or token not in self.valid:
            url = f'resource_metadata="{self.origin}/.well-known/oauth-protected-resource/mcp"'
            scope = f', scope="{self.challenge_scope}"' if self.challenge_scope else ""
            await reply.send(401, www_authenticate=f"{wanted} {url if self.challenged_with_url else ''}{scope}")
        elif not self.needed <= self.granted.get(token, set()):
            missing = f'Bearer error="insufficient_scope", scope="{" ".join(sorted(self.needed))}"'
            await reply.send(403, www_authenticate=missing)
        else:
            await reply.send(200, {"token": token})

    async def _resource_metadata(self, asked: Asked, reply: Reply) -> None:
        if self.resource is None:
            await reply.send(404)
            return
        document = {"resource": self.url, "authorization_servers": [self.issuer], **self.resource}
        await reply.send(200, document)

    async def _server_metadata(self, asked: Asked, reply: Reply) -> None:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.server,
        }
        await reply.send(200, {name: value for name, value in document.items() if value is not None})

    async def _register(self, asked: Asked, reply: Reply) -> None:
        self.registrations.append(asked.message)
        number = len(self.registrations)
        method = asked.message["token_endpoint_auth_method"]
        client = {"client_id": f"client{number}", "token_endpoint_auth_method": method, "client_secret": "s:/é"}
        await reply.send(201, client)

    async def _token(self, asked: Asked, reply: Reply) -> None:
        form = asked.form
        self.forms.append(form)
        self.token_headers.append(asked.headers)
        nonce = self.nonces.get("/token")
        if nonce is not None and nonce not in _claims(asked.headers.get("dpop", "..")).get("nonce", ""):
            await reply.send(400, {"error": "use_dpop_nonce"}, dpop_nonce=nonce)
            return
        if self.token_error is not None:
            await reply.send(400, {"error": self.token_error})
            return
        if form["grant_type"] == "refresh_token" and form["refresh_token"] not in self.refresh_tokens:
            await reply.send(400, {"error": "invalid_grant"})
            return
        token = f"token{len(self.forms)}"
        self.valid.add(token)
        self.granted[token] = set(form.get("scope", "").split())
        answer: dict[str, Any] = {"access_token": token, "token_type": "DPoP" if self.dpop else "Bearer"}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        if form["grant_type"] in {"authorization_code", "refresh_token"}:
            answer["refresh_token"] = f"refresh{len(self.forms)}"
            self.refresh_tokens.add(answer["refresh_token"])
        await reply.send(200, {**answer, **self.token_answer})

    async def consent(self, url: str) -> str:
        """The user who always agrees, and the browser that comes back."""
        asked = dict(parse_qsl(urlsplit(url).query))
        self.visits.append(asked)
        back = {"code": "c0de", "state": asked["state"], "iss": self.issuer, **self.returned}
        return f"{REDIRECT}?{urlencode({name: value for name, value in back.items() if value is not None})}"

    def proves(self, form: dict[str, str], visit: dict[str, str]) -> bool:
        """The verifier belongs to the challenge (RFC 7636)."""
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == visit["code_challenge"]

    def grant(self, known: Registration | None = None, metadata_url: str | None = None) -> Grant:
        """A user's consent, without a browser."""
        return AuthorizationCode(About("app", known, metadata_url), CustomRedirect(REDIRECT, self.consent))


def _claims(token: str) -> dict[str, Any]:
    import json

    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) if part else {}


def claims(token: str) -> dict[str, Any]:
    """What a JWT says, unchecked."""
    return _claims(token)


async def ask(url: str, auth: OAuth) -> HttpAnswer:
    """One request to the MCP server, and its answer."""
    endpoint = Endpoint(url, LaneCarrier(), auth=auth)
    try:
        answer = await soon(endpoint.send("POST", {}, lambda: b"{}"))
        await answer.close()
        return answer
    finally:
        await endpoint.close()


__all__ = ["REDIRECT", "Realm", "ask", "claims"]
