"""What the model is reminded of, kept within a bound: older results are shortened, older turns and rounds go.

It always stays one that a model's endpoint takes: a message that calls tools is followed by the result of each call, or
both are gone. Bytes are those of the request, images aside. What must never stand here: calling, showing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mcpkit.host.model import ChatMessage, ModelError, ToolOffer
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.messages import JsonObject

SHORT: Final = 1_000
"""Characters that are left of an older result."""
SHORTEST: Final = 100
MOST_IMAGE_BYTES: Final = 8 * 1024 * 1024
"""Of all images of a request, as they are sent; the newest come first."""
_ENVELOPE: Final = 64
"""Bytes around a message or a tool."""
CUT_MARK: Final = "… [shortened: {count} characters in all]"
IMAGE_GONE: Final = "[an image that was shown before]"


class History:
    """All turns of a conversation, each a list of messages that begins with the user's."""

    def __init__(self) -> None:
        self.turns: list[list[ChatMessage]] = []

    @property
    def messages(self) -> list[ChatMessage]:
        """All of it, oldest first."""
        return [message for turn in self.turns for message in turn]

    def fit(self, bound: int, tools: Sequence[ToolOffer], system: ChatMessage) -> set[str]:
        """Make room until a request is no larger than ``bound`` bytes; the notices that tell what was done.

        Raises: ModelError where what is left can't be made any smaller.
        """
        done: set[str] = set()
        self._limit_images()
        room = bound - size_of(system) - sum(map(_size_of_tool, tools))
        for step, notice in (
            (self._shorten_old_turns, "shortened"),
            (self._forget_oldest_turn, "forgotten"),
            (self._shorten_old_rounds, "shortened"),
            (self._forget_oldest_round, "forgotten"),
            (self._shorten_newest_round, "shortened"),
        ):
            while self._size() > room and step(room):
                done.add(notice)
        if self._size() > room:
            raise ModelError(
                f"The question and the {len(tools)} tools make a request of {bound - room + self._size()} bytes, more "
                f"than the {bound} of MCP_MODEL_REQUEST_BYTES: ask less, name fewer servers, or allow more"
            )
        return done

    def _size(self) -> int:
        return sum(map(size_of, self.messages))

    # ── steps, each of which says whether it has made any room ──────────────────────────────────────────────────────

    def _shorten_old_turns(self, room: int) -> bool:
        return any(_shorten_one(turn, len(turn), SHORT) for turn in self.turns[:-1])

    def _forget_oldest_turn(self, room: int) -> bool:
        if len(self.turns) < 2:
            return False
        del self.turns[0]
        return True

    def _shorten_old_rounds(self, room: int) -> bool:
        turn = self.turns[-1]
        rounds = _rounds(turn)
        return _shorten_one(turn, rounds[-1], SHORT) if len(rounds) > 1 else False

    def _forget_oldest_round(self, room: int) -> bool:
        turn = self.turns[-1]
        rounds = _rounds(turn)
        if len(rounds) < 2:
            return False
        del turn[rounds[0] : rounds[1]]
        return True

    def _shorten_newest_round(self, room: int) -> bool:
        """Its largest result, text of the model or argument of a call to half of what it was."""
        turn = self.turns[-1]
        numbers = [number for number, message in enumerate(turn) if message.role in {"tool", "assistant"}]
        largest = max(numbers, key=lambda number: _longest(turn[number]), default=None)
        if largest is None or _longest(turn[largest]) <= SHORTEST * 4:
            return False
        turn[largest] = _halved(turn[largest])
        return True

    def _limit_images(self) -> None:
        left = MOST_IMAGE_BYTES
        for turn in reversed(self.turns):
            for number, message in reversed([*enumerate(turn)]):
                left -= sum(len(image.data) for image in message.images)
                if message.images and left < 0:
                    turn[number] = replace(message, content=IMAGE_GONE, images=())


def size_of(message: ChatMessage) -> int:
    """Bytes of a message in a request, about."""
    size = len(encode(message.content)) + _ENVELOPE
    for call in message.tool_calls:
        size += len(encode([encode(call.arguments).decode(), call.name, call.id, call.extra])) + _ENVELOPE
    return size + (len(encode(message.reasoning)) if message.tool_calls else 0)


def _size_of_tool(tool: ToolOffer) -> int:
    return len(encode([tool.name, tool.description, tool.parameters])) + _ENVELOPE


def _rounds(turn: Sequence[ChatMessage]) -> list[int]:
    """Where the messages stand that call tools."""
    return [number for number, message in enumerate(turn) if message.tool_calls]


def _shorten_one(turn: list[ChatMessage], end: int, characters: int) -> bool:
    """Shorten the first long result before ``end``."""
    for number, message in enumerate(turn[:end]):
        if message.role == "tool" and len(message.content) > characters * 2:
            turn[number] = _shortened(message, characters)
            return True
    return False


def _shortened(message: ChatMessage, characters: int) -> ChatMessage:
    """The same result with the beginning of its text, still between its marks."""
    first, _, rest = message.content.partition("\n")
    inner, _, last = rest.rpartition("\n")
    return replace(message, content=f"{first}\n{_cut(inner, characters)}\n{last}")


def _cut(text: str, characters: int) -> str:
    """The beginning of a text, and how long it was before it was cut for the first time."""
    count = len(text)
    before, mark, said = text.rpartition("… [shortened: ")
    if mark and said.endswith("]"):  # the second time
        text, count = before, int(said.split()[0]) if said.split()[0].isdigit() else count
    return text[:characters] + CUT_MARK.format(count=count)


def _longest(message: ChatMessage) -> int:
    """Characters of what is longest in a message: its text, or the arguments of a call."""
    return max([len(message.content), *(_length(call.arguments) for call in message.tool_calls)])


def _length(arguments: JsonObject) -> int:
    return len(encode(arguments).decode()) if arguments else 0


def _halved(message: ChatMessage) -> ChatMessage:
    """The same message with half of what is longest in it."""
    if message.role == "tool":
        return _shortened(message, len(message.content) // 2)
    if len(message.content) == _longest(message):
        return replace(message, content=_cut(message.content, len(message.content) // 2))
    calls = list(message.tool_calls)
    largest = max(range(len(calls)), key=lambda number: _length(calls[number].arguments))
    calls[largest] = replace(calls[largest], arguments=_shortened_arguments(calls[largest].arguments))
    return replace(message, tool_calls=tuple(calls))


def _shortened_arguments(arguments: JsonObject) -> JsonObject:
    """The arguments of a call that was made, the longest of them half as long; what is no text, as that of its JSON."""
    texts = {name: value if isinstance(value, str) else encode(value).decode() for name, value in arguments.items()}
    name = max(texts, key=lambda one: len(texts[one]))
    if len(texts[name]) <= SHORTEST or len(name) > len(texts[name]):  # very many, or their names are long
        whole = encode(arguments).decode()
        return {"arguments": _cut(whole, len(whole) // 2)}
    return {**arguments, name: _cut(texts[name], len(texts[name]) // 2)}
