"""The hot path is guarded by counts, not by clocks: calls made, tasks born, awaits that really wait.

A bare ``tools/call`` runs in its caller's own task from end to end, and makes few enough calls to be read in one go.
What must never stand here: a measurement in seconds (bench/ has those).
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import logging
import sys
import tracemalloc
from collections import Counter
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import orjson
import pytest

from mcpkit import Context
from mcpkit.observe.audit import Audit
from mcpkit.observe.metrics import Metrics
from mcpkit.protocol.changes import TOOLS_CHANGED, Notice
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, PLAIN
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.server import Server
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports import cycles
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.exchanges import exchange

LIMIT = 100
OBSERVED = 20
"""What metrics and a silent audit trail may add."""
IN_SESSION = 14
"""What a session may add: finding it, its phase, keeping its calls in flight."""
AWAITS = 20
"""Coroutines that a posted call may go through, the tool and the test's own three included; each level costs."""
PEAK_BYTES = 8_500
"""What a posted call may hold at its fullest moment, the request itself aside."""
NOTICE, STORED_NOTICE = 20, 46
"""Calls for one more notification of a call; what a session stores as well, to be resumed from."""
NOTICE_AWAITS, STORED_NOTICE_AWAITS = 2, 5
HEARD_NOTICE = 16
"""Calls for one more stream that hears a notice; waking its task for it takes three times as many."""
CALLS = 200
SUM = {"name": "add", "arguments": {"a": 2, "b": 3}}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": NEWEST.name,
    "io.modelcontextprotocol/clientInfo": {"name": "tester", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
DOORS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "plain": (SUM, {}),
    "handshake era, no session": (SUM, {"mcp-protocol-version": NEWEST_HANDSHAKE.name}),
    "envelope": (
        {**SUM, "_meta": ENVELOPE},
        {"mcp-protocol-version": NEWEST.name, "mcp-method": "tools/call", "mcp-name": "add"},
    ),
}
"""Door → the params of a call there, and the header fields that it brings besides the usual."""


@dataclass(slots=True)
class Cost:
    """What one run of a coroutine took."""

    result: Any = None
    calls: Counter[str] = field(default_factory=Counter)
    awaits: int = 0
    tasks: int = 0
    waited: bool = False

    @property
    def events(self) -> int:
        """Calls of Python and C functions alike."""
        return sum(self.calls.values())

    def __str__(self) -> str:
        return "\n".join(f"{count:4} {name}" for name, count in self.calls.most_common())


def measure(coroutine: Coroutine[Any, Any, Any]) -> Cost:
    """Run a coroutine within the running task up to its first real wait, counting."""
    cost, loop = Cost(), asyncio.get_running_loop()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            cost.awaits += bool(frame.f_code.co_flags & inspect.CO_COROUTINE)
            cost.calls[f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            cost.calls[getattr(argument, "__qualname__", repr(argument))] += 1

    def born(loop: asyncio.AbstractEventLoop, inner: Any, **options: Any) -> asyncio.Task[Any]:
        cost.tasks += 1
        return asyncio.Task(inner, loop=loop, **options)

    loop.set_task_factory(born)
    sys.setprofile(count)
    try:
        coroutine.send(None)
        cost.waited = True
    except StopIteration as end:
        cost.result = end.value
    finally:
        sys.setprofile(None)
        loop.set_task_factory(None)
        coroutine.close()
    cost.calls -= Counter(["coroutine.send", "setprofile"])  # our own two
    return cost


def assert_lean(cost: Cost, limit: int = LIMIT) -> None:
    """Few calls, few coroutines, no task, no wait."""
    assert not cost.waited, "an await on the hot path really waits: it must run through in the caller's own task"
    assert not cost.tasks, f"{cost.tasks} tasks were born: a plain answer needs none"
    assert cost.awaits <= AWAITS, f"{cost.awaits} coroutines, {AWAITS} are allowed: each level costs\n{cost}"
    assert cost.events <= limit, f"{cost.events} calls, {limit} are allowed; decide more at registration:\n{cost}"


class Wait:
    """An await that really waits."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def wait() -> None:
    await Wait()


async def bear_a_task() -> None:
    task = asyncio.get_running_loop().create_task(wait())
    task.cancel()


async def await_a_lot(levels: int = AWAITS + 1) -> None:
    if levels > 1:
        await await_a_lot(levels - 1)


async def call_a_lot() -> None:
    for number in range(LIMIT + 1):
        abs(number)


@pytest.mark.parametrize("fat", [wait, bear_a_task, call_a_lot, await_a_lot])
async def test_the_guard_bites(fat: Any) -> None:
    """It sees a wait, a task, a call and a coroutine too many."""
    cost = measure(fat())
    with pytest.raises(AssertionError):
        assert_lean(cost)


async def test_the_guard_lets_through() -> None:
    """Calls within the limit, and awaits that don't wait."""

    async def inner() -> int:
        return abs(-1)

    async def lean() -> int:
        return await inner()

    cost = measure(lean())
    assert_lean(cost)
    assert (cost.result, cost.events) == (1, 3)


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def server() -> Server:
    """A server with one tool."""
    made = Server("hot")
    made.tool(add)
    return made


@pytest.fixture
def endpoint(server: Server) -> McpEndpoint:
    """Its door to HTTP."""
    return McpEndpoint(server.kernel, MemoryStore(), Gate(Settings()), Settings())


class Post:
    """One HTTP POST as an ASGI server hands it over, all there at once."""

    def __init__(self, params: dict[str, Any], headers: dict[str, str], method: str = "tools/call") -> None:
        self.body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        usual = {
            "host": "127.0.0.1:12000",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "content-length": str(len(self.body)),
        }
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": "/api",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in (usual | headers).items()],
            "client": ("127.0.0.1", 1),
        }
        self.sent: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Any) -> None:
        self.sent.append(message)


