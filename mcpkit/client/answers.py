"""What the client answers when the server asks it: elicitation, sampling, roots, ping.

One place for both ways of asking: the server's own requests of the handshake revisions and the input requests of the
newest. Handlers are plain functions, sync or async. What must never stand here: how a question arrived, consent dialogs
(the handlers' job).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from mcpkit.client.background import log
from mcpkit.client.display import clean
from mcpkit.client.errors import InputUnavailable
from mcpkit.client.schemas import UncheckableSchema, UnusableSchema, problems
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, MethodNotFound, RpcError
from mcpkit.jsonrpc.messages import JsonObject

REJECTED_BY_USER = -1
"""The code of a refused sampling request (SAMP-11)."""


@dataclass(frozen=True, slots=True)
class Elicitation:
    """The server wants to know something from the user, or (``mode`` "url") wants the user to open a page."""

    server: str
    """Who asks, to be shown to the user (ELIC-07)."""
    message: str
    schema: JsonObject
    mode: str
    url: str | None
    params: JsonObject

    def defaults(self) -> JsonObject:
        """The default of every field that has one (ELIC-15)."""
        properties = self.schema.get("properties")
        fields = properties.items() if isinstance(properties, dict) else ()
        return {name: field["default"] for name, field in fields if isinstance(field, dict) and "default" in field}


@dataclass(frozen=True, slots=True)
class Sampling:
    """The server wants the client's model to write something; ``params`` is all of what it says."""

    server: str
    messages: list[JsonObject]
    max_tokens: int
    params: JsonObject


Choice: TypeAlias = Literal["accept", "decline", "cancel"]
ElicitationAnswer: TypeAlias = JsonObject | bool | Choice | None
"""The form's content; True or "accept" for the defaults (or the page opened); False or "decline"; None or "cancel"."""
SamplingAnswer: TypeAlias = JsonObject | str | None
"""A CreateMessageResult, or just the text; None refuses."""
Root: TypeAlias = str | Path | JsonObject

ElicitationHandler: TypeAlias = Callable[[Elicitation], ElicitationAnswer | Awaitable[ElicitationAnswer]]
SamplingHandler: TypeAlias = Callable[[Sampling], SamplingAnswer | Awaitable[SamplingAnswer]]
Roots: TypeAlias = Sequence[Root] | Callable[[], Sequence[Root] | Awaitable[Sequence[Root]]]


