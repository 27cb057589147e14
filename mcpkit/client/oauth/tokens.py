"""Tokens and client registrations, and where they are kept: by issuer, so that none is ever shown to another (REG-06).

What must never stand here: how they are come by.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.jsonrpc.messages import JsonObject

_LEEWAY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave."""

    access_token: str
    token_type: str = "Bearer"
    refresh_token: str | None = None
    expires_at: float | None = None
    """Unix time; None where it was not said."""
    scopes: tuple[str, ...] = ()
    """Asked for or granted; what a step-up adds to (STEP-06)."""

    @property
    def expired(self) -> bool:
        """It is over, or will be before an answer comes."""
        return self.expires_at is not None and time.time() > self.expires_at - _LEEWAY_SECONDS

    def __repr__(self) -> str:
        return f"Tokens({self.token_type}, …)"

    @classmethod
    def parse(cls, answer: JsonObject, asked: tuple[str, ...]) -> Tokens:
        """The tokens in a token endpoint's answer.

        Raises: AuthorizationFailed when there are none.
        """
        token, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
        if not isinstance(token, str) or not _sendable(token):
            raise AuthorizationFailed("the authorization server gave no access token")
        if not isinstance(kind, str) or kind.lower() not in {"bearer", "dpop"}:
            raise AuthorizationFailed("the authorization server gave a token of a kind this client can't use")
        seconds, refresh, scope = answer.get("expires_in"), answer.get("refresh_token"), answer.get("scope")
        known = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        return cls(
            token,
            "DPoP" if kind.lower() == "dpop" else "Bearer",
            refresh if isinstance(refresh, str) else None,
            time.time() + float(seconds) if known and seconds is not None else None,
            tuple(dict.fromkeys((*asked, *(scope.split() if isinstance(scope, str) else ())))),
        )

    def renewed(self, newer: Tokens) -> Tokens:
        """After a refresh: a server that gives no new refresh token means the old one."""
        return newer if newer.refresh_token is not None else replace(newer, refresh_token=self.refresh_token)


@dataclass(frozen=True, slots=True)
class Registration:
    """Who the client is to one issuer."""

    client_id: str
    client_secret: str | None = None
    auth_method: str | None = None
    """How it authenticates; None lets the issuer's metadata decide."""
    issuer: str | None = None
    """The only one that it may be shown to; None for a metadata document, which any issuer may read."""
    redirect_uri: str | None = None
    """What it was registered with; another one needs another registration."""

    def __repr__(self) -> str:
        return f"Registration({self.client_id!r}, …)"


class TokenStore(Protocol):
    """Keeps JSON objects by key; must keep them from others' eyes (TOK-11)."""

    async def load(self, key: str) -> JsonObject | None:
        """What is kept, if anything."""

    async def save(self, key: str, value: JsonObject) -> None:
        """Keep it."""

    async def remove(self, key: str) -> None:
        """Forget it."""


class MemoryStore:
    """Keeps until the process ends."""

    def __init__(self) -> None:
        self._kept: dict[str, JsonObject] = {}

    async def load(self, key: str) -> JsonObject | None:
        """What is kept, if anything."""
        return self._kept.get(key)

    async def save(self, key: str, value: JsonObject) -> None:
        """Keep it."""
        self._kept[key] = value

    async def remove(self, key: str) -> None:
        """Forget it."""
        self._kept.pop(key, None)


class FileStore:
    """Keeps in one file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = asyncio.Lock()

    async def load(self, key: str) -> JsonObject | None:
        """What is kept, if anything."""
        found = (await asyncio.to_thread(self._read)).get(key)
        return found if isinstance(found, dict) else None

    async def save(self, key: str, value: JsonObject) -> None:
        """Keep it."""
        async with self._writing:
            await asyncio.to_thread(self._write, key, value)

    async def remove(self, key: str) -> None:
        """Forget it."""
        async with self._writing:
            await asyncio.to_thread(self._write, key, None)

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, key: str, value: JsonObject | None) -> None:
        kept = {name: member for name, member in {**self._read(), key: value}.items() if member is not None}
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=self._path.parent)  # only its owner can read what mkstemp makes
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file)
            os.replace(name, self._path)
        except BaseException:
            os.unlink(name)
            raise


class Vault:
    """The store, by what is kept in it, for one MCP server."""

    def __init__(self, store: TokenStore, server_url: str) -> None:
        self._store = store
        self._server = server_url

    async def registration(self, issuer: str) -> Registration | None:
        """Who the client is to this issuer."""
        kept = await self._store.load(f"client {issuer}")
        return Registration(**kept) if kept is not None else None

    async def keep_registration(self, issuer: str, registration: Registration) -> None:
        """The client has been registered."""
        await self._store.save(f"client {issuer}", asdict(registration))

    async def forget_registration(self, issuer: str) -> None:
        """The issuer no longer knows the client."""
        await self._store.remove(f"client {issuer}")

    async def tokens(self, issuer: str) -> Tokens | None:
        """This issuer's tokens for the server."""
        kept = await self._store.load(f"tokens {issuer} {self._server}")
        return Tokens(**{**kept, "scopes": tuple(kept.get("scopes", ()))}) if kept is not None else None

    async def keep_tokens(self, issuer: str, tokens: Tokens) -> None:
        """There are tokens, and this is who gives them out for the server."""
        await self._store.save(f"tokens {issuer} {self._server}", asdict(tokens))
        await self._store.save(f"issuer {self._server}", {"issuer": issuer})

    async def forget_tokens(self, issuer: str) -> None:
        """They are worth nothing any more."""
        await self._store.remove(f"tokens {issuer} {self._server}")

    async def issuer(self) -> str | None:
        """Who gave out tokens for the server last."""
        kept = await self._store.load(f"issuer {self._server}")
        return str(kept["issuer"]) if kept is not None and "issuer" in kept else None


def _sendable(token: str) -> bool:
    """It can stand in a header."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
