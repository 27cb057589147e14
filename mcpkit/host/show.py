"""What the user of a chat sees, line by line as it happens: for people, in colour where that works, or as JSON.

Everything that came from a server or a model passes through ``clean`` before it reaches a terminal. What must never
stand here: reading, deciding.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TextIO

from mcpkit.client.display import clean
from mcpkit.host.fleet import Member, State
from mcpkit.host.words import Speech

SHOWN_ARGUMENTS = 1_000
SHOWN_RESULT = 2_000
SHOWN_TEXT = 1_000_000
REPLIES = frozenset({"help", "read", "cleared", "usage", "unknown_command", "quit_hint"})
"""Answers to what the user has just typed."""


class Show(Protocol):
    """Where a conversation is shown."""

    def text(self, piece: str) -> None:
        """A piece of what the model says."""

    def text_ends(self, whole: str) -> None:
        """It has said all of it."""

    def calling(self, name: str, arguments: Mapping[str, Any]) -> None:
        """A tool is called."""

    def result(self, name: str, text: str, *, failed: bool, alone: bool) -> None:
        """What it answered; ``alone`` unless others were called with it."""

    def server(self, member: Member) -> None:
        """How it stands with a server."""

    def notice(self, key: str, **values: object) -> None:
        """Anything else, by its key in the table of words."""

    def listing(self, kind: str, rows: list[dict[str, str]]) -> None:
        """A list: of tools, of prompts …"""


class Lines:
    """For people."""

    def __init__(self, out: TextIO, speech: Speech, *, aside: Callable[[str], None] | None = None) -> None:
        """``aside`` writes what is not part of the conversation: news of servers, notices."""
        self._out = out
        self._speech = speech
        self._aside = aside or self._write
        self._paint = painter(out)
        self._midline = False

    def text(self, piece: str) -> None:
        """As it comes."""
        shown = clean(piece, SHOWN_TEXT, lines=True)
        if shown:
            self._out.write(shown)
            self._out.flush()
            self._midline = not shown.endswith("\n")

    def text_ends(self, whole: str) -> None:
        """Close its line."""
        self._close_line()

    def calling(self, name: str, arguments: Mapping[str, Any]) -> None:
        """``[calling tool server0_add with {"a": 5, "b": 3}]``"""
        self._say(self._speech("calling", name=clean(name, 80), arguments=arguments_shown(arguments)), "cyan")

    def result(self, name: str, text: str, *, failed: bool, alone: bool) -> None:
        """``tool result: 8``"""
        shown = clean(text, SHOWN_RESULT, lines=True).strip() or f"({self._speech('nothing')})"
        line = self._speech("failed" if failed else "result", text=shown)
        self._say(line if alone else f"{line}  ({clean(name, 80)})", "red" if failed else "green")

    def server(self, member: Member) -> None:
        """One line."""
        self._close_line()
        self._aside(self._paint(server_line(member, self._speech), "dim" if member.state is State.READY else "yellow"))

    def notice(self, key: str, **values: object) -> None:
        """One line."""
        said = {name: clean(str(value), SHOWN_TEXT, lines=True) for name, value in values.items()}
        self._close_line()
        write = self._write if key in REPLIES else self._aside
        write(self._paint(self._speech(key, **said), "yellow" if key not in REPLIES else "dim"))

    def listing(self, kind: str, rows: list[dict[str, str]]) -> None:
        """A line each, in columns."""
        if not rows:
            self._say(self._speech("nothing"), "dim")
        widths = [
            max((len(clean(value)) for value in column), default=0)
            for column in zip(*map(dict.values, rows), strict=False)
        ]
        for row in rows:
            *first, last = [clean(value, 300) for value in row.values()]
            cells = [cell.ljust(min(width, 40)) for cell, width in zip(first, widths, strict=False)]
            self._say("  ".join([*cells, last]).rstrip(), "")

    def _say(self, line: str, style: str) -> None:
        self._close_line()
        self._write(self._paint(line, style))

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()

    def _close_line(self) -> None:
        if self._midline:
            self._out.write("\n")
            self._out.flush()
            self._midline = False


class JsonLines:
    """For programs: one JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def text(self, piece: str) -> None:
        """``{"event": "text", …}``"""
        self._write("text", text=piece)

    def text_ends(self, whole: str) -> None:
        """``{"event": "answer", …}``"""
        self._write("answer", text=whole)

    def calling(self, name: str, arguments: Mapping[str, Any]) -> None:
        """``{"event": "call", …}``"""
        self._write("call", name=name, arguments=arguments)

    def result(self, name: str, text: str, *, failed: bool, alone: bool) -> None:
        """``{"event": "result", …}``"""
        self._write("result", name=name, text=text, failed=failed)

    def server(self, member: Member) -> None:
        """``{"event": "server", …}``"""
        self._write("server", **server_row(member))

    def notice(self, key: str, **values: object) -> None:
        """``{"event": "notice", …}``"""
        self._write("notice", notice=key, **{name: str(value) for name, value in values.items()})

    def listing(self, kind: str, rows: list[dict[str, str]]) -> None:
        """``{"event": "list", …}``"""
        self._write("list", kind=kind, entries=rows)

    def _write(self, event: str, **members: Any) -> None:
        self._out.write(json.dumps({"event": event, **members}) + "\n")
        self._out.flush()


def arguments_shown(arguments: Mapping[str, Any]) -> str:
    """Arguments as JSON on one line."""
    return clean(json.dumps(arguments, ensure_ascii=False), SHOWN_ARGUMENTS)


def server_row(member: Member) -> dict[str, str]:
    """A server as a row of a list."""
    offered = f"{len(member.tools)} tool{'s'[: len(member.tools) != 1]}" if member.state is State.READY else member.why
    return {"server": member.prefix, "state": member.state.value, "place": member.entry.place, "what": offered}


def server_line(member: Member, speech: Speech) -> str:
    """A server's state in a sentence."""
    key = {State.READY: "ready", State.FAILED: "lost", State.CONNECTING: "connecting"}[member.state]
    names = ", ".join(clean(tool.name, 60) for tool in member.tools[:8]) or "–"
    names += ", …" if len(member.tools) > 8 else ""
    place = clean(member.entry.place, 120)
    return speech(key, server=clean(member.prefix, 60), why=clean(member.why, 300), place=place, what=names)


def painter(out: TextIO) -> Callable[[str, str], str]:
    """Colours a line for ``out``: where it is a terminal and rich is installed, else not at all."""
    if not out.isatty() or importlib.util.find_spec("rich") is None:
        return lambda line, style: line
    from rich.console import Console  # noqa: PLC0415 - an extra
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(file=out)

    def paint(line: str, style: str) -> str:
        with console.capture() as captured:
            console.print(Text(line, style=style), end="", soft_wrap=True)
        return captured.get()

    return paint
