"""A server as a program: its greeting, its exit codes, its end. Each test is a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.run import CannotStart, listen, request_shutdown, url_of
from tests.transports.sockets import Connection

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 15.0
PROGRAM = """
import asyncio, sys, time
from mcpkit import Context, Server
from mcpkit.run import request_shutdown, serve
server = Server("program", "1")

@server.tool
async def wait(seconds: float) -> str:
    "Wait."
    print("begun", file=sys.stderr, flush=True)
    await asyncio.sleep(seconds)
    return "waited"

@server.tool
def block(seconds: float) -> str:
    "Block a thread."
    print("begun", file=sys.stderr, flush=True)
    time.sleep(seconds)
    return "blocked"

@server.tool
async def interrupt(how: str) -> str:
    "End by what ends programs."
    end = {"KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}[how.split()[0]]
    async def fail() -> None:
        raise end
    if "task" in how:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
    await fail()
    return "not reached"

@server.tool(inline=True)
def stop() -> str:
    "End the server."
    request_shutdown()
    return "stopping"

@server.tool(inline=True)
def loaded() -> str:
    "Which of the heavy packages are loaded."
    heavy = ("fastapi", "starlette", "uvicorn", "sse_starlette", "httpx")
    return ",".join(name for name in heavy if name in sys.modules)

serve(server, stdio="--stdio" in sys.argv)
print("served", file=sys.stderr, flush=True)
"""


class Program:
    """A running server."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = 0

    async def line(self) -> str:
        """The next line of stderr; empty at its end."""
        assert self.process.stderr is not None
        async with asyncio.timeout(SECONDS):
            text = (await self.process.stderr.readline()).decode().rstrip("\n")
        self.lines.append(text)
        return text

    async def greeting(self) -> list[str]:
        """The three lines."""
        lines = [await self.line() for _ in range(3)]
        self.port = int(lines[0].rpartition(":")[2].strip("/") or 0) if lines[0] else 0
        return lines

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))

    async def call(self, name: str, **arguments: Any) -> Connection:
        """A connection on which a plain call is under way."""
        connection = await self.connect()
        params = {"name": name, "arguments": arguments}
        connection.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        return connection

    async def end(self) -> tuple[int, list[str]]:
        """The exit code, and what stderr still said."""
        rest = []
        while line := await self.line():
            rest.append(line)
        async with asyncio.timeout(SECONDS):
            return await self.process.wait(), rest


