"""A server as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, Unreachable
from mcpkit.client.limits import Bounds, Deadlines, Patience
from mcpkit.client.transports import watchdog
from mcpkit.client.transports.stdio import Command, Stdio
from mcpkit.client.transports.transport import Call
from mcpkit.jsonrpc.messages import Notification, Request
from tests.client.scripted import soon, until
from tests.conftest import require

PATIENCE = Patience(bounds=Bounds(message_bytes=10_000), deadlines=Deadlines(goodbye=5.0))

ECHO = """
import json, sys
def say(message): print(json.dumps(message), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "note":
        sys.stderr.write("noted\\n"); sys.stderr.flush()
    elif message.get("method") == "env":
        import os
        say({"jsonrpc": "2.0", "id": message["id"], "result": {"env": dict(os.environ), "cwd": os.getcwd()}})
    elif message.get("method") == "die":
        sys.stderr.write("out of memory\\n"); sys.exit(3)
    elif message.get("method") == "noise":
        print("banner"); print(); print('{"jsonrpc":"2.0","id":"stranger","result":{}}'); print("x" * 20_000)
        print('{"jsonrpc":"2.0","method":"n"}\\r')
        say({"jsonrpc": "2.0", "id": message["id"], "result": {}})
    elif "id" in message:
        say({"jsonrpc": "2.0", "id": message["id"], "result": message.get("params", {})})
"""


class Child:
    """A transport to a Python program, and what it was told."""

    def __init__(self, program: str, patience: Patience = PATIENCE, **options: object) -> None:
        self.errors: list[str] = []
        self.received: list[Request | Notification] = []
        self.lost: asyncio.Future[ClientError] = asyncio.get_running_loop().create_future()
        command = Command([sys.executable, "-c", program], stderr=self.errors.append, **options)  # type: ignore[arg-type]
        self.transport = Stdio(command, patience)

    async def open(self) -> Stdio:
        await soon(self.transport.open(self.received.append, self.lost.set_result))
        return self.transport

    @property
    def pid(self) -> int:
        assert self.transport._process is not None
        return self.transport._process.pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_message_a_line() -> None:
    """STDIO-01, STDIO-02, STDIO-08: many at once, each whole, none larger than its pipe."""
    child = Child(ECHO, Patience(deadlines=Deadlines(goodbye=5.0)))
    transport = await child.open()
    transport.speak(None)
    await transport.listen()
    big = "é\u2028\n" * 50_000
    calls = [transport.call(Call("m", {"n": n, "text": big})) for n in range(5)]
    answers = await soon(asyncio.gather(*calls))
    assert [(answer["n"], answer["text"] == big) for answer in answers] == [(n, True) for n in range(5)]
    await soon(transport.close())


async def test_noise_is_survived() -> None:
    """STDIO-03, STDIO-07, STDIO-09: banners, blanks, strangers' ids, lines without measure."""
    child = Child(ECHO)
    transport = await child.open()
    assert await soon(transport.call(Call("noise", {}))) == {}
    assert child.received == [Notification("n", {})]
    await soon(transport.close())


async def test_its_errors_are_heard_and_mean_nothing() -> None:
    """STDIO-06: standard error is drained and shown, and is no failure."""
    child = Child(ECHO)
    transport = await child.open()
    await soon(transport.send(Notification("note", {})))
    assert await soon(transport.call(Call("m", {"a": 1}))) == {"a": 1}
    await soon(transport.close())
    assert child.errors == ["noted"]


async def test_few_variables_are_inherited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """STDIO-46, STDIO-47, LOC-04: what was configured, and what any program needs; no secret of ours."""
    monkeypatch.setenv("API_KEY", "secret")
    monkeypatch.setenv("TERM", "() { :; }")
    child = Child(ECHO, env={"MINE": "1"}, cwd=str(tmp_path))
    transport = await child.open()
    seen = await soon(transport.call(Call("env", {})))
    assert seen["env"]["MINE"] == "1"
    assert seen["env"]["PATH"] == os.environ["PATH"]
    assert "API_KEY" not in seen["env"]
    assert "TERM" not in seen["env"]
    assert seen["cwd"].endswith(tmp_path.name)
    await soon(transport.close())


async def test_a_death_is_told_with_its_last_words() -> None:
    """STDIO-44: calls underway fail, with a local error; nothing more can be sent."""
    child = Child(ECHO)
    transport = await child.open()
    with pytest.raises(ConnectionLost, match=r"ended with code 3; it said: out of memory"):
        await soon(transport.call(Call("die", {})))
    assert isinstance(await soon(child.lost), ConnectionLost)
    with pytest.raises(ConnectionLost):
        await soon(transport.call(Call("m", {})))
    await soon(transport.close())
    with pytest.raises(ConnectionLost):
        await soon(transport.send(Notification("n", {})))


async def test_a_killed_child_is_noticed() -> None:
    """STDIO-42, STDIO-43."""
    child = Child(ECHO)
    await child.open()
    os.kill(child.pid, signal.SIGKILL)
    assert "code -9" in str(await soon(child.lost))
    await soon(child.transport.close())


@pytest.mark.parametrize("words", [["no-such-program-at-all"], ["/"], ["a\x00b"]])
async def test_what_does_not_start(words: list[str]) -> None:
    """Unreachable: nothing was sent."""
    transport = Stdio(Command(words), PATIENCE)
    with pytest.raises(Unreachable, match="can't be started"):
        await soon(transport.open(lambda _: None, lambda _: None))
    await soon(transport.close())
    with pytest.raises(ConnectionLost):
        await soon(transport.call(Call("m", {})))


async def test_what_is_printed_where_messages_belong_is_told() -> None:
    """The first such line, without what a terminal would obey; lines on standard error say more."""
    child = Child("import sys; print('\x1b[31mHello\x1b[0m'); print('again'); sys.exit(3)")
    await child.open()
    assert str(await soon(child.lost)).endswith(
        'ended with code 3; it printed "Hello" to standard output, which is for messages only: log to stderr'
    )
    await soon(child.transport.close())
    child = Child("import sys; print('Hello'); sys.exit('out of memory')")
    await child.open()
    assert str(await soon(child.lost)).endswith("ended with code 1; it said: out of memory")
    await soon(child.transport.close())


async def test_no_shell_is_asked() -> None:
    """LOC-04: words are words."""
    transport = Stdio(Command([sys.executable, "-c", ECHO, "; exit 1", "$(exit 1)"]), PATIENCE)
    await soon(transport.open(lambda _: None, lambda _: None))
    assert await soon(transport.call(Call("m", {"x": 1}))) == {"x": 1}
    await soon(transport.close())


@pytest.mark.parametrize(
    ("program", "step"),
    [
        ("import sys; sys.stdin.read()", "input closed"),
        ("import time\nwhile True: time.sleep(60)", "SIGTERM"),
        ("import signal, time\nsignal.signal(15, signal.SIG_IGN)\nwhile True: time.sleep(60)", "SIGKILL"),
    ],
)
async def test_the_end_is_orderly_and_certain(program: str, step: str) -> None:
    """STDIO-40: its input closed, then asked, then made to."""
    child = Child(program, Patience(deadlines=Deadlines(goodbye=0.3 if step != "input closed" else 8.0)))
    await child.open()
    pid = child.pid
    await soon(child.transport.close())
    assert not alive(pid)
    await soon(child.transport.close())


async def test_what_it_left_behind_is_ended_too(tmp_path: Path) -> None:
    """LOC-04: the whole process group."""
    note = tmp_path / "pid"
    program = f"""
import pathlib, subprocess, sys
quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **quiet)
pathlib.Path({str(note)!r}).write_text(str(child.pid))
print('{{"jsonrpc":"2.0","method":"ready"}}', flush=True)
sys.stdin.read()
"""
    child = Child(program)
    ready = asyncio.Event()
    await soon(child.transport.open(lambda _: ready.set(), lambda _: None))
    await soon(ready.wait())
    grandchild = int(note.read_text())
    await soon(child.transport.close())
    await until(lambda: not alive(grandchild) or _state(grandchild) == "Z")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


async def test_cancelling_tells_the_server() -> None:
    """STDIO-34."""
    program = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "notifications/cancelled":
        print(json.dumps({"jsonrpc": "2.0", "method": "told", "params": message["params"]}), flush=True)
    else:
        print(json.dumps({"jsonrpc": "2.0", "method": "begun"}), flush=True)
"""
    child = Child(program)
    queue: asyncio.Queue[Request | Notification] = asyncio.Queue()
    await soon(child.transport.open(queue.put_nowait, lambda _: None))
    call = Call("slow", {})
    task = asyncio.create_task(child.transport.call(call))
    assert (await soon(queue.get())).method == "begun"
    task.cancel()
    assert await soon(queue.get()) == Notification("told", {"requestId": call.id})
    await soon(child.transport.close())


WRONG = """
import json, sys
def say(text): sys.stdout.buffer.write(text); sys.stdout.flush()
for line in sys.stdin:
    message = json.loads(line)
    head = b'{"jsonrpc":"2.0","id":%d,"result":' % message["id"]
    if message["method"] == "huge":
        say(head + b'{"text":"' + b"x" * 1_000_000 + b'"}}\\n')
    elif message["method"] == "bytes":
        say(head + b'{"x":"\\xff"}}\\n')
    elif message["method"] == "last":
        say(head + b'{"last":true}}')
        sys.exit()
    else:
        say(head + b'{}}\\n')
"""


async def test_an_answer_that_is_too_long_fails_at_once_and_the_next_call_works() -> None:
    """The waiting call says why; lines in other encodings and a last line without its end are understood, too."""
    child = Child(WRONG)
    transport = await child.open()
    with pytest.raises(ProtocolViolation, match="longer than the 10000 bytes allowed"):
        await soon(transport.call(Call("huge", {})))
    with pytest.raises(ProtocolViolation, match="UTF-8"):
        await soon(transport.call(Call("bytes", {})))
    assert await soon(transport.call(Call("m", {}))) == {}
    assert await soon(transport.call(Call("last", {}))) == {"last": True}
    await soon(transport.close())


async def test_what_fails_at_the_start_says_the_line_that_tells_why() -> None:
    """Whatever follows it on standard error."""
    child = Child(
        "import sys, atexit; atexit.register(lambda: sys.stderr.write('bye\\n' * 50)); import nowhere_to_be_found"
    )
    await child.open()
    told = str(await soon(child.lost))
    assert told.endswith("it said: ModuleNotFoundError: No module named 'nowhere_to_be_found'")
    await soon(child.transport.close())


PARENT = """
import asyncio, os, sys
from mcpkit.client.limits import Patience
from mcpkit.client.transports import watchdog
from mcpkit.client.transports.stdio import Command, Stdio

async def main():
    transport = Stdio(Command([sys.executable, "-c", sys.argv[1]]), Patience())
    await transport.open(print, print)
    await asyncio.Event().wait()

asyncio.run(main())
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(FIFO, "w") as fifo: fifo.write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


BLOCKING = """
import os, sys, time
from mcpkit.client import BlockingClient

BlockingClient([sys.executable, "-c", sys.argv[1]], mode="legacy").__enter__()
END
"""
ANSWERS = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": hello}), flush=True)
    elif message.get("method") == "notifications/initialized":
        break
"""
SIGNALS = [
    getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGABRT") if hasattr(signal, name)
]


@pytest.mark.parametrize("number", SIGNALS)
async def test_children_end_with_us_whatever_signal_ends_us(number: int, tmp_path: Path) -> None:
    """Also one that ignores SIGTERM and the end of its input, and what it has started itself."""
    require(sys.platform != "win32", "there are no process groups")
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    program = STUBBORN.replace("FIFO", repr(str(fifo)))
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, program)
    pids = await started(fifo)
    parent.send_signal(number)
    assert await asyncio.wait_for(parent.wait(), 20) == -number
    await ended(pids)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("raise RuntimeError('nobody catches this')", 1),
        ("sys.exit(3)", 3),
        ("os._exit(7)", 7),
        ("os.abort()", -signal.SIGABRT),
        ("", 0),
    ],
)
async def test_children_end_with_a_program_that_never_closes_its_client(end: str, code: int, tmp_path: Path) -> None:
    """However it ends; it is not held up by them either."""
    require(sys.platform != "win32", "there are no process groups")
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    program = ANSWERS + STUBBORN.replace("FIFO", repr(str(fifo)))
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BLOCKING.replace("END", end), program), stderr=asyncio.subprocess.DEVNULL
    )
    pids = await started(fifo)
    assert await asyncio.wait_for(parent.wait(), 20) == code
    await ended(pids)


async def test_nothing_is_left_of_fifty_clients() -> None:
    """No zombie, no watchdog, whether a server ended in order, by itself, or never began."""
    require(sys.platform == "linux", "there is no /proc")
    before = children()
    for _ in range(10):
        transports = [Stdio(Command(words), PATIENCE) for words in (["cat"], ["cat"], ["true"], ["false"], ["nowhere"])]
        await soon(
            asyncio.gather(*(one.open(lambda _: None, lambda _: None) for one in transports), return_exceptions=True)
        )
        assert len(children() - before) >= 2
        await soon(asyncio.gather(*(one.close() for one in transports)))
    assert children() <= before


async def test_where_there_is_no_shell_servers_start_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once."""
    monkeypatch.setattr(watchdog, "_SHELL", "/nowhere/sh")
    watchdog._tell_once.cache_clear()
    for _ in range(3):
        child = Child(ECHO)
        transport = await child.open()
        assert await soon(transport.call(Call("m", {"x": 1}))) == {"x": 1}
        await soon(transport.close())
    (said,) = [one.message for one in caplog.records if "when this process is killed" in one.message]
    assert "/nowhere/sh" in said


async def started(fifo: Path) -> list[int]:
    """The processes that tell of themselves there."""
    pids = [int(word) for word in (await asyncio.wait_for(asyncio.to_thread(fifo.read_text), 20)).split()]
    assert pids
    return pids


async def ended(pids: list[int]) -> None:
    """Wait until none of them is left."""
    async with asyncio.timeout(20):
        while any(map(running, pids)):  # noqa: ASYNC110 - nothing tells of a process that is not ours
            await asyncio.sleep(0)


def children() -> set[int]:
    """The processes that this one has started and not yet heard the end of, zombies among them."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def running(pid: int) -> bool:
    """It is there, and no zombie, which a container without an init may keep."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if sys.platform == "linux" else ""
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
