"""Whatever a handler or a hook ends by, its request is answered: every door, revision, kind of feature and of end.

What must never stand here: one door's ways.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from mcpkit import Context, RpcError, Server, ToolResult
from mcpkit.kernel import Handler
from mcpkit.observe.events import Served
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import HANDSHAKE_NAMES, NEWEST, REVISIONS
from mcpkit.sessions.memory import MemoryStore
from mcpkit.settings import Settings
from mcpkit.transports.gate import Gate
from mcpkit.transports.streamable_http import McpEndpoint
from tests.features.test_running import Clock
from tests.pipes import Pipe, enveloped
from tests.transports.asgi_client import Call, Wire, modern, notification, request
from tests.transports.test_http_sse import Sse

SECONDS = 10.0
BATCHING = next(name for name in HANDSHAKE_NAMES if REVISIONS[name].batch)


class Panic(BaseException):
    """What a native extension raises when it panics."""


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def cancel_another() -> None:
    """Cancel a task and wait for it, as code that cleans up does."""
    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    task.cancel()
    await task


async def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def cancel_itself_by_callback() -> None:
    """The cancellation comes while the handler waits, as one from outside does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    await forever()


async def in_a_group() -> None:
    async def fail() -> None:
        raise Panic("in a task of its own")

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def end() -> None:
        raise error

    return end


def deeper() -> None:
    deeper()


async def too_deep() -> None:
    deeper()


BY_CALLBACK = "cancel itself by a callback"
ENDS: dict[str, Callable[[], Awaitable[None]]] = {
    "cancel another": cancel_another,
    "cancel itself": cancel_itself,
    BY_CALLBACK: cancel_itself_by_callback,
    "TaskGroup": in_a_group,
    "recursion": too_deep,
    "CancelledError": raising(asyncio.CancelledError()),
    "BaseExceptionGroup": raising(BaseExceptionGroup("g", [asyncio.CancelledError()])),
    "group of RpcErrors": raising(ExceptionGroup("g", [RpcError(-32099, "inside")])),
    "Panic": raising(Panic("rust")),
    "KeyboardInterrupt": raising(KeyboardInterrupt()),
    "SystemExit": raising(SystemExit(3)),
    "GeneratorExit": raising(GeneratorExit()),
    "StopIteration": raising(StopIteration(1)),
    "StopAsyncIteration": raising(StopAsyncIteration()),
    "MemoryError": raising(MemoryError()),
    "TimeoutError": raising(TimeoutError()),
    "RpcError that is no JSON": raising(RpcError(-32099, "odd", object())),
}
MOMENTS = ("at once", "later")


async def end(how: str, when: str) -> None:
    """End like that, at once or after a wait."""
    if when == "later":
        await asyncio.sleep(0)
    await ENDS[how]()


def end_sync(how: str) -> None:
    """End like that without an event loop."""
    work = ENDS[how]()
    try:
        work.send(None)  # type: ignore[attr-defined]  # all of them are coroutines
    finally:
        work.close()  # type: ignore[attr-defined]


AT_ONCE = tuple(how for how in ENDS if how not in ("cancel another", "cancel itself", BY_CALLBACK, "TaskGroup"))
"""Those that need no event loop."""


@dataclass
class Watch:
    """An observer that fails as everything else does."""

    how: str = ""
    events: list[str | None] = field(default_factory=list)

    def began(self, method: str) -> None:
        self._fail()

    def served(self, event: Served) -> None:
        self.events.append(event.error)
        self._fail()

    def _fail(self) -> None:
        if self.how:
            end_sync(self.how)


