"""Exchanges for tests: one request under any revision, with a channel that remembers what was said.

What must never stand here: a transport.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcpkit.jsonrpc.messages import Id, JsonObject
from mcpkit.protocol.exchange import Client, Exchange, SessionState
from mcpkit.protocol.revisions.registry import NEWEST, PLAIN, REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal

EVERYTHING: Mapping[str, Any] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}},
    "roots": {},
}
ALL = {**REVISIONS, "": PLAIN}


class Recorder:
    """A channel that keeps every notification, and answers requests by ``reply``."""

    def __init__(self, reply: Callable[[str, JsonObject], JsonObject] | None = None) -> None:
        self.said: list[tuple[str, JsonObject]] = []
        self.asked: list[tuple[str, JsonObject]] = []
        self.hung_up = False
        self._reply = reply

    async def notify(self, method: str, params: JsonObject) -> None:
        self.said.append((method, params))

    def offer(self, notification: bytes) -> bool:
        return False

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        self.asked.append((method, params))
        assert self._reply is not None, f"nobody expected to be asked {method}"
        return self._reply(method, params)

    def close_stream(self, retry_ms: int | None = None) -> None:
        self.said.append(("close_stream", {"retry": retry_ms}))

    def hang_up(self) -> None:
        self.hung_up = True


class Remembered:
    """A handshake session as features see it."""

    def __init__(self) -> None:
        self.id = "session-1"
        self.log_level: str | None = None
        self.subscriptions: frozenset[str] = frozenset()
        self.elicitations: tuple[str, ...] = ()

    async def watch(self, uri: str) -> None:
        self.subscriptions |= {uri}

    def unwatch(self, uri: str) -> None:
        self.subscriptions -= {uri}


def exchange(
    method: str,
    params: JsonObject | None = None,
    *,
    revision: Revision | str = NEWEST,
    id: Id | None = 1,
    capabilities: Mapping[str, Any] = EVERYTHING,
    channel: Recorder | None = None,
    principal: Principal | None = None,
    session: SessionState | None = None,
    log_level: str | None = None,
) -> Exchange:
    """One request, ready to be served."""
    return Exchange(
        id=id,
        method=method,
        params=params or {},
        revision=ALL[revision] if isinstance(revision, str) else revision,
        channel=channel or Recorder(),
        client=Client({"name": "tester", "version": "1"}, capabilities),
        principal=principal,
        session=session,
        log_level=log_level,
    )
