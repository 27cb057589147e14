"""What a client can be asked, as values: a form, a URL, a completion of its model, its roots.

What must never stand here: how a question travels (asking.py), which revision knows it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from mcpkit.features.errors import RegistrationError
from mcpkit.features.option_values import (
    Check,
    any_text,
    at_least,
    check_values,
    items,
    mapping,
    one_of,
    seconds,
    text,
    texts,
)
from mcpkit.features.tool_messages import check_tool_messages
from mcpkit.jsonrpc.messages import JsonObject

if TYPE_CHECKING:
    from mcpkit.features.forms import Form

ACTIONS = frozenset({"accept", "decline", "cancel"})


class Question(Protocol):
    """Something the client can be asked."""

    method: str

    def params(self) -> JsonObject:
        """The request's params."""

    def needs(self) -> JsonObject:
        """The client capabilities without which it must not be asked (CAP-04)."""

    def read(self, answer: JsonObject) -> Any:
        """The client's answer as a value.

        Raises: ValueError when the answer doesn't fit the question.
        """


@dataclass(frozen=True, slots=True)
class Elicitation:
    """What became of an elicitation; true exactly when it was accepted."""

    action: str
    """``accept``, ``decline`` or ``cancel``."""
    data: Any = None
    """The accepted value, in the type that was asked for."""

    def __bool__(self) -> bool:
        return self.action == "accept"


@dataclass(slots=True)
class Elicit:
    """Ask the user for a value by a form (spec client/elicitation).

    Raises: ValueError for a message that is no text.
    """

    message: str
    response_type: Any = str
    method: str = field(default="elicitation/create", init=False)
    _form: Form | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        _check("Elicit", {"message": self.message}, {"message": text}, ("message",))

    @property
    def form(self) -> Form:
        """The form, made once."""
        if self._form is None:
            from mcpkit.features.forms import Form  # noqa: PLC0415 - a server that asks nothing does without it

            self._form = Form.of(self.response_type)
        return self._form

    def params(self) -> JsonObject:
        """The request's params."""
        return {"mode": "form", "message": self.message, "requestedSchema": self.form.schema}

    def needs(self) -> JsonObject:
        """The client must know forms."""
        return {"elicitation": {"form": {}}}

    def read(self, answer: JsonObject) -> Elicitation:
        """The outcome, with the accepted value in the asked type.

        Raises: ValueError.
        """
        action = _action(answer)
        return Elicitation(action, self.form.read(answer.get("content")) if action == "accept" else None)


@dataclass(slots=True)
class ElicitUrl:
    """Ask the user to visit a URL: for secrets, payments and third parties' consent (spec client/elicitation).

    Raises: ValueError for what is no http(s) URL, or has a name or password in it (ELIC-20, ELIC-25).
    """

    message: str
    url: str
    elicitation_id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    method: str = field(default="elicitation/create", init=False)

    def __post_init__(self) -> None:
        given = {"message": self.message, "url": self.url, "elicitation_id": self.elicitation_id}
        _check("ElicitUrl", given, {"message": text, "url": any_text, "elicitation_id": text}, given)
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not self.url.isprintable() or " " in self.url:
            raise ValueError("the user is asked to open a web page: url must be an https:// address (or http://)")
        if "@" in parts.netloc:
            raise ValueError("url must not carry a name or a password: the client and its logs see it")

    def params(self) -> JsonObject:
        """The request's params; the id is for the revisions that know it."""
        return {"mode": "url", "message": self.message, "url": self.url, "elicitationId": self.elicitation_id}

    def needs(self) -> JsonObject:
        """The client must know URLs."""
        return {"elicitation": {"url": {}}}

    def read(self, answer: JsonObject) -> Elicitation:
        """Whether the user agreed to open it; not whether they finished there (ELIC-21).

        Raises: ValueError.
        """
        return Elicitation(_action(answer))


