"""One question to one server: what is printed, for people, pipes and programs, and how words become arguments."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mcpkit import Server
from mcpkit.client.results import Tool
from mcpkit.host.commands import Commands, UsageError, arguments_of, pairs_of
from mcpkit.testing import connect
from tests.host.sites import math_server, modulo_server


class Pipe(io.StringIO):
    """Standard output as a pipe: text, and bytes below it."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = io.BytesIO()


@asynccontextmanager
async def commanding(server: Server, *, as_json: bool = False) -> AsyncIterator[tuple[Commands, Pipe]]:
    out = Pipe()
    async with connect(server) as client:
        yield Commands(client, as_json=as_json, out=out), out


async def test_list_is_a_line_for_everything() -> None:
    server = modulo_server()

    @server.resource("text://{name}")
    def named(name: str) -> bytes:
        """By name."""
        return name.encode()

    async with commanding(server) as (commands, out):
        assert await commands.list() == 0
    assert out.getvalue().splitlines() == [
        "tool      modulo(a, b)   Give the remainder.",
        "resource  text://rules   What holds here.",
        "template  text://{name}  By name.",
        "prompt    explain        Ask for an explanation.",
    ]


async def test_list_as_json() -> None:
    async with commanding(math_server(), as_json=True) as (commands, out):
        await commands.list()
    assert [tool["name"] for tool in json.loads(out.getvalue())["tools"]] == ["add", "divide"]


async def test_json_on_a_terminal_shows_what_is_seen_and_escapes_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """TSEC-03: the same value, but nothing that moves the cursor or turns the line round."""
    monkeypatch.setattr(Pipe, "isatty", lambda self: True)
    server = Server("evil")
    server.tool("t", description="加\x9b31m\u202e\x1b[2J\u2028\U000e0041 x")(lambda: "")
    async with commanding(server, as_json=True) as (commands, out):
        await commands.list()
    text = out.getvalue()
    assert "加" in text
    assert all(character.isprintable() or character == "\n" for character in text)
    assert json.loads(text)["tools"][0]["description"] == "加\x9b31m\u202e\x1b[2J\u2028\U000e0041 x"


async def test_call_prints_the_text() -> None:
    async with commanding(math_server()) as (commands, out):
        assert await commands.call("add", ["a=5", "b=3"], None) == 0
        assert await commands.call("add", ["b=4"], '{"a": 5}') == 0
    assert out.getvalue() == "8\n9\n"


async def test_a_tool_error_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    async with commanding(math_server()) as (commands, out):
        assert await commands.call("divide", ["a=7", "b=0"], None) == 5
    assert out.getvalue() == ""
    assert capsys.readouterr().err == "Division by zero is not allowed\n"


async def test_call_as_json() -> None:
    async with commanding(math_server(), as_json=True) as (commands, out):
        assert await commands.call("divide", ["a=7", "b=0"], None) == 5
    assert json.loads(out.getvalue())["isError"] is True


async def test_read_prints_text_and_bytes() -> None:
    server = Server("files")
    server.resource("a://text")(lambda: "words")
    server.resource("a://bytes", mime_type="application/octet-stream")(lambda: b"\x00\xff")
    async with commanding(server) as (commands, out):
        await commands.read("a://text")
        await commands.read("a://bytes")
    assert (out.getvalue(), out.buffer.getvalue()) == ("words\n", b"\x00\xff")


async def test_prompt_prints_its_messages() -> None:
    async with commanding(modulo_server()) as (commands, out):
        await commands.prompt("explain", ["topic=x=y"])
    assert out.getvalue() == "user: Explain x=y\n"


async def test_ping() -> None:
    async with commanding(math_server()) as (commands, out):
        await commands.ping()
    assert out.getvalue().startswith("math ")
    assert " answers in " in out.getvalue()


@pytest.mark.parametrize("name", ["read", "prompt", "ping"])
async def test_everything_can_be_json(name: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"read": ("text://rules",), "prompt": ("explain", ["topic=x"]), "ping": ()}
    async with commanding(modulo_server(), as_json=True) as (commands, out):
        assert await getattr(commands, name)(*arguments[name]) == 0
    assert isinstance(json.loads(out.getvalue()), dict)


TOOL = Tool.of(
    {
        "name": "t",
        "inputSchema": {
            "properties": {
                "text": {"type": "string"},
                "number": {"type": "number"},
                "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "pick": {"enum": ["1", "2"]},
                "list": {"type": ["array", "null"]},
            }
        },
    }
)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=5", "5"),
        ("text=", ""),
        ("number=5", 5),
        ("number=x", "x"),
        ("maybe=true", "true"),
        ("pick=1", "1"),
        ("list=[1, 2]", [1, 2]),
        ("text:=5", 5),
        ("other=5", 5),
        ("other=hi there", "hi there"),
        ("text=a=b", "a=b"),
    ],
)
def test_a_word_becomes_what_the_schema_wants(word: str, value: Any) -> None:
    assert list(arguments_of([word], TOOL).values()) == [value]


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (["x"], None, "x is not of the form name=value"),
        (["=x"], None, "=x is not of the form name=value"),
        (["x:={"], None, "x is no JSON: "),
        ([], "[1]", "--args must be a JSON object"),
        ([], "{", "--args is no JSON: "),
    ],
)
def test_words_that_are_no_arguments(words: list[str], given: str | None, said: str) -> None:
    with pytest.raises(UsageError) as wrong:
        arguments_of(words, TOOL, given)
    assert str(wrong.value).startswith(said)


def test_pairs_stay_text() -> None:
    assert pairs_of(["a=1", "b="]) == {"a": "1", "b": ""}