@dataclass(slots=True)
class Answers:
    """The handlers, and what they let the client declare."""

    elicitation: ElicitationHandler | None = None
    elicitation_url: ElicitationHandler | None = None
    sampling: SamplingHandler | None = None
    sampling_tools: bool = False
    roots: Roots | None = None
    server: str = "the server"

    def capabilities(self) -> JsonObject:
        """What may be asked, by the newest names (CAP-02, CAP-03)."""
        declared: JsonObject = {}
        modes = {"form": self.elicitation, "url": self.elicitation_url}
        if any(modes.values()):
            declared["elicitation"] = {mode: {} for mode, handler in modes.items() if handler is not None}
        if self.sampling is not None:
            declared["sampling"] = {"tools": {}} if self.sampling_tools else {}
        if self.roots is not None:
            declared["roots"] = {"listChanged": True}
        return declared

    async def answer(self, method: str, params: JsonObject) -> JsonObject:
        """The result to answer with.

        Raises: RpcError to answer instead; InputUnavailable when no handler provides what is asked for.
        """
        match method:
            case "ping":
                return {}
            case "elicitation/create":
                return await self._elicit(params)
            case "sampling/createMessage":
                return await self._sample(params)
            case "roots/list":
                return await self._list_roots()
        raise MethodNotFound(method)

    async def _elicit(self, params: JsonObject) -> JsonObject:
        mode, schema, url = params.get("mode", "form"), params.get("requestedSchema", {}), params.get("url")
        handler = self.elicitation if mode == "form" else self.elicitation_url if mode == "url" else None
        if handler is None:
            none = self.elicitation is None and self.elicitation_url is None
            raise InputUnavailable(
                f"the server asks for elicitation in {mode!r} mode, for which there is no handler",
                MethodNotFound("elicitation/create") if none else InvalidParams(f"mode {mode!r} was not declared"),
            )
        if not _is_form(schema) or not isinstance(params.get("message"), str):
            raise InvalidParams("an elicitation needs a message and, as a form, an object schema")
        if mode == "url" and not _web_page(url):
            raise InvalidParams("the url of an elicitation must be an http or https page")
        asked = Elicitation(self.server, params["message"], schema, mode, url, params)
        return _elicited(asked, await _called(handler, asked))

    async def _sample(self, params: JsonObject) -> JsonObject:
        if self.sampling is None:
            raise InputUnavailable(
                "the server asks for sampling, for which there is no handler", MethodNotFound("sampling/createMessage")
            )
        messages, most = params.get("messages"), params.get("maxTokens")
        if not isinstance(messages, list) or not isinstance(most, int):
            raise InvalidParams("sampling needs messages and maxTokens")
        if ("tools" in params or "toolChoice" in params) and not self.sampling_tools:
            raise InvalidParams("this client did not declare tools in sampling")  # SAMP-06
        answer = await _called(self.sampling, Sampling(self.server, messages, most, params))
        if answer is None:
            raise RpcError(REJECTED_BY_USER, "the user rejected the sampling request")
        if isinstance(answer, str):
            return {"role": "assistant", "content": {"type": "text", "text": answer}, "model": "unknown"}
        return dict(answer)

    async def _list_roots(self) -> JsonObject:
        if self.roots is None:
            raise InputUnavailable("the server asks for roots, of which there are none", MethodNotFound("roots/list"))
        roots = await _called(self.roots) if callable(self.roots) else self.roots
        return {"roots": [_root(root) for root in roots]}


def refusal(error: Exception) -> RpcError:
    """How a question that could not be answered is refused on the wire."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, InputUnavailable):
        return error.refusal
    log.error("a handler failed", exc_info=error)
    return InternalError()


def _elicited(asked: Elicitation, answer: ElicitationAnswer) -> JsonObject:
    if answer is None or answer == "cancel":
        return {"action": "cancel"}
    if answer is False or answer == "decline":
        return {"action": "decline"}
    if asked.mode == "url":
        return {"action": "accept"}  # ELIC-21
    content = {**asked.defaults(), **(answer if isinstance(answer, Mapping) else {})}
    try:
        wrong = problems(asked.schema, content)
    except UncheckableSchema as error:
        log.warning("the answer to %s is not checked against its form: %s", clean(asked.server, 100), error)
        wrong = []
    except UnusableSchema as error:
        raise InvalidParams(str(error)) from None
    if wrong:
        raise InvalidParams(f"the answer does not fit the form: {wrong[0]}")  # ELIC-14
    return {"action": "accept", "content": content}


def _root(root: Root) -> JsonObject:
    if isinstance(root, Mapping):
        return dict(root)
    if isinstance(root, str) and root.startswith("file://"):
        return {"uri": root}
    path = Path(root).resolve()
    return {"uri": path.as_uri(), "name": path.name}


def _is_form(schema: Any) -> bool:
    """An object schema whose fields and list of required ones are what a handler may take for granted."""
    if not isinstance(schema, dict):
        return False
    fields, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(fields, dict) or not isinstance(required, list):
        return False
    return all(isinstance(field, dict) for field in fields.values()) and all(isinstance(name, str) for name in required)


def _web_page(url: Any) -> bool:
    try:
        return isinstance(url, str) and urlsplit(url).scheme in {"http", "https"} and bool(urlsplit(url).hostname)
    except ValueError:
        return False


async def _called(handler: Callable[..., Any], *arguments: Any) -> Any:
    answer = handler(*arguments)
    return await answer if inspect.isawaitable(answer) else answer