def build(watch: Watch | None = None) -> Server:  # noqa: C901 - a list, however long
    """A server of which nothing ends well."""
    server = Server("endings")

    @server.tool
    async def ends(how: str, when: str) -> str:
        await end(how, when)
        return "not reached"

    @server.tool
    async def speaks(how: str, when: str, ctx: Context) -> str:
        await ctx.report_progress(1)
        await end(how, when)
        return "not reached"

    @server.tool
    def blocks(how: str) -> str:
        end_sync(how)
        return "not reached"

    @server.tool(inline=True)
    def inline(how: str) -> str:
        end_sync(how)
        return "not reached"

    @server.tool
    async def unspeakable(how: str) -> ToolResult:
        class Odd:
            def __mcp_result__(self) -> Any:
                end_sync(how)

        return Odd()  # type: ignore[return-value]  # an author may do worse

    @server.tool
    async def well() -> str:
        return "well"

    @server.resource("end://{how}/{when}")
    async def data(how: str, when: str) -> str:
        await end(how, when)
        return "not reached"

    @server.prompt
    async def words(how: str, when: str) -> str:
        await end(how, when)
        return "not reached"

    @server.completion
    async def complete(ref: Any, argument: Any, context: Any) -> list[str]:
        if argument.value in ENDS:
            await end(argument.value, context.arguments["when"])
        return []

    async def method(params: dict[str, Any]) -> dict[str, Any]:
        await end(params["how"], params["when"])
        return {}

    async def hook(exchange: Exchange, call: Handler) -> Any:
        if "hook" in exchange.params:
            await end(exchange.params["hook"], exchange.params["when"])
        return await call(exchange)

    async def heard(exchange: Exchange) -> None:
        await end(exchange.params["how"], exchange.params["when"])

    def seen(exchange: Exchange) -> bool:
        if "seen" in exchange.params:
            end_sync(exchange.params["seen"])
        return True

    server.register_method("x/end", method)
    server.register_method("x/well", lambda params: {"well": True})
    server.kernel.on_notification("notifications/progress", heard)
    server.add_tool(lambda: "guarded", name="guarded", visible=seen)
    server.use(hook)
    server.kernel.around("x/well", around)
    if watch is not None:
        server.observe(watch)
    return server


async def around(exchange: Exchange, call: Handler) -> Any:
    if "around" in exchange.params:
        await end(exchange.params["around"], exchange.params["when"])
    return await call(exchange)


def fails(answer: Any) -> bool:
    """A tool that failed."""
    return answer["result"]["isError"] is True and "failed" in answer["result"]["content"][0]["text"]


def is_internal(answer: Any) -> bool:
    return bool(answer["error"]["code"] == -32603)


Asked = tuple[str, dict[str, Any], Callable[[Any], bool]]


def questions(how: str) -> Iterator[Asked]:
    """Every kind of feature that ends like that."""
    for when in MOMENTS:
        both = {"how": how, "when": when}
        odd = how == "RpcError that is no JSON"
        yield "tools/call", {"name": "ends", "arguments": both}, is_internal if odd else fails
        yield "resources/read", {"uri": f"end://{how.replace(' ', '%20')}/{when.replace(' ', '%20')}"}, is_internal
        yield "prompts/get", {"name": "words", "arguments": both}, is_internal
        typed = {"name": "how", "value": how}
        reference = {"type": "ref/prompt", "name": "words"}
        context = {"arguments": {"when": when}}
        yield "completion/complete", {"ref": reference, "argument": typed, "context": context}, is_internal
        yield "x/end", both, is_internal
        yield "x/well", {"around": how, "when": when}, is_internal
        unknown = fails if how == BY_CALLBACK else is_internal  # nobody can tell whose it was
        yield "tools/call", {"hook": how, "when": when, "name": "well"}, unknown
        yield "tools/list", {"hook": how, "when": when}, is_internal
    if how in AT_ONCE:
        yield "tools/list", {"seen": how}, is_internal
        yield "tools/call", {"seen": how, "name": "guarded"}, is_internal
    if how in AT_ONCE:
        for name in ("blocks", "inline", "unspeakable"):
            yield "tools/call", {"name": name, "arguments": {"how": how}}, is_internal if odd else fails


# ── the doors ────────────────────────────────────────────────────────────────────────────────────────────────────────

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


