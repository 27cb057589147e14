"""A language model as the host sees it: messages and tools in; text, tool calls and token counts out.

What must never stand here: HTTP, a vendor's field names, which model is used.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.jsonrpc.messages import JsonObject

_CUT_SHORT: Final = re.compile(
    "length|max_?(output_)?tokens|filter|safety|recitation|prohibited|blocklist|spii|sensitive|malformed|refus"
    "|insufficient|error|abort|cancel|timeout|incomplete"
)
"""Words in the reasons to finish, of all endpoints, that are no end of the answer."""


def is_cut_short(finish_reason: str) -> bool:
    """Whether an endpoint that gives this reason stopped the model before it had said everything."""
    return _CUT_SHORT.search(finish_reason.lower()) is not None


class ModelError(McpKitError):
    """The model gave no usable answer. The text may be shown to anyone: it holds no key and nothing upstream said."""

    def __init__(self, message: str, *, retryable: bool = False, said: str = "") -> None:
        super().__init__(message)
        self.retryable = retryable
        """Whether the same question may well be answered later."""
        self.said = said
        """What the endpoint said itself, safe on a terminal and without the key: for the eyes of who set it up only."""


class ModelDenied(ModelError):
    """The model's endpoint does not accept the key."""


class ToolsRefused(ModelError):
    """The model's endpoint refuses the definitions of some tools; without them it may well answer."""

    def __init__(self, names: Sequence[str], *, said: str = "") -> None:
        super().__init__(f"The model's endpoint refuses the tools {', '.join(names)}", said=said)
        self.names = tuple(names)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool called. ``fault`` says why it can't be, as when its arguments are no JSON."""

    id: str
    name: str
    arguments: JsonObject
    fault: str | None = None
    extra: JsonObject = field(default_factory=dict)
    """Members that the endpoint wants back as they came, such as a signature of the thought behind the call."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for models that see; ``data`` is base64."""

    mime_type: str
    data: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of the conversation; ``tool_call_id`` says which call a message of role "tool" answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[Image, ...] = ()
    reasoning: JsonObject = field(default_factory=dict)
    """What an assistant thought, by the names of the endpoint's members."""


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that the model may call; ``parameters`` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the model's endpoint counts them; zeros where it does not."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer; ``model`` is the model that gave it, by the endpoint's own word."""

    content: str
    model: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    finish_reason: str = "stop"
    reasoning: JsonObject = field(default_factory=dict)
    """What the model thought before, as ChatMessage has it."""

    @property
    def cut(self) -> bool:
        """The endpoint stopped the model before it had said everything."""
        return is_cut_short(self.finish_reason)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to answer; None leaves it to the model's endpoint."""

    max_tokens: int | None = None
    temperature: float | None = None
    stop: tuple[str, ...] = ()


class Model(Protocol):
    """Anything that answers a conversation."""

    async def complete(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = ...
    ) -> Completion:
        """The whole answer at once.

        Raises: ModelError.
        """

    def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = ...
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of the text as they come; the last item is the whole answer as a Completion.

        Raises: ModelError, also after some pieces were given.
        """

    async def close(self) -> None:
        """Give up what is held: connections."""
