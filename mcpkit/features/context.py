"""The context: what a running tool, resource or prompt sees of its caller, and how it talks back.

It wraps one exchange and the few services of the server. What must never stand here: the server itself, a
transport, a framework's request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mcpkit.features.asking import Answers, ask, ask_all, settled
from mcpkit.features.logging import log
from mcpkit.features.questions import Elicit, Elicitation, ElicitUrl, ListRoots, Question, Root, Sample, Sampled
from mcpkit.jsonrpc.messages import Id, JsonObject
from mcpkit.protocol.changes import PROMPTS_CHANGED, RESOURCES_CHANGED, TOOLS_CHANGED, ChangeFeed, Notice
from mcpkit.protocol.exchange import Client, Exchange
from mcpkit.protocol.revisions.revision import Asks
from mcpkit.security.principal import Principal


@dataclass(slots=True)
class Services:
    """What the server lends to its contexts."""

    changes: ChangeFeed
    read_resource: Callable[[Exchange, str], Awaitable[JsonObject]]
    lifespan: Any = field(default_factory=dict)
    """What the server's lifespan yielded; an empty dict where it yielded nothing."""


class Context:
    """Give a parameter this type and it receives the context of the call; it never shows in the schema."""

    __mcp_context__: ClassVar[bool] = True
    __slots__ = ("_last_progress", "_services", "exchange")

    def __init__(self, exchange: Exchange, services: Services) -> None:
        self.exchange = exchange
        """The request being served, as data."""
        self._services = services
        self._last_progress: float | None = None

    # ── who asks ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def request_id(self) -> Id | None:
        """The JSON-RPC id of the request."""
        return self.exchange.id

    @property
    def protocol_version(self) -> str:
        """The revision in force for this request; empty for plain JSON-RPC."""
        return self.exchange.revision.name

    @property
    def client(self) -> Client:
        """What the client says of itself; never a basis for trust."""
        return self.exchange.client

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the client declared for this request or session."""
        return self.exchange.client.capabilities

    @property
    def principal(self) -> Principal | None:
        """The authenticated caller, if the server authenticates."""
        return self.exchange.principal

    @property
    def session_id(self) -> str | None:
        """The handshake session's id; None for stateless and plain calls."""
        return self.exchange.session.id if self.exchange.session else None

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP header fields, names in lower case; empty where there is no HTTP."""
        return self.exchange.headers

    @property
    def meta(self) -> Mapping[str, Any]:
        """The request's ``_meta``."""
        meta = self.exchange.params.get("_meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def lifespan_context(self) -> Any:
        """What the server's lifespan yielded, a dict or any other object; an empty dict where it yielded nothing."""
        return self._services.lifespan

    # ── talking while working ────────────────────────────────────────────────────────────────────────────────────

    async def report_progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the work is; silent without the caller's token, and for values that don't grow (PROG-02)."""
        meta = self.exchange.params.get("_meta")
        token = meta.get("progressToken") if type(meta) is dict else None
        if type(token) not in (str, int) or (self._last_progress is not None and progress <= self._last_progress):
            return
        self._last_progress = progress
        params: JsonObject = {"progressToken": token, "progress": progress}
        if total is not None:
            params["total"] = total
        if message is not None:
            params["message"] = message
        await self.exchange.notify("notifications/progress", params)

    async def log(self, level: str, data: Any, *, logger: str | None = None) -> None:
        """Send any JSON value as a log message, if the caller wants to hear that level (LOG-02, LOG-03)."""
        await log(self.exchange, level, data, logger)

    async def debug(self, data: Any, *, logger: str | None = None) -> None:
        """Log at ``debug``."""
        await self.log("debug", data, logger=logger)

    async def info(self, data: Any, *, logger: str | None = None) -> None:
        """Log at ``info``."""
        await self.log("info", data, logger=logger)

    async def warning(self, data: Any, *, logger: str | None = None) -> None:
        """Log at ``warning``."""
        await self.log("warning", data, logger=logger)

    async def error(self, data: Any, *, logger: str | None = None) -> None:
        """Log at ``error``."""
        await self.log("error", data, logger=logger)

    def close_sse_stream(self, retry_ms: int | None = None) -> None:
        """End this call's HTTP stream, not the call: the client polls for the rest where its revision can."""
        self.exchange.channel.close_stream(retry_ms)

    # ── asking the client ────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, questions: Mapping[str, Question]) -> dict[str, Any]:
        """Ask several questions in one round; answers come under the same keys.

        Raises: NoBackChannel, MissingClientCapability, RpcError, ValueError.
        """
        return await ask_all(self.exchange, questions)

    async def elicit(
        self, message: str, response_type: Any = str, *, schema: Any = None, key: str | None = None
    ) -> Elicitation:
        """Ask the user by a form for a value of ``response_type`` (``schema`` is another name for it).

        The result is true when accepted, and carries the value as ``data``. Where the revision asks by result the
        handler runs again from its start with the answer: ask first, act after, or guard effects with :meth:`once`.
        Raises: TypeError when both names are used.
        """
        if schema is not None and response_type is not str:
            raise TypeError("elicit() was given both response_type and schema, two names of one thing: leave one out")
        answer = await ask(self.exchange, Elicit(message, response_type if schema is None else schema), key)
        assert isinstance(answer, Elicitation)
        return answer

    async def elicit_url(self, message: str, url: str, *, id: str | None = None, key: str | None = None) -> Elicitation:
        """Ask the user to open ``url``; accepted means they agreed to, not that they finished there.

        When they have, say so by :meth:`Server.elicitation_complete` with the ``id``, which must not be guessable.
        Raises: ValueError when ``url`` is no web page's.
        """
        answer = await ask(self.exchange, ElicitUrl(message, url, id) if id else ElicitUrl(message, url), key)
        assert isinstance(answer, Elicitation)
        return answer

    async def sample(self, messages: str | list[Any], *, key: str | None = None, **options: Any) -> Sampled:
        """Ask the client's model; ``options`` are the fields of :class:`~mcpkit.features.questions.Sample`."""
        answer = await ask(self.exchange, Sample(messages, **options), key)
        assert isinstance(answer, Sampled)
        return answer

    async def list_roots(self, *, key: str | None = None) -> list[Root]:
        """Ask which roots the client opens."""
        roots: list[Root] = await ask(self.exchange, ListRoots(), key)
        return roots

    async def once(self, key: str, effect: Callable[[], Any]) -> Any:
        """Run ``effect`` (sync or async, with a JSON result) once per call, however often the handler runs again."""
        if self.exchange.revision.asks is Asks.INPUT_REQUIRED:
            return await Answers.of(self.exchange).once(key, effect)
        return await settled(effect())

    @property
    def input_responses(self) -> Mapping[str, Any]:
        """Every answer that came so far, by key, as the client sent it (the returned form's way to read them)."""
        return Answers.of(self.exchange).all

    @property
    def request_state(self) -> Any:
        """The ``state`` that the returned form put away in the round before."""
        return Answers.of(self.exchange).state

    # ── the server's other features ──────────────────────────────────────────────────────────────────────────────

    async def read_resource(self, uri: str) -> list[JsonObject]:
        """The contents of one of this server's resources.

        Raises: RpcError.
        """
        result = await self._services.read_resource(self.exchange, uri)
        return list(result["contents"])

    def notify_tools_changed(self) -> None:
        """Tell everyone who listens that the list of tools changed (adding and removing tools tells it by itself)."""
        self._services.changes.publish(Notice(TOOLS_CHANGED))

    def notify_prompts_changed(self) -> None:
        """Tell everyone who listens that the list of prompts changed."""
        self._services.changes.publish(Notice(PROMPTS_CHANGED))

    def notify_resources_changed(self) -> None:
        """Tell everyone who listens that the list of resources changed."""
        self._services.changes.publish(Notice(RESOURCES_CHANGED))

    def notify_resource_updated(self, uri: str) -> None:
        """Tell everyone who watches ``uri`` that its contents changed."""
        self._services.changes.publish(Notice.updated(uri))