@dataclass(slots=True)
class Sample:
    """Ask the client's model (spec client/sampling). ``messages`` is one user text or a list of messages.

    Raises: ValueError for a value that can't be asked with.
    Asking raises ValueError when a tool's use in ``messages`` isn't followed by its result (SAMP-08).
    """

    messages: str | list[Any]
    max_tokens: int = 1024
    system_prompt: str | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    model_preferences: Any = None
    tools: list[JsonObject] | None = None
    tool_choice: str | JsonObject | None = None
    include_context: str | None = None
    metadata: JsonObject | None = None
    method: str = field(default="sampling/createMessage", init=False)

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in _SAMPLE}
        _check("Sample", given, _SAMPLE, ("messages", "max_tokens"))

    def params(self) -> JsonObject:
        """The request's params, without what was not given."""
        choice = {"mode": self.tool_choice} if isinstance(self.tool_choice, str) else self.tool_choice
        optional = {
            "systemPrompt": self.system_prompt,
            "temperature": self.temperature,
            "stopSequences": self.stop_sequences,
            "modelPreferences": _preferences(self.model_preferences),
            "tools": self.tools,
            "toolChoice": choice,
            "includeContext": self.include_context,
            "metadata": self.metadata,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        messages = _messages(self.messages)
        check_tool_messages(messages)
        return {"messages": messages, "maxTokens": self.max_tokens, **given}

    def needs(self) -> JsonObject:
        """The client must offer sampling, with tools where tools are given (SAMP-06)."""
        return {"sampling": {"tools": {}} if self.tools or self.tool_choice else {}}

    def read(self, answer: JsonObject) -> Sampled:
        """What the model said.

        Raises: ValueError.
        """
        content = answer.get("content")
        if not isinstance(content, dict | list) or not isinstance(answer.get("role"), str):
            raise ValueError("a sampling answer needs role and content")
        return Sampled(answer["role"], content, str(answer.get("model", "")), answer.get("stopReason"))


@dataclass(frozen=True, slots=True)
class Sampled:
    """A message of the client's model."""

    role: str
    content: Any
    """One content block, or a list of them."""
    model: str
    stop_reason: str | None = None

    @property
    def text(self) -> str:
        """The text blocks, joined."""
        blocks = self.content if isinstance(self.content, list) else [self.content]
        return "".join(block.get("text", "") for block in blocks if block.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Root:
    """A place that the client lets the server work in."""

    uri: str
    name: str | None = None


@dataclass(slots=True)
class ListRoots:
    """Ask which roots the client opens (spec client/roots)."""

    method: str = field(default="roots/list", init=False)

    def params(self) -> JsonObject:
        """There are none."""
        return {}

    def needs(self) -> JsonObject:
        """The client must offer roots."""
        return {"roots": {}}

    def read(self, answer: JsonObject) -> list[Root]:
        """The roots.

        Raises: ValueError.
        """
        roots = answer.get("roots")
        if not isinstance(roots, list) or not all(isinstance(r, dict) and isinstance(r.get("uri"), str) for r in roots):
            raise ValueError("a roots answer needs a list of roots, each with a uri")
        return [Root(root["uri"], root.get("name")) for root in roots]


def _check(what: str, given: Mapping[str, Any], checks: Mapping[str, Check], required: Collection[str]) -> None:
    try:
        check_values(what, given, checks, required)
    except RegistrationError as error:  # it is asked while serving: nothing is registered here
        raise ValueError(str(error)) from None


def _messages_given(value: Any) -> str | None:
    fine = isinstance(value, str | list | tuple) and len(value) > 0
    return None if fine else "a text, or a list of messages"


def _temperature(value: Any) -> str | None:
    return None if seconds(value) is None else "a number, 0 or more"


def _choice(value: Any) -> str | None:
    fine = isinstance(value, Mapping) or value in ("auto", "required", "none")
    return None if fine else "'auto', 'required' or 'none'"


_SAMPLE: Final[Mapping[str, Check]] = {
    "messages": _messages_given,
    "max_tokens": at_least(1),
    "system_prompt": any_text,
    "temperature": _temperature,
    "stop_sequences": texts,
    "tools": items,
    "tool_choice": _choice,
    "include_context": one_of("none", "thisServer", "allServers"),
    "metadata": mapping,
}
"""What a request for sampling may say."""


def _action(answer: JsonObject) -> str:
    action = answer.get("action")
    if action not in ACTIONS:
        raise ValueError("an elicitation answer needs an action: accept, decline or cancel")
    return str(action)


def _preferences(value: Any) -> Any:
    """A model's name, or a list of names, is short for hints."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list):
        return {"hints": [{"name": hint} if isinstance(hint, str) else hint for hint in value]}
    return value


def _messages(messages: str | list[Any]) -> list[JsonObject]:
    entries = [messages] if isinstance(messages, str) else messages
    return [
        {"role": "user", "content": {"type": "text", "text": entry}} if isinstance(entry, str) else _wire(entry)
        for entry in entries
    ]


def _wire(message: Any) -> JsonObject:
    to_wire = getattr(message, "to_wire", None)
    return to_wire() if to_wire else message  # type: ignore[no-any-return]  # the author's own dict
