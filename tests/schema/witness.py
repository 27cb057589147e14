"""A witness of what a server says: every result, notification and question, held against its revision's schema.

It hangs in the kernel, so that it sees the last shape of everything on every transport. Where the official schemas are
absent it watches nothing and says so by skipping nothing: the tests that need them say it (official.py). What must
never stand here: a test's own expectation.
"""

from __future__ import annotations

from typing import Any

import orjson

from mcpkit import Server
from mcpkit.jsonrpc.messages import Encoded, JsonObject, Result
from mcpkit.kernel import Handler
from mcpkit.protocol.exchange import Channel, Exchange
from mcpkit.protocol.revisions.registry import REVISIONS
from tests.schema.official import FOLDER, faults

RESULTS = {
    "initialize": "InitializeResult",
    "server/discover": "DiscoverResult",
    "ping": "EmptyResult",
    "logging/setLevel": "EmptyResult",
    "resources/subscribe": "EmptyResult",
    "resources/unsubscribe": "EmptyResult",
    "tools/list": "ListToolsResult",
    "tools/call": "CallToolResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
    "prompts/list": "ListPromptsResult",
    "prompts/get": "GetPromptResult",
    "completion/complete": "CompleteResult",
    "subscriptions/listen": "SubscriptionsListenResult",
}
EXTENDED = {"task": None, "input_required": "InputRequiredResult"}
"""What a result that is not complete is called; a task is of an extension, which the core's schema doesn't know."""


class Witness:
    """What was wrong, one line each."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.seen = 0

    def watch(self, server: Server) -> None:
        """See everything that the server says from now on."""
        if FOLDER.is_dir():
            server.use(self._serve)

    async def _serve(self, exchange: Exchange, call: Handler) -> Result:
        revision = exchange.revision.name
        if revision not in REVISIONS:
            return await call(exchange)
        exchange.channel = _Overheard(exchange.channel, revision, self)
        result = await call(exchange)
        value = orjson.loads(bytes(result)) if isinstance(result, Encoded) else result
        definition = EXTENDED.get(value.get("resultType", ""), RESULTS.get(exchange.method))
        if definition is not None and "task" not in value:
            self.check(revision, definition, value, exchange.method)
        return result

    def check(self, revision: str, definition: str, value: Any, what: str) -> None:
        """Hold one value against its definition."""
        self.seen += 1
        plain = orjson.loads(orjson.dumps(value))
        self.faults += [f"{revision} {what}: {fault}" for fault in faults(revision, definition, plain)]


class _Overheard:
    """A channel whose words are checked on their way."""

    def __init__(self, channel: Channel, revision: str, witness: Witness) -> None:
        self._channel, self._revision, self._witness = channel, revision, witness

    async def notify(self, method: str, params: JsonObject) -> None:
        self._overhear({"jsonrpc": "2.0", "method": method, "params": params})
        await self._channel.notify(method, params)

    def offer(self, notification: bytes) -> bool:
        sent = self._channel.offer(notification)
        if sent:
            self._overhear(orjson.loads(notification))
        return sent

    def _overhear(self, message: JsonObject) -> None:
        if not message["method"].startswith("notifications/tasks"):
            self._witness.check(self._revision, "ServerNotification", message, message["method"])

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._witness.check(self._revision, "ServerRequest", message, method)
        return await self._channel.request(method, params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
