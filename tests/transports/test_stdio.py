"""The standard streams: framing, a wire that nothing can corrupt, the end of input, and what is imported (STDIO)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcpkit.protocol.revisions.registry import HANDSHAKES
from mcpkit.settings import Settings
from mcpkit.transports import stdio
from mcpkit.transports.stdio import Pipes, serve_stdio
from tests.pipes import SECONDS, enveloped, initialize, notification, request, small_kernel

SERVER = Path(__file__).parents[1] / "fixtures" / "stdio_server.py"
CALL = "tools/call"
BATCHING = next(revision.name for revision in HANDSHAKES if revision.batch)


def tool(id: Any, name: str, **arguments: Any) -> dict[str, Any]:
    return enveloped(id, CALL, {"name": name, "arguments": arguments})


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


class Process:
    """A server process, spoken to from the test's own thread, with every wait bounded."""

    def __init__(self, *arguments: str, unbuffered: bool = False, **streams: Any) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        environment = {**os.environ, "PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONUNBUFFERED": "1" if unbuffered else ""}
        self.child = subprocess.Popen([sys.executable, SERVER, *arguments], env=environment, **pipes)
        self._alarm = threading.Timer(20, self.child.kill)
        self._alarm.start()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()
        self.child.kill()
        self.child.communicate()

    def say(self, *messages: Any) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(lines(*messages))
        self.child.stdin.flush()

    def hear(self) -> Any:
        assert self.child.stdout is not None
        return json.loads(self.child.stdout.readline())

    def ask(self, message: Any) -> Any:
        self.say(message)
        return self.hear()

    def finish(self, data: bytes = b"", seconds: float = 10) -> tuple[list[Any], str]:
        """Send the rest, close the input; every message that comes until the end, and what stands on stderr."""
        out, errors = self.child.communicate(data, timeout=seconds)
        return [json.loads(line) for line in out.splitlines()], errors.decode()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_flag(request: pytest.FixtureRequest) -> list[str]:
    return [] if request.param == "asyncio" else ["--uvloop"]


def test_what_is_piped_in_is_answered_before_the_end(loop_flag: list[str]) -> None:
    """STDIO-41, real-clients: fast and slow calls, a last line without a newline, then exit code 0."""
    calls = [tool(id, "sleep", seconds=0.2) if id % 50 == 0 else tool(id, "echo", n=id) for id in range(500)]
    with Process(*loop_flag) as server:
        data = lines(initialize("i"), *calls, request("p", "ping")).rstrip(b"\n")
        heard, errors = server.finish(data, seconds=2.5)
        assert server.child.returncode == 0
    assert {message["id"] for message in heard} == {"i", "p", *range(500)}
    assert all("result" in message for message in heard)
    assert heard[0]["id"] == "i"
    assert "Traceback" not in errors


@pytest.mark.parametrize("early", [False, True])
def test_nothing_can_corrupt_the_wire(loop_flag: list[str], early: bool) -> None:
    """STDIO-03, STDIO-05: print at import, in a tool, at the end, to the descriptor, a child's output and input.

    What is printed before the streams are taken is saved as long as Python buffers it; taking them early saves all.
    """
    with Process(*loop_flag, *(["--early"] if early else []), unbuffered=early) as server:
        server.say(tool(1, "noise"), tool(2, "echo"))
        said = [server.hear(), server.hear()]
        heard, errors = server.finish()
    assert [message["id"] for message in said] == [1, 2]
    assert said[0]["result"]["content"][0]["text"] == "input taken by a child: 0 characters"
    assert heard == []
    for words in ("while importing", "by print", "by sys.stdout", "by file descriptor", "by child", "at the end"):
        assert words in errors


def test_stdio_imports_nothing_of_http() -> None:
    """STDIO rule of the house: a client waits for every import."""
    with Process() as server:
        server.ask(request(1, "initialize", {"protocolVersion": BATCHING}))
        loaded = server.ask(request(2, "x/modules"))["result"]["content"][0]["text"]
    assert loaded == ""


def test_nor_does_the_server_object() -> None:
    """STDIO rule of the house: what a program imports to have tools to serve."""
    heavy = ("fastapi", "starlette", "uvicorn", "sse_starlette", "httpx", "httpx2", "redis", "prometheus_client")
    program = f"import sys, mcpkit.server, mcpkit.transports.stdio; print([n for n in {heavy} if n in sys.modules])"
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, timeout=30, check=True)
    assert said.stdout.strip() == b"[]"


def test_text_is_utf8_whatever_the_locale() -> None:
    """STDIO-07: the environment says C and ascii; raw U+2028 is no line end; CRLF and blank lines are fine."""
    with Process() as server:
        words = "中文 é \u2028 😀"
        raw = json.dumps(tool(1, "echo", words=words), ensure_ascii=False).encode()
        heard, _ = server.finish(b"\r\n\n" + raw + b"\r\n \t\n" + raw.replace(b'"id": 1', b'"id": 2') + b"\n")
    assert [message["id"] for message in heard] == [1, 2]
    assert words in heard[0]["result"]["content"][0]["text"]


