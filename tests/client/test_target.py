"""From what a caller calls a server to the doors that lead to it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcpkit import Server
from mcpkit.client.http import HttpxCarrier
from mcpkit.client.limits import Patience
from mcpkit.client.target import Means, reach
from mcpkit.client.transports.http_sse import HttpSse
from mcpkit.client.transports.stdio import Stdio
from mcpkit.client.transports.streamable_http import StreamableHttp
from mcpkit.transports.memory import Memory
from tests.client.scripted import FakeTransport, answering

MEANS = Means(Patience())


def test_headers_are_not_shown() -> None:
    """LEAK-05: they may hold a token, and a repr ends up in a log."""
    assert "secret" not in repr(Means(Patience(), headers={"Authorization": "Bearer secret"}))


async def test_urls() -> None:
    """TCLI-01, TCLI-02: both transports, in this order; remembered without query and fragment (LEAK-05)."""
    found = reach("https://h.example:1/mcp?key=secret#x", MEANS)
    assert [door.kind for door in found.doors] == ["http", "sse"]
    assert (found.name, found.key) == ("h.example:1/mcp", "https://h.example:1/mcp")
    newest, oldest = (door.make() for door in found.doors)
    assert isinstance(newest, StreamableHttp)
    assert isinstance(oldest, HttpSse)
    assert newest._endpoint.url == "https://h.example:1/mcp?key=secret"
    for transport in (newest, oldest):
        await transport.close()


@pytest.mark.parametrize("url", ["ftp://h/", "http://", "http://user:secret@h/", "javascript://x"])
def test_bad_urls(url: str) -> None:
    """Said at once, without repeating a secret."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - every kind of it
        reach(url, MEANS)
    assert "secret" not in str(caught.value)


def words_of(target: Any) -> list[str]:
    transport = reach(target, MEANS).doors[0].make()
    assert isinstance(transport, Stdio)
    return list(transport._command.arguments)


async def test_commands(tmp_path: Path) -> None:
    """LOC-04: a line is split as a shell would, but no shell sees it; a Python file is run by this Python."""
    assert words_of("uvx my-server --flag 'two words'") == ["uvx", "my-server", "--flag", "two words"]
    assert words_of(["prog", "a b"]) == ["prog", "a b"]
    script = tmp_path / "server.py"
    script.write_text("")
    assert words_of(f"'{script}' --x") == [sys.executable, str(script), "--x"]
    assert words_of("missing.py") == ["missing.py"]
    assert reach("prog x", MEANS).name == "prog"
    assert reach("prog x", MEANS).key == "prog x"


@pytest.mark.parametrize(
    ("entry", "words", "env"),
    [
        ({"command": ["npx", "-y", "server"]}, ["npx", "-y", "server"], {}),
        ({"command": ["npx"], "args": ["-y", 5]}, ["npx", "-y", "5"], {}),
        ({"command": "npx -y 'a server'"}, ["npx", "-y", "a server"], {}),
        ({"command": "a b", "args": ["c"]}, ["a b", "c"], {}),
        ({"command": {"path": "p", "args": ["q"], "env": {"A": "1"}}}, ["p", "q"], {"A": "1"}),
        ({"command": "p", "env": {"A": True, "B": None, "C": 5}}, ["p"], {"A": "true", "C": "5"}),
        ({"command": "p", "environment": {"A": "1"}}, ["p"], {"A": "1"}),
    ],
)
async def test_commands_of_every_host(entry: dict[str, Any], words: list[str], env: dict[str, str]) -> None:
    """A list, a line or an object is a command; null says nothing, and what is no text becomes one."""
    transport = reach(entry, MEANS).doors[0].make()
    assert isinstance(transport, Stdio)
    assert (list(transport._command.arguments), transport._command.env) == (words, env)


async def test_the_same_words_mean_the_same_as_on_the_command_line(tmp_path: Path) -> None:
    """A bare origin is this project's endpoint; a file is run by what runs its kind; its name may have blanks."""
    for url, key in (
        ("http://127.0.0.1:1", "http://127.0.0.1:1/api"),
        (" https://h.example ", "https://h.example/api"),
        ("http://h.example?x=1", "http://h.example/api"),
        ("http://h.example/", "http://h.example/"),
    ):
        assert reach(url, MEANS).key == key
    (tmp_path / "a b.py").write_text("")
    (tmp_path / "c.mjs").write_text("")
    assert words_of(tmp_path / "a b.py") == [sys.executable, str(tmp_path / "a b.py")]
    assert words_of(str(tmp_path / "a b.py")) == [sys.executable, str(tmp_path / "a b.py")]
    assert words_of(str(tmp_path / "c.mjs")) == ["node", str(tmp_path / "c.mjs")]
    assert words_of(tmp_path / "prog") == [str(tmp_path / "prog")]


@pytest.mark.parametrize(
    "address",
    [
        *("localhost:1234", "127.0.0.1:80/mcp", "h.example:8000/mcp?x=1", "[::1]:80", "[::1]/mcp", "localhost/mcp"),
        *("10.0.0.1", "mcp.h.example/mcp", "api-server:3000", "localhost"),
    ],
)
def test_an_address_without_a_scheme_is_no_command(address: str) -> None:
    """It was started as a program, which there was not."""
    with pytest.raises(ValueError, match=re.escape(f"write http://{address}")):
        reach(address, MEANS)


@pytest.mark.parametrize(
    "command", ["server", "bin/server", "./a.sh", "my-server:latest", "a.py", "C:\\x\\y.exe", "x y:80"]
)
async def test_what_is_a_command_stays_one(command: str) -> None:
    """Nothing that could be a program is taken for an address."""
    assert reach(command, MEANS).doors[0].kind == "stdio"


