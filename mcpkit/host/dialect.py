"""What an endpoint of the chat completions format takes, as far as its refusals have told: nothing is asked beforehand.

What must never stand here: sending, what the user is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mcpkit.host.model import ChatMessage, ToolOffer
from mcpkit.host.reasoning import MEMBERS

NEWER_BOUND: Final = "max_completion_tokens"
"""What OpenAI tells who sends ``max_tokens`` to a model that reasons."""
_DEMANDS: Final = ("passed back", "missing", "required", "must include", "must be provided", "must be present")
_PLACE: Final = re.compile(r"(?:tools|functions?|function_declarations)(?:\[|\.|/|', )(\d+)")


@dataclass(slots=True)
class Dialect:
    """What an endpoint has turned out to take; each member is learnt from its refusal of the usual."""

    newer_bound: bool = False
    """It wants ``max_completion_tokens``, and a temperature of its own: a model that reasons."""
    usage_in_streams: bool = True
    """It takes ``stream_options``."""
    takes_reasoning: bool = True
    """It takes back what the model thought."""
    wants_reasoning: bool = False
    """It wants ``reasoning_content`` with every message of the assistant, even an empty one."""
    takes_images: bool = True

    def learn(self, said: str, messages: Sequence[ChatMessage]) -> bool:
        """Whether what an endpoint says of its refusal tells something new: then the request is worth another try."""
        words = said.lower()
        if NEWER_BOUND in words and not self.newer_bound:
            self.newer_bound = True
        elif "stream_options" in words and self.usage_in_streams:
            self.usage_in_streams = False
        elif any(name in words for name in (*MEMBERS, "thinking")) and self._reasoning(words, messages):
            pass
        elif "image" in words and self.takes_images and any(message.images for message in messages):
            self.takes_images = False
        else:
            return False
        return True

    def _reasoning(self, words: str, messages: Sequence[ChatMessage]) -> bool:
        demanded = any(demand in words for demand in _DEMANDS)
        if demanded and not self.wants_reasoning and self.takes_reasoning:
            self.wants_reasoning = any(message.role == "assistant" for message in messages)
            return self.wants_reasoning
        sent = self.wants_reasoning or any(message.reasoning and message.tool_calls for message in messages)
        if sent and not demanded and self.takes_reasoning:
            self.takes_reasoning = False
            return True
        return False


USUAL: Final = Dialect()


def tools_named(said: str, tools: Sequence[ToolOffer]) -> list[str]:
    """The tools that an endpoint's refusal speaks of, by their names or by their places in the request."""
    words = set(re.findall(r"[A-Za-z0-9_-]+", said))
    named = [tool.name for tool in tools if tool.name in words]
    places = {int(place[:6]) for place in _PLACE.findall(said)}
    return named or [tool.name for number, tool in enumerate(tools) if number in places]
