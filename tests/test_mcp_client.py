"""The client as a newcomer meets it: run as a process against the example server, and against what is none."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mcp_client
from mcp_client import MCPClient, arguments_for
from mcpkit import client as library
from mcpkit.client.results import Tool
from routers.sampling_router import NO_MODEL
from tests.client.scripted import Asked, FakeTransport, Reply, Script, answering, failure, http_peer, result, soon
from tests.fixtures.started import ROOT, Started, environment, run, started


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started("mcp_server.py", "--port", "0", cwd=tmp_path_factory.mktemp("started")) as program:
        yield program


async def drive(script: Script) -> tuple[int, str, str]:
    """The client run against a scripted server: its exit code, and what it said."""
    async with http_peer(script) as peer:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "mcp_client.py"),
            peer.url,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        async with asyncio.timeout(40):
            said, complained = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode(), complained.decode()


def sse(rows: dict[str, Any]) -> Script:
    """An HTTP+SSE server whose methods answer, or fail with a code."""
    streams: list[Reply] = []

    async def script(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            await reply.stream()
            await reply.event("/post", event="endpoint")
            streams.append(reply)
            await reply.gone()
            return
        message = asked.message
        await reply.send(202)
        if "id" in message:
            answer = rows[message["method"]]
            made = failure(message, answer, f"code {answer}") if isinstance(answer, int) else result(message, answer)
            await streams[-1].event(made)

    return script


INITIALIZED = {
    "protocolVersion": "2024-11-05",
    "capabilities": {},
    "serverInfo": {"name": "evil\u202e\x1b[2Jname", "version": "1"},
}
WORKS: dict[str, Any] = {
    "initialize": INITIALIZED,
    "tools/list": {"tools": []},
    "sample": {"content": "hi\x1b[31m", "model": "m"},
    "shutdown": {"status": "shutting_down"},
}


# ── against the example server ──────────────────────────────────────────────────────────────────────────────────────


def test_every_step_is_told(running: Started) -> None:
    """Issue: connect, initialize, initialized, tools/list, a call, sample, shutdown, one line each, exit code 0."""
    done = run("mcp_client.py", running.url)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [line.split()[0] for line in done.stdout.splitlines()]
    assert steps == ["connect", "initialize", "initialized", "tools/list", "tools/call", "sample", "shutdown"]
    assert f"{running.url}/sse" in done.stdout
    assert 'add {"a": 5, "b": 3} → 8' in done.stdout
    assert "sample       skipped: No model is configured" in done.stdout
    assert "shutting_down" in done.stdout


def test_the_url_comes_from_the_environment(running: Started, tmp_path: Path) -> None:
    """MCP_SERVER_URL, from the environment or .env."""
    assert run("mcp_client.py", env=environment(MCP_SERVER_URL=running.url)).returncode == 0
    (tmp_path / ".env").write_text(f"MCP_SERVER_URL={running.url}\n")
    assert run("mcp_client.py", cwd=tmp_path).returncode == 0
    assert run("mcp_client.py", f"{running.url}/sse").returncode == 0


def test_the_class_is_importable(running: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue: async, typed; without a target it goes to MCP_SERVER_URL."""
    monkeypatch.setenv("MCP_SERVER_URL", running.url)

    async def use() -> Any:
        async with MCPClient() as client:
            return (await client.call_tool("add", {"a": 1, "b": 2})).data

    assert asyncio.run(use()) == 3
    assert issubclass(MCPClient, library.MCPClient)


def test_output_that_nobody_reads(running: Started) -> None:
    """``python mcp_client.py | head -1`` ends without a traceback."""
    command = f'"{sys.executable}" "{ROOT / "mcp_client.py"}" {running.url} 2>&1 >/dev/full | cat'
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=30, env=environment(), check=False
    )
    assert "BrokenPipeError" not in done.stdout


# ── against what is none ────────────────────────────────────────────────────────────────────────────────────────────


def one_line(complained: str) -> str:
    """What went wrong, in one line."""
    assert complained.count("\n") == 1, complained
    assert "Traceback" not in complained
    return complained


def test_a_dead_server() -> None:
    """Exit code 4."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = run("mcp_client.py", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (4, "")
    assert f"http://127.0.0.1:{port}/sse" in one_line(done.stderr)


@pytest.mark.parametrize("url", ["ftp://h/", "not a url", "http://", "http://user:secret@h/"])
def test_a_wrong_url(url: str) -> None:
    """Exit code 1, without a secret that stands in it."""
    done = run("mcp_client.py", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "secret" not in one_line(done.stderr)


@pytest.mark.parametrize("words", [["a", "b"], ["--nonsense"]])
def test_usage(words: list[str]) -> None:
    """Exit code 1, and what the codes mean stands in the help."""
    done = run("mcp_client.py", *words)
    assert done.returncode == 1
    helped = run("mcp_client.py", "--help")
    assert helped.returncode == 0
    assert "3  authorization" in helped.stdout


def test_a_bad_setting() -> None:
    """Exit code 1, with the variable's name."""
    done = run("mcp_client.py", env=environment(MCP_SERVER_URL="nonsense"))
    assert done.returncode == 1
    assert "MCP_SERVER_URL" in one_line(done.stderr)