@pytest.mark.parametrize("target", ["", "   ", [], [""]])
def test_no_command(target: Any) -> None:
    """Nothing to start."""
    with pytest.raises(ValueError, match="empty"):
        reach(target, MEANS)


@pytest.mark.parametrize(
    ("entry", "kinds"),
    [
        ({"url": "http://h/mcp"}, ["http", "sse"]),
        ({"type": "http", "url": "http://h/mcp"}, ["http", "sse"]),
        ({"type": "streamable-http", "url": "http://h/mcp"}, ["http"]),
        ({"type": "streamableHttp", "url": "http://h/mcp"}, ["http"]),
        ({"type": "sse", "url": "http://h/sse"}, ["sse"]),
        ({"transport": "sse", "url": "http://h/sse"}, ["sse"]),
        ({"command": "x", "args": ["y"], "env": {"A": 1}, "cwd": "/"}, ["stdio"]),
        ({"type": "stdio", "command": "x"}, ["stdio"]),
        ({"httpUrl": "http://h/mcp"}, ["http", "sse"]),
        ({"serverUrl": "http://h/mcp", "headers": None, "env": None}, ["http", "sse"]),
        ({"transport": {"type": "sse", "url": "http://h/sse"}}, ["sse"]),
        ({"type": "streamable_http", "url": "http://h/mcp"}, ["http"]),
        ({"type": None, "url": "http://h/mcp", "command": None}, ["http", "sse"]),
        ({"type": "remote", "url": "http://h/mcp"}, ["http", "sse"]),
        ({"type": "local", "command": ["x", "y"], "environment": {"A": "1"}}, ["stdio"]),
        ({"command": "x", "args": None, "env": None}, ["stdio"]),
        ({"mcpServers": {"a": {"url": "http://h/mcp"}}}, ["http", "sse"]),
        ({"servers": {"a": {"command": "x"}, "b": {"command": "y", "disabled": True}}}, ["stdio"]),
        ({"mcp": {"a": {"command": "x"}, "b": {"command": "y", "enabled": False}}}, ["stdio"]),
        ({"mcp": {"servers": {"a": {"url": "http://h/sse", "type": "sse"}}}}, ["sse"]),
        ({"context_servers": {"a": {"command": {"path": "x", "args": ["y"], "env": None}}}}, ["stdio"]),
    ],
)
def test_entries_of_configuration_files(entry: dict[str, Any], kinds: list[str]) -> None:
    """Conventions: every host's spelling; the type follows from the members where it is not said."""
    assert [door.kind for door in reach(entry, MEANS).doors] == kinds


async def test_what_an_entry_says() -> None:
    """Headers beside the client's own; environment and folder for the child."""
    transport = (
        reach({"url": "http://h/", "headers": {"X": "1"}}, Means(Patience(), headers={"Y": "2"})).doors[0].make()
    )
    assert isinstance(transport, StreamableHttp)
    assert transport._endpoint._headers == {"Accept-Encoding": "identity", "X": "1", "Y": "2"}
    await transport.close()
    child = reach({"command": "x", "args": ["y", 1], "env": {"A": 1}, "cwd": "/c"}, MEANS).doors[0].make()
    assert isinstance(child, Stdio)
    assert (child._command.arguments, child._command.env, child._command.cwd) == (("x", "y", "1"), {"A": "1"}, "/c")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "command"),
        ({"type": "http"}, "url"),
        ({"type": "carrier-pigeon", "url": "http://h"}, "type must be"),
        ({"type": "stdio", "url": "http://h"}, "command"),
        ({"url": 5}, "url"),
        ({"mcpServers": {"a": {"url": "http://h"}, "b": {"command": "x"}}}, "names a, b: give one of its entries"),
        ({"mcpServers": {}}, "names none: give one of its entries"),
        ({"mcpServers": {"a": 1}}, "the server a must be an object"),
        ({"command": "x", "args": "y"}, '"args" must be a list'),
        ({"command": {"args": []}}, "command"),
        ({"command": []}, "command"),
        ({"url": "http://h", "headers": [1]}, '"headers" must be an object'),
        ({"url": "localhost:80"}, "write http://localhost:80"),
        ({"type": ["x"], "url": "http://h"}, "type must be"),
    ],
)
def test_entries_that_are_none(entry: dict[str, Any], words: str) -> None:
    """What is missing is named."""
    with pytest.raises(ValueError, match=words):
        reach(entry, MEANS)


def test_transports() -> None:
    """One of the application's own, or what makes a new one each time."""
    transport = FakeTransport(answering({}))
    assert reach(transport, MEANS).doors[0].make() is transport
    made = reach(lambda: FakeTransport(answering({})), MEANS)
    assert made.doors[0].make() is not made.doors[0].make()
    assert made.key is None
    with pytest.raises(ValueError, match=r"a Server or a transport, not int"):
        reach(5, MEANS)  # type: ignore[arg-type]


def test_a_server_object() -> None:
    """Anything that has a name and makes transports: a new one for each connection."""
    server = Server("shop")
    found = reach(server, MEANS)
    assert (found.name, found.key) == ("shop", None)
    assert isinstance(found.doors[0].make(), Memory)
    assert found.doors[0].make() is not found.doors[0].make()


async def test_an_http_client_of_the_application() -> None:
    """Taken as it is when it is a carrier, wrapped when it is httpx's."""
    async with httpx.AsyncClient() as own:
        carrier = HttpxCarrier(own)
        for http in (own, carrier):
            transport = reach("http://h/", Means(Patience(), http=http)).doors[0].make()
            assert isinstance(transport, StreamableHttp)
            inner = transport._endpoint._carrier
            assert isinstance(inner, HttpxCarrier)
            assert inner._client is own
        assert inner is carrier