@asynccontextmanager
async def running(*arguments: str, **env: str) -> AsyncIterator[Program]:
    """Start the program with these settings, over HTTP on a free port."""
    port = {} if "--stdio" in arguments else {"MCP_SERVER_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        *arguments,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **port, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def text_of(connection: Connection) -> str:
    status, _, body = await connection.answer()
    connection.close()
    assert status == 200
    value = orjson.loads(body)["result"]["content"][0]["text"]
    assert isinstance(value, str)
    return value


async def test_three_lines_and_the_last_can_be_copied() -> None:
    async with running() as program:
        info, mcp, curl = await program.greeting()
        url = f"http://127.0.0.1:{program.port}"
        assert (info, mcp) == (f"Info: {url}/", f"MCP:  {url}/api")
        assert curl.startswith(f"curl -s {url}/api -H 'Content-Type: application/json' -d '")
        connection = await program.connect()
        connection.post(None, body=curl.rpartition(" -d ")[2].strip("'").encode())
        status, _, body = await connection.answer()
        assert (status, len(orjson.loads(body)["result"]["tools"])) == (200, 5)
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_quietly(number: signal.Signals) -> None:
    async with running() as program:
        await program.greeting()
        program.process.send_signal(number)
        assert await program.end() == (0, ["served"])


async def test_a_call_in_flight_is_answered_first() -> None:
    async with running() as program:
        await program.greeting()
        call = await program.call("wait", seconds=0.5)
        assert await program.line() == "begun"
        program.process.terminate()
        assert await text_of(call) == "waited"
        assert await program.end() == (0, ["served"])


async def test_open_streams_do_not_hold_it_up() -> None:
    """uvicorn alone would wait for them for ever."""
    async with running() as program:
        await program.greeting()
        streams = [await program.connect() for _ in range(50)]
        for stream in streams:
            stream.send(b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for stream in streams:
            await stream.until(b"session_id=")
        program.process.terminate()
        for stream in streams:
            assert (await stream.rest()).endswith(b"0\r\n\r\n")
            stream.close()
        assert await program.end() == (0, ["served"])


async def test_a_tool_that_blocks_its_thread_does_not_hold_it_up_either() -> None:
    """Exit within the grace and a little more, whatever a thread is doing."""
    async with running(MCP_SHUTDOWN_GRACE_SECONDS="1") as program:
        await program.greeting()
        call = await program.call("block", seconds=60)
        assert await program.line() == "begun"
        program.process.terminate()
        code, _ = await program.end()
        assert code == 0
        call.close()


async def test_a_second_signal_ends_it_at_once() -> None:
    async with running(MCP_SHUTDOWN_GRACE_SECONDS="600") as program:
        await program.greeting()
        call = await program.call("wait", seconds=60)
        assert await program.line() == "begun"
        program.process.terminate()
        await asyncio.sleep(0.3)  # one signal, not two merged into one
        program.process.terminate()
        code, rest = await program.end()
        assert code == 0
        assert not [line for line in rest if "Traceback" in line]
        call.close()


async def test_a_call_may_end_the_server() -> None:
    """MCP_SERVER_SHUTDOWN=server: the answer still gets out."""
    async with running() as program:
        await program.greeting()
        assert await text_of(await program.call("stop")) == "stopping"
        assert await program.end() == (0, ["served"])


async def test_a_taken_port_is_one_clear_line_and_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with running(MCP_SERVER_PORT=str(port)) as program:
            code, lines = await program.end()
    assert code == 2
    (line,) = lines
    assert line.startswith(f"Port {port} on 127.0.0.1 is taken ")
    assert line.endswith("; choose another with --port or MCP_SERVER_PORT; --port 0 takes a free one")
    if sys.platform == "linux":
        assert f"(process {os.getpid()})" in line


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"MCP_SERVER_PORT": "12k"}, "MCP_SERVER_PORT must be a whole number from 0 to 65535, not '12k'"),
        ({"MCP_SERVER_HOST": "203.0.113.1"}, "Can't listen on 203.0.113.1: "),
        ({"MCP_SERVER_HOST": "no-such-host.invalid"}, "no-such-host.invalid is no address of this machine; "),
        ({"MCP_ALLOWED_HOSTS": "http://x"}, "MCP_ALLOWED_HOSTS or MCP_ALLOWED_ORIGINS: 'http://x' is no host"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_one_clear_line_and_code_2(env: dict[str, str], line: str) -> None:
    async with running(**env) as program:
        code, lines = await program.end()
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(line)


async def test_listening_beyond_loopback_is_said() -> None:
    """NET-03."""
    async with running(MCP_SERVER_HOST="0.0.0.0") as program:
        assert "whoever can reach this machine can use this server" in await program.line()
        info, _, _ = await program.greeting()
        assert info.startswith("Info: http://127.0.0.1:")


# ── the standard streams ─────────────────────────────────────────────────────────────────────────────────────────────


async def talk(program: Program, *messages: Any) -> list[Any]:
    """Send lines, end the input, and read the answers."""
    async with asyncio.timeout(SECONDS):
        out, err = await program.process.communicate(b"".join(orjson.dumps(message) + b"\n" for message in messages))
    program.lines = err.decode().splitlines()
    return [json.loads(line) for line in out.splitlines()]


def opening() -> list[Any]:
    params = {"protocolVersion": NEWEST_HANDSHAKE.name, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    return [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ]


async def test_stdio_loads_neither_fastapi_nor_uvicorn_and_ends_with_its_input() -> None:
    """STDIO-03, STDIO-41: nothing but messages on stdout, nothing of HTTP in memory."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "loaded", "arguments": {}}}
    async with running("--stdio") as program:
        opened, answer = await talk(program, *opening(), call)
    assert opened["result"]["protocolVersion"] == NEWEST_HANDSHAKE.name
    assert answer["result"]["content"][0]["text"] == ""
    assert (program.process.returncode, program.lines) == (0, ["served"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_stdio_quietly(number: signal.Signals) -> None:
    async with running("--stdio") as program:
        assert program.process.stdin is not None
        assert program.process.stdout is not None
        program.process.stdin.write(orjson.dumps(opening()[0]) + b"\n")
        async with asyncio.timeout(SECONDS):
            await program.process.stdout.readline()
        program.process.send_signal(number)
        assert await program.end() == (0, ["served"])


async def test_a_call_may_end_a_stdio_server() -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "stop", "arguments": {}}}
    async with running("--stdio") as program:
        assert program.process.stdin is not None
        assert program.process.stdout is not None
        program.process.stdin.write(b"".join(orjson.dumps(message) + b"\n" for message in [*opening(), call]))
        async with asyncio.timeout(SECONDS):
            out = await program.process.stdout.read()
        assert b"stopping" in out
        assert await program.end() == (0, ["served"])


def tool(id: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("name", ["wait", "block"])
async def test_the_grace_of_stdio_is_the_setting_s(name: str) -> None:
    """STDIO-41: what takes no longer is answered with its result, what does with an error, and the log names it."""
    async with running("--stdio", MCP_SHUTDOWN_GRACE_SECONDS="30") as program:
        answers = await talk(program, *opening(), tool(1, name, seconds=1.5))
        assert answers[1]["result"]["content"][0]["text"].endswith("ed")
        assert program.process.returncode == 0
    async with running("--stdio", MCP_SHUTDOWN_GRACE_SECONDS="0.2") as program:
        answers = await talk(program, *opening(), tool(1, name, seconds=600))
        assert (answers[1]["id"], answers[1]["error"]["code"]) == (1, -32603)
        assert program.process.returncode == 0
    assert any(f"tools/call '{name}' was given up" in line for line in program.lines)


@pytest.mark.parametrize("how", ["KeyboardInterrupt", "SystemExit", "KeyboardInterrupt task", "SystemExit task"])
async def test_no_tool_ends_a_stdio_server(how: str) -> None:
    """Whatever it raises, also in a task of its own; a signal still ends it."""
    async with running("--stdio") as program:
        answers = await talk(program, *opening(), tool(1, "interrupt", how=how), tool(2, "wait", seconds=0))
    assert {answer["id"]: answer["result"].get("isError") for answer in answers if answer["id"]} == {1: True, 2: None}
    assert program.process.returncode == 0


@pytest.mark.parametrize("how", ["KeyboardInterrupt", "SystemExit", "KeyboardInterrupt task", "SystemExit task"])
async def test_no_tool_ends_an_http_server(how: str) -> None:
    async with running() as program:
        await program.greeting()
        client = await program.connect()
        client.post(tool(1, "interrupt", how=how))
        assert orjson.loads((await client.answer())[2])["result"]["isError"] is True
        client.post(tool(2, "wait", seconds=0))
        assert orjson.loads((await client.answer())[2])["result"]["content"][0]["text"] == "waited"
        client.close()
        program.process.send_signal(signal.SIGINT)
        assert (await program.end())[0] == 0


# ── small parts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_asking_for_the_end_of_nothing_does_nothing() -> None:
    request_shutdown()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("mcp.example", "http://mcp.example:80"),
    ],
)
def test_the_url_is_one_that_works_here(host: str, url: str) -> None:
    assert url_of(host, 80) == url


def test_a_port_that_this_user_may_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotStart, match="may not be used by this user"):
        listen("127.0.0.1", 80)


async def test_the_log_can_be_json() -> None:
    """Every line says which request it is about."""
    async with running(MCP_LOG_FORMAT="json") as program:
        await program.greeting()
        connection = await program.call("block", seconds=1e20)  # more than a clock can count
        assert "failed" in await text_of(connection)
        assert await program.line() == "begun"
        line = json.loads(await program.line())
        assert (line["request"], line["method"], "OverflowError" in line["error"]) == ("1", "tools/call", True)


@pytest.mark.parametrize("port", [-1, 65536, 99_999_999])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    """The system would take what is left of it, and listen somewhere else."""
    with pytest.raises(CannotStart, match=f"^{port} is no port"):
        listen("127.0.0.1", port)


FAILING = """
from contextlib import asynccontextmanager
from mcpkit import Server
from mcpkit.run import serve

@asynccontextmanager
async def lifespan(server):
    raise LookupError("no database here")
    yield

serve(Server("failing", lifespan=lifespan))
"""


async def test_a_lifespan_that_fails_is_told() -> None:
    """Not an end without a word."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FAILING),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MCP_SERVER_PORT": "0"},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        _, said = await process.communicate()
    assert process.returncode != 0
    assert b"LookupError: no database here" in said