async def page(asked: Asked, reply: Reply) -> None:
    await reply.send(200, b"<html>hello</html>", content_type="text/html")


async def nothing(asked: Asked, reply: Reply) -> None:
    await reply.send(404)


async def guarded(asked: Asked, reply: Reply) -> None:
    await reply.send(401, www_authenticate="Bearer")


async def silent(asked: Asked, reply: Reply) -> None:
    reply.abort()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (page, 6, "text/html"),
        (nothing, 6, "404"),
        (guarded, 3, "python mcp_client.py login http://"),
        (silent, 4, "closed the connection"),
        (sse({"initialize": -32601}), 7, "code -32601"),
        (sse({"initialize": {**INITIALIZED, "protocolVersion": "2031-01-01"}}), 6, "2031"),
        (sse({**WORKS, "sample": 1002}), 7, "code 1002"),
        (sse({**WORKS, "shutdown": -32601}), 7, "code -32601"),
    ],
    ids=["page", "404", "401", "cut", "refused", "future", "model failed", "no shutdown"],
)
async def test_what_is_no_server_of_ours(script: Script, code: int, words: str) -> None:
    """One clear line, and a code for each kind."""
    returned, _, complained = await drive(script)
    assert returned == code
    assert words in one_line(complained)


async def test_a_server_with_a_model() -> None:
    """What the model says is shown, without what could take over the terminal."""
    code, said, complained = await drive(sse(WORKS))
    assert (code, complained) == (0, "")
    assert "sample       m says: hi[31m" in said
    assert "evil[2Jname" in said
    assert "skipped: there is no tool" in said


@pytest.mark.parametrize("word", ["lst", "localhost:12000", "x\x1b[31m"])
def test_a_word_that_is_neither_url_nor_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        mcp_client.main([word])
    assert left.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is neither a URL, such as http://127.0.0.1:12000, nor a command: list, call, " in line
    assert "\x1b" not in line


async def test_a_tools_error() -> None:
    """Exit code 5; the other steps are made all the same."""
    tool = {
        "name": "t",
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }
    broken = {"content": [{"type": "text", "text": "on fire"}], "isError": True}
    code, said, _ = await drive(sse({**WORKS, "tools/list": {"tools": [tool]}, "tools/call": broken}))
    assert code == 5
    assert "on fire (a tool error)" in said
    assert "shutting_down" in said


# ── its pieces ──────────────────────────────────────────────────────────────────────────────────────────────────────


def tool(**members: Any) -> Tool:
    harmless = {"readOnlyHint": True, "openWorldHint": False}
    return Tool.of({"name": "t", "inputSchema": {"type": "object"}, "annotations": harmless, **members})


def schema(properties: Any, required: Any) -> dict[str, Any]:
    return {"inputSchema": {"type": "object", "properties": properties, "required": required}}


@pytest.mark.parametrize(
    ("one", "made"),
    [
        (tool(), {}),
        (tool(**schema({"a": {"type": "number"}, "b": {"type": "boolean"}}, ["a", "b"])), {"a": 5, "b": True}),
        (tool(**schema({"a": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}, ["a"])), {"a": 5}),
        (tool(**schema({"a": {"type": "string"}}, ["a"])), None),
        (tool(**schema({}, ["a"])), None),
        (tool(**schema([], ["a"])), None),
        (tool(**schema({"a": 5}, ["a"])), None),
        (tool(**schema({"a": {"anyOf": [5]}}, ["a"])), None),
        (tool(**schema({}, "a")), None),
        (tool(annotations={}), None),
        (tool(annotations={"readOnlyHint": True}), None),
        (tool(annotations={"readOnlyHint": False, "openWorldHint": False}), None),
    ],
)
def test_made_up_arguments(one: Tool, made: dict[str, Any] | None) -> None:
    """Only for a tool that changes nothing and reaches nobody; a hostile definition is passed over."""
    assert arguments_for(one) == made


def test_the_code_of_a_server_without_a_model() -> None:
    """The two scripts agree on it."""
    assert mcp_client.NO_MODEL == NO_MODEL


async def test_a_model_that_fails_is_no_missing_model() -> None:
    """Only that one code means that none is configured."""
    async with library.MCPClient(FakeTransport(answering({}))) as client:
        with pytest.raises(library.ServerRefused):
            await soon(mcp_client.sample(client))
