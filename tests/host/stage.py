"""A conversation's surroundings for tests: a model that says what it is told, a show that remembers. Never a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from mcpkit.host.fleet import Member
from mcpkit.host.model import ChatMessage, Completion, ModelError, ToolCall, ToolOffer, Wishes

NO_WISHES = Wishes()


def calls(*named: tuple[str, dict[str, Any]]) -> Completion:
    """An answer that calls tools."""
    made = tuple(ToolCall(f"call_{number}", name, arguments) for number, (name, arguments) in enumerate(named))
    return Completion("", "m", made)


class Scripted:
    """A model by a list of answers: text, a Completion, or an error."""

    def __init__(self, *answers: str | Completion | ModelError | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[list[ChatMessage], list[ToolOffer], Wishes]] = []
        self.waiting = asyncio.Event()

    async def complete(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = NO_WISHES
    ) -> Completion:
        self.asked.append((list(messages), list(tools), wishes))
        answer = self.answers.pop(0)
        if answer is None:  # it never answers
            self.waiting.set()
            await asyncio.Event().wait()
        if isinstance(answer, ModelError):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(str(answer), "m")

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = NO_WISHES
    ) -> AsyncGenerator[str | Completion, None]:
        whole = await self.complete(messages, tools=tools, wishes=wishes)
        for word in whole.content.split(" ") if whole.content else ():
            yield word
        yield whole

    async def close(self) -> None:
        """There is nothing to close."""


class Remembering:
    """A show whose lines are kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def text(self, piece: str) -> None:
        self.lines.append(f"text {piece}")

    def text_ends(self, whole: str) -> None:
        self.lines.append(f"said {whole}")

    def calling(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.lines.append(f"call {name} {dict(arguments)}")

    def result(self, name: str, text: str, *, failed: bool, alone: bool) -> None:
        self.lines.append(f"{'failed' if failed else 'result'} {name} {text}{'' if alone else ' +'}")

    def server(self, member: Member) -> None:
        self.lines.append(f"server {member.prefix} {member.state.value}")

    def notice(self, key: str, **values: object) -> None:
        self.lines.append(" ".join(["notice", key, *map(str, values.values())]))

    def listing(self, kind: str, rows: list[dict[str, str]]) -> None:
        self.lines += [f"{kind} {' '.join(row.values())}".rstrip() for row in rows]


class Asking:
    """A user by a list of answers."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, question: str) -> str | None:
        self.asked.append(question)
        return self.answers.pop(0)