def test_a_byte_order_mark_is_left_out_and_no_answer_breaks_its_line() -> None:
    """STDIO-07: some shells write the one, some clients split at U+0085, U+2028 and U+2029."""
    words = "a\u2028b\u2029c\x85d"
    with Process() as server:
        raw = json.dumps(tool(1, "echo", words=words), ensure_ascii=False).encode()
        assert server.child.stdin is not None
        server.child.stdin.write(b"\xef\xbb\xbf" + raw + b"\n")
        server.child.stdin.flush()
        assert server.child.stdout is not None
        line = server.child.stdout.readline()
    assert words in json.loads(line)["result"]["content"][0]["text"]
    assert len(line.decode().splitlines()) == 1


def test_bad_lines_are_answered_and_survived() -> None:
    """STDIO-09, STDIO-10: no JSON, bad UTF-8, a line beyond the limit; the next one is served."""
    with Process() as server:
        data = b"junk\n\xff\xfe\n" + b"x" * 300_000 + b"\n" + lines(tool(1, "echo")) + b"{" * 200_000
        heard, errors = server.finish(data)
        assert server.child.returncode == 0
    codes = [message["error"]["code"] if "error" in message else message["id"] for message in heard]
    assert codes == [-32700, -32700, -32600, 1, -32600]
    assert all("id" not in message for message in heard if "error" in message)
    assert "Traceback" not in errors


def test_a_batch_of_the_one_revision_that_has_them() -> None:
    """BAT-01, STDIO-11."""
    with Process() as server:
        opened = server.ask(initialize("i", BATCHING))
        assert opened["result"]["protocolVersion"] == BATCHING
        server.say(notification("notifications/initialized"), [request(1, "ping"), request(2, "ping")])
        assert [answer["id"] for answer in server.hear()] == [1, 2]


@pytest.mark.parametrize("name", ["sleep", "stuck"])
def test_a_process_ends_soon_after_its_input(name: str, loop_flag: list[str]) -> None:
    """STDIO-41, real-clients: code 0, even while a tool's thread can't be stopped; its caller is told."""
    with Process(*loop_flag) as server:
        server.say(tool(1, name, seconds=60), tool(2, "echo"))
        assert server.hear()["id"] == 2
        heard, _ = server.finish()
        assert server.child.returncode == 0
    assert [(message["id"], message["error"]["code"]) for message in heard] == [(1, -32603)]


def test_hanging_up_ends_the_process() -> None:
    """STDIO-42: the answer is written, then the process exits, though its input is still open."""
    with Process() as server:
        assert server.ask(tool(1, "bye"))["id"] == 1
        assert server.child.wait(10) == 0


def test_a_client_that_is_gone_ends_the_process() -> None:
    """STDIO-41: nobody reads any more; no traceback."""
    with Process() as server:
        server.ask(tool(1, "echo"))
        assert server.child.stdout is not None
        server.child.stdout.close()
        server.say(tool(2, "echo"))
        assert server.child.wait(10) == 0
        assert server.child.stderr is not None
        assert b"Traceback" not in server.child.stderr.read()


def test_regular_files_serve_as_well(tmp_path: Path, loop_flag: list[str]) -> None:
    """STDIO-02: `server < requests > answers`, which an event loop can't watch."""
    calls = tmp_path / "requests"
    calls.write_bytes(lines(*(tool(id, "echo", text="x" * 500) for id in range(1000))))
    with (
        calls.open("rb") as source,
        (tmp_path / "answers").open("wb") as sink,
        Process(*loop_flag, stdin=source, stdout=sink) as server,
    ):
        assert server.child.wait(15) == 0
    answers = [json.loads(line) for line in (tmp_path / "answers").read_bytes().splitlines()]
    assert [answer["id"] for answer in answers] == list(range(1000))


def test_no_input_at_all() -> None:
    """STDIO-41: started with an empty input, it ends."""
    with Process(stdin=subprocess.DEVNULL) as server:
        assert server.child.wait(10) == 0


def test_a_client_may_write_everything_before_it_reads(loop_flag: list[str]) -> None:
    """STDIO-08, STDIO-12: answers far beyond what a pipe holds, each whole, in order."""
    with Process(*loop_flag) as server:
        server.say(*(enveloped(id, "x/big", {"size": 50_000}) for id in range(100)), tool("c", "chatter", times=3000))
        answers = [server.hear() for _ in range(100)]
        assert [answer["id"] for answer in answers] == list(range(100))
        assert {len(answer["result"]["content"][0]["text"]) for answer in answers} == {50_000}
        said = [server.hear() for _ in range(3001)]
    assert [message["params"]["data"][0] for message in said[:-1]] == list(range(3000))
    assert said[-1]["id"] == "c"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_termination_is_no_crash() -> None:
    """STDIO-40: a client that is out of patience."""
    with Process() as server:
        server.ask(tool(1, "echo"))
        server.child.send_signal(signal.SIGTERM)
        assert server.child.wait(10) == -signal.SIGTERM