def endpoint(server: Server) -> McpEndpoint:
    settings = Settings()
    return McpEndpoint(server.kernel, MemoryStore(), Gate(settings), settings)


def only(call: Call) -> Any:
    """The one answer, whatever form it came in; no status of a server that failed."""
    assert call.status < 500, call.body
    if call.headers["content-type"].startswith("application/json"):
        return call.json
    return None


async def said(call: Call, id: Any = 1) -> Any:
    answer = only(await call.done())
    if answer is None:
        answer = next(message for message in await call.messages() if message.get("id") == id)
    assert answer["id"] == id
    return answer


@asynccontextmanager
async def posted(server: Server, headers: dict[str, str | None]) -> AsyncIterator[Ask]:
    wire = Wire(endpoint(server))

    async def ask(method: str, params: dict[str, Any]) -> Any:
        return await said(wire.post(request(method, params), headers))

    yield ask


@asynccontextmanager
async def envelope(server: Server) -> AsyncIterator[Ask]:
    wire = Wire(endpoint(server))

    async def ask(method: str, params: dict[str, Any]) -> Any:
        return await said(wire.post(*modern(method, params, **params.get("_meta", {}))))

    yield ask


@asynccontextmanager
async def in_session(server: Server, revision: str) -> AsyncIterator[Ask]:
    session = await Wire(endpoint(server)).open(revision)

    async def ask(method: str, params: dict[str, Any]) -> Any:
        return await said(session.post(request(method, params)))

    yield ask


@asynccontextmanager
async def in_batch(server: Server, revision: str | None) -> AsyncIterator[Ask]:
    wire = Wire(endpoint(server))
    sender: Any = wire if revision is None else await wire.open(revision)

    async def ask(method: str, params: dict[str, Any]) -> Any:
        batch = [request("ping", id="before"), request(method, params), request("ping", id="after")]
        answers = only(await sender.ask(batch))
        assert [answer["id"] for answer in answers] == ["before", 1, "after"]
        assert answers[0]["result"] == answers[2]["result"] == {}
        return answers[1]

    yield ask


@asynccontextmanager
async def on_stream(server: Server, revision: str) -> AsyncIterator[Ask]:
    served: Any = endpoint(server)
    stream = Wire(served.sse, "/sse").send("GET", {"accept": "text/event-stream"})
    house: Any = type("House", (), {"wire": Wire(served)})
    client = Sse(house, stream, (await stream.event()).data)
    given = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    await client.ask(request("initialize", given, id=0))
    await client.post(notification("notifications/initialized"))

    async def ask(method: str, params: dict[str, Any]) -> Any:
        accepted = await client.post(request(method, params))
        assert accepted.status == 202
        while (answer := await client.hear()).get("id") != 1:
            pass
        return answer

    try:
        yield ask
    finally:
        stream.disconnect()
        await stream.done()


@asynccontextmanager
async def on_pipe(server: Server, revision: str) -> AsyncIterator[Ask]:
    pipe = Pipe(server.kernel)
    handshake = revision in HANDSHAKE_NAMES
    if handshake:
        await pipe.open(revision)

    async def ask(method: str, params: dict[str, Any]) -> Any:
        meta = params.get("_meta", {})
        await pipe.say(request(method, params) if handshake else enveloped(1, method, params, **meta))
        while (answer := (await pipe.hear())[0]).get("id") != 1:
            pass
        return answer

    yield ask
    pipe.duplex.close()
    await pipe.over()