@pytest.mark.parametrize("revision", [NEWEST, NEWEST_HANDSHAKE, PLAIN], ids=lambda revision: revision.name or "plain")
async def test_a_served_call_is_lean(server: Server, revision: Revision) -> None:
    """From an exchange to its result, the second time (what is decided once is decided)."""
    await server.kernel.serve(exchange("tools/call", SUM, revision=revision))
    cost = measure(server.kernel.serve(exchange("tools/call", SUM, revision=revision)))
    assert_lean(cost)
    assert cost.result["content"] == [{"type": "text", "text": "5"}]


@pytest.mark.parametrize("door", DOORS)
async def test_a_posted_call_is_lean(endpoint: McpEndpoint, door: str) -> None:
    """From the first ASGI message to the last, the second time."""
    assert_lean(posted(endpoint, *DOORS[door]))


async def test_a_call_in_a_session_is_lean(endpoint: McpEndpoint) -> None:
    """The session's id is new, the rest of the head is known."""
    assert_lean(posted(endpoint, SUM, await session(endpoint)), LIMIT + IN_SESSION)


@pytest.mark.parametrize("door", DOORS)
async def test_observers_cost_little(server: Server, endpoint: McpEndpoint, door: str) -> None:
    """Metrics and a silent audit trail."""
    server.observe(Metrics())
    server.observe(Audit())
    assert_lean(posted(endpoint, *DOORS[door]), LIMIT + OBSERVED)