# ── within this process ─────────────────────────────────────────────────────────────────────────────────────────────


class Ends:
    """Two pipes, and the client's ends of them."""

    def __init__(self) -> None:
        read, self.write = os.pipe()
        self.read, write = os.pipe()
        self.pipes = Pipes(read, write)
        self.open = {self.read, self.write}
        self._heard = b""

    def close(self, *ends: int) -> None:
        for end in ends:
            os.close(end)
            self.open.discard(end)

    async def hear(self) -> Any:
        """One message, read in a thread so that the server can go on."""
        return json.loads(await asyncio.wait_for(asyncio.to_thread(self._line), SECONDS))

    def _line(self) -> bytes:
        while b"\n" not in self._heard:
            chunk = os.read(self.read, 1 << 16)
            assert chunk, "the server has closed its end"
            self._heard += chunk
        line, _, self._heard = self._heard.partition(b"\n")
        return line


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.close(*tuple(ends.open))


async def test_descriptors_are_closed_and_nothing_runs_on(ends: Ends) -> None:
    """STDIO-41: what was opened is closed."""
    serving = asyncio.create_task(serve_stdio(small_kernel(), pipes=ends.pipes))
    os.write(ends.write, lines(initialize(0)))
    assert (await ends.hear())["id"] == 0
    ends.close(ends.write)
    await asyncio.wait_for(serving, SECONDS)
    assert os.read(ends.read, 1) == b""
    for fd in (ends.pipes.read, ends.pipes.write):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_serving_can_be_cancelled(ends: Ends) -> None:
    """STDIO-42: by whoever runs it; calls in flight are cancelled, and nothing is left open."""
    kernel = small_kernel()
    left: list[str] = []

    async def wait(exchange: Any) -> Any:
        try:
            await exchange.notify("notifications/message", {})
            await asyncio.get_running_loop().create_future()
        finally:
            left.append("cleaned up")

    kernel.register(CALL, wait)
    serving = asyncio.create_task(serve_stdio(kernel, pipes=ends.pipes))
    os.write(ends.write, lines(tool(1, "wait")))
    await ends.hear()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(serving, SECONDS)
    assert (await ends.hear())["error"]["code"] == -32603
    assert left == ["cleaned up"]
    assert os.read(ends.read, 1) == b""


async def test_a_handler_waits_for_a_slow_reader_and_nobody_else_does(ends: Ends) -> None:
    """STDIO-08, STDIO-12: memory stays bounded by HIGH, reading goes on, a cancel still arrives."""
    kernel = small_kernel()
    words = 0
    left = asyncio.Event()

    async def chatter(exchange: Any) -> Any:
        nonlocal words
        try:
            while True:
                await exchange.notify("notifications/message", {"level": "info", "data": "x" * 10_000})
                words += 1
        finally:
            left.set()

    kernel.register(CALL, chatter)
    serving = asyncio.create_task(serve_stdio(kernel, pipes=ends.pipes))
    os.write(ends.write, lines(tool(1, "chatter")))
    await ends.hear()
    os.write(ends.write, lines(notification("notifications/cancelled", {"requestId": 1})))
    await asyncio.wait_for(left.wait(), SECONDS)
    assert 10 < words * 10_000 < stdio.HIGH + 2 * stdio.CHUNK
    ends.close(ends.write, ends.read)
    await asyncio.wait_for(serving, SECONDS)


async def test_reading_pauses_when_nothing_is_taken(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """STDIO-09: a client that only ever writes is made to wait; when it reads, all is served."""
    monkeypatch.setattr(stdio, "CHOKED", 100_000)
    monkeypatch.setattr(stdio, "HIGH", 50_000)
    kernel = small_kernel()
    served: list[int] = []

    async def big(exchange: Any) -> Any:
        served.append(exchange.id)
        return {"content": ["x" * 50_000]}

    kernel.register(CALL, big)
    serving = asyncio.create_task(serve_stdio(kernel, settings=Settings(), pipes=ends.pipes))
    count = 60
    for id in range(count):
        os.write(ends.write, lines(tool(id, "big")))
        for _ in range(3):
            await asyncio.sleep(0)
    assert len(served) < 10
    for id in range(count):
        assert (await ends.hear())["id"] == id
    assert served == list(range(count))
    ends.close(ends.write)
    await asyncio.wait_for(serving, SECONDS)