DOORS: dict[str, Callable[[Server], Any]] = {
    "plain": partial(posted, headers={}),
    "plain batch": partial(in_batch, revision=None),
    "envelope": envelope,
    "session batch": partial(in_batch, revision=BATCHING),
    f"pipe {NEWEST.name}": partial(on_pipe, revision=NEWEST.name),
}
for _name in sorted(HANDSHAKE_NAMES):
    DOORS[f"no session {_name}"] = partial(posted, headers={"mcp-protocol-version": _name})
    DOORS[f"session {_name}"] = partial(in_session, revision=_name)
    DOORS[f"HTTP+SSE {_name}"] = partial(on_stream, revision=_name)
    DOORS[f"pipe {_name}"] = partial(on_pipe, revision=_name)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Tracebacks of a thousand frames take longer to write than all else."""
    caplog.set_level(logging.CRITICAL, "mcpkit")


@pytest.mark.parametrize("door", DOORS)
async def test_whatever_a_handler_or_a_hook_ends_by_is_answered(door: str) -> None:
    async with DOORS[door](build()) as ask:
        before = asyncio.all_tasks()
        for how in ENDS:
            for method, params, right in questions(how):
                async with asyncio.timeout(SECONDS):
                    answer = await ask(method, params)
                assert right(answer), (how, method, params, answer)
        assert (await ask("x/well", {}))["result"]["well"]
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks() - before) <= 1  # on a pipe one stands by


@pytest.mark.parametrize("door", DOORS)
async def test_a_progress_token_of_another_type_is_refused_at_every_door(door: str) -> None:
    async with DOORS[door](build()) as ask:
        for token in ([1], 1.5, None, True, {}):
            for method, params in (("ping", {}), ("tools/list", {}), ("tools/call", {"name": "well"}), ("x/well", {})):
                answer = await ask(method, {**params, "_meta": {"progressToken": token}})
                assert answer["error"]["code"] == -32602, (method, token, answer)
        assert "result" in await ask("tools/list", {"_meta": {"progressToken": 7}})


@pytest.mark.parametrize("door", DOORS)
async def test_an_error_repeats_no_more_than_the_beginning_of_what_a_caller_sent(door: str) -> None:
    long = "x" * (4_000 if door == "envelope" else 900_000)  # the name stands in a header too, which has its own limit
    asked: list[tuple[str, dict[str, Any]]] = [
        ("tools/call", {"name": long}),
        ("tools/call", {"name": "ends", "arguments": {long: 1}}),
        ("tools/call", {"name": "ends", "arguments": {"how": {"a": long}, "when": "later"}}),
        ("tools/call", {"name": "ends", "arguments": long}),
        ("prompts/get", {"name": long}),
        ("prompts/get", {"name": "words", "arguments": {long: "1"}}),
        ("prompts/get", {"name": "words", "arguments": {long: 1}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": long}, "argument": {"name": "a", "value": ""}}),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": long}, "argument": {"name": "a", "value": ""}}),
        ("completion/complete", {"ref": {"type": long}, "argument": {"name": "a", "value": ""}}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "words"}, "argument": {"name": long, "value": long}},
        ),
        ("logging/setLevel", {"level": long}),
        ("tasks/get", {"taskId": long}),
        *((f"resources/{method}", {"uri": f"end://{long}"}) for method in ("read", "subscribe", "unsubscribe")),
        *((f"{kind}/list", {"cursor": long}) for kind in ("tools", "resources", "resources/templates", "prompts")),
        ("x/" + long, {}),
    ]
    async with DOORS[door](build()) as ask:
        for method, params in asked:
            answer = await ask(method, params)
            assert "error" in answer or answer["result"]["isError"], (method[:30], str(answer)[:300])
            assert len(str(answer)) < 2500, (method[:30], len(str(answer)), str(answer)[:300])


@pytest.mark.parametrize("door", [door for door in DOORS if "batch" not in door])
async def test_a_stream_that_has_begun_ends_with_the_answer(door: str) -> None:
    """The tool has told its progress; then it ends somehow."""
    async with DOORS[door](build()) as ask:
        for how in ENDS:
            for when in MOMENTS:
                params = {"name": "speaks", "arguments": {"how": how, "when": when}, "_meta": {"progressToken": "t"}}
                async with asyncio.timeout(SECONDS):
                    answer = await ask("tools/call", params)
                odd = how == "RpcError that is no JSON"
                assert (is_internal if odd else fails)(answer), (how, when, answer)


@pytest.mark.parametrize("door", DOORS)
async def test_an_observer_that_fails_loses_no_answer(door: str) -> None:
    watch = Watch()
    async with DOORS[door](build(watch)) as ask:
        for how in AT_ONCE:
            watch.how = how
            answer = await ask("tools/call", {"name": "well"})
            assert answer["result"]["content"][0]["text"] == "well", how
        watch.how = ""
    assert watch.events


@pytest.mark.parametrize("how", ENDS)
async def test_a_listener_that_fails_ends_nothing_else(how: str) -> None:
    """Nobody waits for the answer to a notification; what comes next is served."""
    server = build()
    wire, pipe = Wire(endpoint(server)), Pipe(server.kernel)
    await pipe.open()
    for when in MOMENTS:
        told = notification("notifications/progress", {"how": how, "when": when})
        for sender in (await wire.open(), await wire.open(BATCHING)):
            answer = await sender.ask(told)
            assert answer.status == 202
        assert len((await sender.ask([told, request("ping")])).json) == 1
        await pipe.say(told)
        assert (await pipe.ask(request("ping", id=2)))["result"] == {}
    pipe.duplex.close()
    await pipe.over()


async def test_what_a_tool_asks_of_its_own_task_and_leaves_there_hits_nobody_else() -> None:
    """It cancels its task and returns; the answer goes out, and the next wait of the door is not cancelled."""
    server = Server("leaves")

    @server.tool
    async def leaves(wait: bool) -> str:
        if wait:
            await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "left"

    for door in DOORS.values():
        async with door(server) as ask:
            for wait in (False, True):
                async with asyncio.timeout(SECONDS):
                    answer = await ask("tools/call", {"name": "leaves", "arguments": {"wait": wait}})
                assert answer["result"]["content"][0]["text"] == "left"


async def test_why_it_failed_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "mcpkit")
    async with DOORS["plain"](build()) as ask:
        await ask("tools/call", {"name": "ends", "arguments": {"how": "Panic", "when": "later"}})
        await ask("tools/list", {"hook": "Panic", "when": "later"})
    tool, hook = caplog.records
    assert (tool.getMessage(), hook.getMessage()) == ("ends failed", "a hook around tools/list failed")
    assert caplog.text.count("Panic: rust") == 2


@pytest.mark.parametrize("wrong", [None, [], "text", 7])
async def test_a_hook_that_returns_no_result_is_an_error(wrong: Any) -> None:
    async def hook(exchange: Exchange, call: Handler) -> Any:
        await call(exchange)
        return wrong

    server = build()
    server.kernel.around("ping", hook)
    async with DOORS["plain"](server) as ask:
        assert is_internal(await ask("ping", {}))
    server = build()
    server.use(hook)
    async with DOORS["plain"](server) as ask:
        assert is_internal(await ask("ping", {}))


async def test_whatever_blocks_the_event_loop_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tools, resources, prompts and methods, at every door; nothing else is logged."""
    server, clock = Server("blocking"), Clock(monkeypatch)

    @server.tool
    async def tool() -> str:
        clock.now += 3
        return "done"

    @server.tool
    async def quick() -> str:
        return "done"

    @server.resource("block://data")
    async def data() -> str:
        clock.now += 3
        return "done"

    @server.prompt
    async def words() -> str:
        clock.now += 3
        return "done"

    async def method(params: dict[str, Any]) -> dict[str, Any]:
        clock.now += 3
        return {}

    server.register_method("x/method", method)
    for door in DOORS.values():
        caplog.clear()
        caplog.set_level(logging.WARNING, "mcpkit")
        async with door(server) as ask:
            for name in ("tool", "quick"):
                await ask("tools/call", {"name": name})
            await ask("resources/read", {"uri": "block://data"})
            await ask("prompts/get", {"name": "words"})
            await ask("x/method", {})
        told = [record.getMessage().partition(" blocked the event loop for 3.0 s")[0] for record in caplog.records]
        assert told == ["tool", "data", "words", "x/method"]