@pytest.mark.parametrize("door", DOORS)
async def test_a_call_holds_little(endpoint: McpEndpoint, door: str) -> None:
    """Bytes that are allocated at once while it is served."""
    posted(endpoint, *DOORS[door])
    post = Post(*DOORS[door])
    call = endpoint(post.scope, post.receive, post.send)
    tracemalloc.start()
    try:
        with pytest.raises(StopIteration):
            call.send(None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= PEAK_BYTES, f"{peak} bytes at once, {PEAK_BYTES} are allowed"


class Pipe:
    """Where uvicorn's protocol would write to."""

    write_paused = False

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def cycle_on(pipe: Any, post: Post) -> cycles.DirectCycle:
    """The response to a request, as the server makes it."""
    logger: Any = logging.getLogger("uvicorn.error")
    scope: Any = post.scope
    done, event = (lambda: None), asyncio.Event()
    cycle = cycles.DirectCycle(scope, pipe, pipe, logger, logger, False, [], event, False, True, done)
    cycle.spoke = 1.0
    return cycle


def told(endpoint: McpEndpoint, headers: dict[str, str], envelope: dict[str, Any], times: int) -> tuple[Cost, bytes]:
    """What a call takes that sends some notifications, the second time; and what was written, in one go."""
    pipe = Pipe()
    for _ in range(2):
        pipe.written.clear()
        params = {"name": "tell", "arguments": {"times": times}, "_meta": {"progressToken": 1, **envelope}}
        post = Post(params, headers)
        cost = measure(endpoint(post.scope, post.receive, cycle_on(pipe, post).send))
    [written] = pipe.written
    assert not cost.waited
    assert not cost.tasks
    return cost, written


@pytest.mark.parametrize("stored", [False, True], ids=["newest", "session"])
async def test_a_notification_is_lean(
    server: Server, endpoint: McpEndpoint, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """Calls and coroutines for each one more; all leave in one write, with the answer."""

    async def tell(times: int, ctx: Context) -> str:
        for number in range(times):
            await ctx.report_progress(number + 1)
        return "told"

    server.tool(tell)
    monkeypatch.setattr(cycles, "monotonic", lambda: 1.0)
    headers = await session(endpoint) if stored else {**DOORS["envelope"][1], "mcp-name": "tell"}
    (one, _), (many, written) = (told(endpoint, headers, {} if stored else ENVELOPE, times) for times in (1, 11))
    assert written.count(b"notifications/progress") == 11
    calls, awaits = (STORED_NOTICE, STORED_NOTICE_AWAITS) if stored else (NOTICE, NOTICE_AWAITS)
    assert many.events - one.events <= 10 * calls, f"{(many.events - one.events) / 10} calls\n{many}"
    assert many.awaits - one.awaits <= 10 * awaits, f"{(many.awaits - one.awaits) / 10} coroutines\n{many}"


class Patient(Post):
    """A request whose client stays."""

    async def receive(self) -> dict[str, Any]:
        if not self.body:
            await asyncio.Event().wait()
        body, self.body = self.body, b""
        return {"type": "http.request", "body": body, "more_body": False}


async def heard(server: Server, endpoint: McpEndpoint, count: int) -> Counter[str]:
    """What a notice to so many streams takes, the second time; each is told in one write."""
    pipe, streams = Pipe(), []
    headers = {**DOORS["envelope"][1], "mcp-method": "subscriptions/listen"}
    params = {"notifications": {"toolsListChanged": True}, "_meta": ENVELOPE}
    for _ in range(count):
        post = Patient(params, headers, "subscriptions/listen")
        streams.append(asyncio.ensure_future(endpoint(post.scope, post.receive, cycle_on(pipe, post).send)))
    calls = Counter[str]()

    def record(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_qualname}"] += 1
        elif event == "c_call":
            calls[getattr(argument, "__qualname__", repr(argument))] += 1

    for _ in range(2):
        await turns()
        pipe.written.clear()
        calls.clear()
        sys.setprofile(record)
        try:
            server.kernel.changes.publish(Notice(TOOLS_CHANGED))
            await turns()
        finally:
            sys.setprofile(None)
        assert [TOOLS_CHANGED.encode() in piece for piece in pipe.written] == [True] * count
    server.close_streams()
    await asyncio.wait_for(asyncio.gather(*streams), 5)
    return calls


async def turns() -> None:
    """As many as a notice needs to arrive."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_notice_to_one_more_stream_is_lean(
    server: Server, endpoint: McpEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SUB-11: thousands may listen; no task is woken for any of them."""
    monkeypatch.setattr(cycles, "monotonic", itertools.count().__next__)
    one, many = await heard(server, endpoint, 1), await heard(server, endpoint, 11)
    more = many - one
    assert more.total() <= 10 * HEARD_NOTICE, f"{more.total() / 10} calls\n{more.most_common()}"


async def test_calls_leave_nothing_behind(endpoint: McpEndpoint) -> None:
    """Memory is as it was, whichever door they came through."""
    heads = [*DOORS.values(), (SUM, await session(endpoint))]

    async def some() -> int:
        for params, headers in heads * (CALLS // len(heads)):
            post = Post(params, headers)
            await endpoint(post.scope, post.receive, post.send)
        gc.collect()
        return sys.getallocatedblocks()

    await some()
    before = await some()
    assert await some() - before < CALLS // 10


async def session(endpoint: McpEndpoint) -> dict[str, str]:
    """The header fields that name a new session."""
    opening = {
        "protocolVersion": NEWEST_HANDSHAKE.name,
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    post = Post(opening, {}, "initialize")
    await endpoint(post.scope, post.receive, post.send)
    [id] = [value for name, value in post.sent[0]["headers"] if name == b"mcp-session-id"]
    return {"mcp-protocol-version": NEWEST_HANDSHAKE.name, "mcp-session-id": id.decode()}


def posted(endpoint: McpEndpoint, params: dict[str, Any], headers: dict[str, str]) -> Cost:
    """What the second of two equal calls took; its answer is right."""
    for _ in range(2):
        post = Post(params, headers)
        cost = measure(endpoint(post.scope, post.receive, post.send))
    start, *rest = post.sent
    assert start["status"] == 200
    answer = orjson.loads(b"".join(message["body"] for message in rest))
    assert answer["result"]["content"] == [{"type": "text", "text": "5"}]
    return cost
