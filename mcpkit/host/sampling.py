"""Servers' sampling requests, answered by the chat's own model, with the user's consent.

What must never stand here: how a request arrives or is answered on the wire (mcpkit/client).
"""

from __future__ import annotations

from typing import Any, Final

from mcpkit.client.answers import Sampling, SamplingAnswer
from mcpkit.client.deadline import paused
from mcpkit.client.display import clean
from mcpkit.host.decisions import Ask, decide
from mcpkit.host.model import ChatMessage, Model, ModelError, Wishes
from mcpkit.host.words import Speech
from mcpkit.jsonrpc.errors import InternalError, InvalidParams
from mcpkit.jsonrpc.messages import JsonObject

MOST_TOKENS: Final = 4_096
MOST_CHARACTERS: Final = 100_000
SHOWN: Final = 400
STOP_REASONS: Final = {"stop": "endTurn", "length": "maxTokens"}


class Sampler:
    """The sampling handler of every client of a chat; ``ask`` None allows everything."""

    def __init__(self, model: Model, speech: Speech, ask: Ask | None) -> None:
        self._model = model
        self._speech = speech
        self._ask = ask

    async def __call__(self, asked: Sampling) -> SamplingAnswer:
        """What the model answers; None when the user does not allow it (SAMP-11)."""
        messages = messages_of(asked.params)
        if not await self._allowed(asked, messages):
            return None
        try:
            answer = await self._model.complete(messages, wishes=wishes_of(asked.params))
        except ModelError as error:
            raise InternalError(str(error)) from None
        return {
            "role": "assistant",
            "content": {"type": "text", "text": answer.content},
            "model": answer.model,
            "stopReason": STOP_REASONS.get(answer.finish_reason, answer.finish_reason),
        }

    async def _allowed(self, asked: Sampling, messages: list[ChatMessage]) -> bool:
        if self._ask is None:
            return True
        said = " / ".join(clean(message.content, SHOWN) for message in messages if message.role != "assistant")
        with paused():
            question = self._speech("sampling", server=clean(asked.server, 80), text=clean(said, SHOWN))
            return await decide(self._ask, self._speech, question) == "yes"


def messages_of(params: JsonObject) -> list[ChatMessage]:
    """The conversation that a server wants continued.

    Raises: InvalidParams for what is no text, or too much of it.
    """
    messages = [_message(one) for one in params.get("messages", [])]
    system = params.get("systemPrompt")
    if isinstance(system, str) and system:
        messages.insert(0, ChatMessage("system", system))
    if sum(len(message.content) for message in messages) > MOST_CHARACTERS:
        raise InvalidParams(f"more than {MOST_CHARACTERS} characters are too many")
    return messages


def wishes_of(params: JsonObject) -> Wishes:
    """How the server wants it answered, within bounds."""
    most, warmth, stop = (params.get(name) for name in ("maxTokens", "temperature", "stopSequences"))
    return Wishes(
        min(most, MOST_TOKENS) if isinstance(most, int) and most > 0 else MOST_TOKENS,
        float(warmth) if isinstance(warmth, int | float) and 0 <= warmth <= 2 else None,
        tuple(word for word in stop if isinstance(word, str))[:4] if isinstance(stop, list) else (),
    )


def _message(given: Any) -> ChatMessage:
    role = given.get("role") if isinstance(given, dict) else None
    if role not in ("user", "assistant"):
        raise InvalidParams("a message needs the role user or assistant")
    content = given.get("content")
    blocks = content if isinstance(content, list) else [content]
    texts = [block["text"] for block in blocks if isinstance(block, dict) and isinstance(block.get("text"), str)]
    if len(texts) != len(blocks):
        raise InvalidParams("this client's model reads text only")
    return ChatMessage(role, "\n".join(texts))
