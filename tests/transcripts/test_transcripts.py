"""Golden dialogues: each *.txt is spoken through every door and must be answered word for word.

A file is prose, a line ``features: …``, then what the client (``>``) and the server (``<``) say. In the server's lines
``"…"`` stands for anything, and ``"$name"`` for a text or id that the client may repeat. What must never stand here: a
dialogue.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcpkit.protocol.revisions.registry import SUPPORTED
from tests.transcripts.stage import DOORS, FEATURES, staged

PLAYS = sorted(Path(__file__).parent.glob("*.txt"))


@dataclass
class Line:
    """One message, and where it stands."""

    number: int
    speaker: str
    message: Any


@dataclass
class Play:
    """A dialogue."""

    prose: str
    features: list[str]
    lines: list[Line]


def read(path: Path) -> Play:
    """Raises: ValueError for a line that is none."""
    prose, features, lines = "", [], []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        speaker, _, said = text.partition(" ")
        if speaker in (">", "<"):
            lines.append(Line(number, speaker, json.loads(said)))
        elif text.startswith("features:"):
            features = text.removeprefix("features:").replace(",", " ").split()
        elif text and features:
            raise ValueError(f"{path.name}:{number} is no line of a dialogue: {text}")
        else:
            prose += text
    return Play(prose, features, lines)


def compare(said: Any, expected: Any, known: dict[str, str | int], where: str) -> None:
    """Fail where the two differ; remember what ``$names`` stand for."""
    if expected == "…":
        return
    if isinstance(expected, str) and expected.startswith("$"):
        assert isinstance(said, str | int), where
        known[expected] = said
    elif isinstance(expected, dict) and isinstance(said, dict):
        assert said.keys() == expected.keys(), where
        for name, value in expected.items():
            compare(said[name], value, known, f"{where}.{name}")
    elif isinstance(expected, list) and isinstance(said, list):
        assert len(said) == len(expected), where
        for index, value in enumerate(expected):
            compare(said[index], value, known, f"{where}[{index}]")
    else:
        assert said == expected, where
        assert type(said) is type(expected), where


def in_order(message: Any) -> Any:
    """The answers of a batch may come in any order."""
    return sorted(message, key=lambda answer: str(answer["id"])) if isinstance(message, list) else message


def filled(message: Any, known: dict[str, str | int]) -> Any:
    """The message with what ``$names`` stand for."""
    if isinstance(message, dict):
        return {name: filled(value, known) for name, value in message.items()}
    if isinstance(message, list):
        return [filled(value, known) for value in message]
    return known.get(message, message) if isinstance(message, str) else message


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("path", PLAYS, ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written(path: Path, door: str) -> None:
    """VER-05, SHAPE-01: every message has the shape of its revision, through every door."""
    play = read(path)
    known: dict[str, str | int] = {}
    server = staged(play.features)
    async with server.running():
        conversation = DOORS[door](server)
        for line in play.lines:
            if line.speaker == ">":
                await conversation.say(filled(line.message, known))
            else:
                heard = await conversation.hear()
                compare(in_order(heard), in_order(line.message), known, f"{path.name}:{line.number}")
        await conversation.close()
        assert conversation.heard.empty(), f"the server says more: {conversation.heard.get_nowait()}"


@pytest.mark.parametrize("path", PLAYS, ids=lambda path: path.stem)
def test_a_play_says_what_it_shows(path: Path) -> None:
    play = read(path)
    assert len(play.prose) > 80
    assert set(play.features) <= FEATURES.keys()
    assert {line.speaker for line in play.lines} == {"<", ">"}


def test_there_is_one_for_every_revision() -> None:
    assert [path.stem for path in PLAYS] == sorted(SUPPORTED)


def test_differences_are_seen() -> None:
    """The comparison can fail, on values, members, lengths and types."""
    for said, expected in (({"a": 1}, {"a": 2}), ({"a": 1}, {}), ([1], [1, 2]), ({"a": True}, {"a": 1}), ("x", "y")):
        with pytest.raises(AssertionError):
            compare(said, expected, {}, "here")
