"""One question to one server: what is printed, for people, pipes and programs, and how words become arguments."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mcpkit import Server
from mcpkit.client import ClientError, MCPClient, ProtocolViolation
from mcpkit.client.results import Tool
from mcpkit.host.commands import Commands, UsageError, arguments_of, pairs_of
from mcpkit.host.exits import exit_code
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


# ── servers that send members of wrong types ─────────────────────────────────────────────────────────────────────────

SCRIPTED = """
import json, sys
script, at = json.load(open(sys.argv[1])), {}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        answers, method = script.get(asked["method"], [{}]), asked["method"]
        at[method] = at.get(method, -1) + 1
        answer = {"result": answers[at[method] % len(answers)]}
        if method == "server/discover":
            answer = {"error": {"code": -32601, "message": "Method not found"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""
WRONG = (None, 0, -1.5, True, "text", [], [None], [[1]], {}, {"a": {"b": [1]}}, [{"x": 1}], "\ud800")
SOUND: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
        "serverInfo": {"name": "s", "version": "1", "title": "t"},
    },
    "tools/list": {
        "tools": [
            {
                **{"name": "t", "title": "T", "description": "d", "_meta": {"k": 1}},
                "icons": [{"src": "https://x/y.png", "mimeType": "image/png", "sizes": ["1x1"]}],
                "inputSchema": {
                    "type": "object",
                    "properties": {"a": {"type": "string", "enum": ["x"], "anyOf": [{}], "oneOf": [{"type": "null"}]}},
                    "required": ["a"],
                },
                "outputSchema": {"type": "object", "properties": {"r": {"type": "string"}}, "required": ["r"]},
                "annotations": {"title": "x", "readOnlyHint": True},
                "execution": {"taskSupport": "forbidden"},
            }
        ]
    },
    "resources/list": {
        "resources": [
            {
                **{"uri": "a://b", "name": "n", "title": "t", "description": "d", "mimeType": "text/plain", "size": 1},
                **{"icons": [{"src": "https://x/y"}], "annotations": {"audience": ["user"]}, "_meta": {}},
            }
        ]
    },
    "resources/templates/list": {
        "resourceTemplates": [{"uriTemplate": "a://{b}", "name": "n", "description": "d", "annotations": {}}]
    },
    "prompts/list": {"prompts": [{"name": "p", "title": "t", "arguments": [{"name": "x", "required": True}]}]},
    "tools/call": {
        "content": [
            {"type": "text", "text": "hi", "annotations": {}, "_meta": {}},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "a://b", "text": "x", "mimeType": "text/plain"}},
            {"type": "resource_link", "uri": "a://b", "name": "n"},
        ],
        "structuredContent": {"r": "x"},
        "isError": False,
    },
    "resources/read": {"contents": [{"uri": "a://b", "mimeType": "text/plain", "text": "x"}, {"blob": "aGk="}]},
    "prompts/get": {"description": "d", "messages": [{"role": "user", "content": {"type": "text", "text": "x"}}]},
}
ASKED: dict[str, Callable[[Commands], Awaitable[int]]] = {
    **dict.fromkeys(
        ("tools/list", "resources/list", "resources/templates/list", "prompts/list"), lambda commands: commands.list()
    ),
    "tools/call": lambda commands: commands.call("t", ["a=x"], None),
    "resources/read": lambda commands: commands.read("a://b"),
    "prompts/get": lambda commands: commands.prompt("p", ["x=1"]),
}


def spoiled(value: Any) -> Iterator[Any]:
    """The value with each of its parts, itself too, of every wrong type."""
    yield from WRONG
    if isinstance(value, dict):
        for name, part in value.items():
            yield from ({**value, name: wrong} for wrong in spoiled(part))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], wrong, *value[place + 1 :]] for wrong in spoiled(part))


@asynccontextmanager
async def scripted(folder: Path, **answers: list[Any]) -> AsyncIterator[MCPClient]:
    """A client of a server in its own process, which gives to each method its answers in turn."""
    script = {**{method: [result] for method, result in SOUND.items()}, **answers}
    (folder / "server.py").write_text(SCRIPTED)
    (folder / "script.json").write_text(json.dumps(script))
    words = [sys.executable, str(folder / "server.py"), str(folder / "script.json")]
    async with MCPClient({"command": words}, cache=False) as client:
        yield client


@pytest.mark.parametrize("method", ASKED)
async def test_wrong_types_in_an_answer_are_read_or_told(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever type a member has: lines, or an error that the command line tells in one line. Never anything else."""
    answers = list(spoiled(SOUND[method]))
    for terminal in (False, True):
        monkeypatch.setattr(Pipe, "isatty", lambda self, terminal=terminal: terminal)
        async with scripted(tmp_path, **{method: answers}) as client:
            printed = 0
            for _ in answers:
                out = Pipe()
                with suppress(ClientError, UsageError):
                    await ASKED[method](Commands(client, as_json=False, out=out))
                    printed += 1
                    out.getvalue().encode()
            assert printed > len(answers) // 2, "most wrong members say nothing that matters here"


TEXT_BLOCK = {"type": "text", "text": "hello"}
LENIENT: list[tuple[str, Any]] = [
    *(("tools/call", content) for content in ("hello", ["hello"], TEXT_BLOCK, {"text": "hello"}, [{"text": "hello"}])),
    *(("resources/read", contents) for contents in ("hello", ["hello"], {"uri": "a://b", "text": "hello"})),
    *(("prompts/get", [{"role": "user", "content": content}]) for content in ("hello", ["hello"], [TEXT_BLOCK])),
]
UNREADABLE: list[tuple[str, Any]] = [
    *(("tools/call", content) for content in (5, True, {"a": 1}, [5], [None], [["hello"]], [{"type": "text"}])),
    *(("resources/read", contents) for contents in (5, [5], [None])),
    *(("prompts/get", messages) for messages in ("hello", [5], [{"role": "user", "content": 5}])),
]
MEMBERS = {"tools/call": "content", "resources/read": "contents", "prompts/get": "messages"}


@pytest.mark.parametrize(("method", "value"), LENIENT)
async def test_contents_in_another_form_are_read(method: str, value: Any, tmp_path: Path) -> None:
    """A text, one block alone: what they can mean is shown, not an empty line."""
    answers = {"tools/list": [{"tools": []}], method: [{MEMBERS[method]: value}]}
    async with scripted(tmp_path, **answers) as client:
        out = Pipe()
        assert await ASKED[method](Commands(client, as_json=False, out=out)) == 0
    assert out.getvalue().removeprefix("user: ") == "hello\n"


@pytest.mark.parametrize(("method", "value"), UNREADABLE)
async def test_contents_that_can_not_be_read_are_told(method: str, value: Any, tmp_path: Path) -> None:
    """Nothing that a server answers is lost unseen; the exit code says that this is no MCP."""
    answers = {"tools/list": [{"tools": []}], method: [{MEMBERS[method]: value}]}
    async with scripted(tmp_path, **answers) as client:
        with pytest.raises(ProtocolViolation, match=r"^the server's answer can't be read: .* must be ") as failed:
            await ASKED[method](Commands(client, as_json=False, out=Pipe()))
    assert exit_code(failed.value) == 6


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_call_is_made_whatever_the_tools_schema_says_of_its_parts(wrong: Any, tmp_path: Path) -> None:
    tool = {"name": "t", "inputSchema": {"type": "object", "properties": wrong, "required": wrong}}
    async with scripted(tmp_path, **{"tools/list": [{"tools": [tool]}]}) as client:
        out = Pipe()
        with suppress(ClientError):
            await Commands(client, as_json=False, out=out).list()
    assert arguments_of(["a=5"], Tool.of(tool)) == {"a": 5}


def test_a_member_of_a_wrong_type_reads_as_nothing_and_raw_as_it_came() -> None:
    tool = Tool.of({"name": 5, "description": ["d"], "inputSchema": "x", "icons": {}, "title": {}})
    assert (tool.name, tool.description, tool.input_schema, tool.icons, tool.title) == ("", None, {}, [], None)
    assert (tool.get("name"), tool["inputSchema"]) == (5, "x")
