"""The engine of tasks: handlers that outlive their request, parked questions, cancelling, ends of every kind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from mcpkit.extensions import tasks_engine
from mcpkit.extensions.tasks import MemoryTasks, Tasks
from mcpkit.extensions.tasks_engine import LONGEST_MESSAGE, TASK_CHANGED
from mcpkit.extensions.tasks_state import Task
from mcpkit.extensions.tasks_store import Step
from mcpkit.features.asking import NeedInput
from mcpkit.features.context import Context
from mcpkit.features.errors import ToolError
from mcpkit.features.questions import Elicit, ListRoots
from mcpkit.features.resolve import Resolve
from mcpkit.jsonrpc.errors import INTERNAL_ERROR, InternalError, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.errors import ResourceNotFound
from mcpkit.protocol.exchange import Exchange, NoBackChannel
from mcpkit.protocol.revisions.registry import NEWEST
from mcpkit.server import Server
from mcpkit.sessions.store import StoreAway
from tests.exchanges import exchange
from tests.extensions.calling import SECONDS, WITH_TASKS, Caller, accepted, text


class Work:
    """What the tools of these tests do, and what became of it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.stopped = asyncio.Event()
        self.runs = 0

    async def wait(self) -> str:
        """Wait until the test says so."""
        self.runs += 1
        self.begun.set()
        try:
            await asyncio.wait_for(self.go_on.wait(), SECONDS)
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        return "waited"


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(limit=3)


@pytest.fixture
def call(work: Work, tasks: Tasks) -> Iterator[Caller]:
    server = Server("unit")
    server.install(tasks)
    server.tool(work.wait, task="optional")
    return Caller(server)


def offer(call: Caller, function: Any) -> None:
    call.server.tool(function, task="optional")


async def test_the_request_is_answered_while_the_handler_works(call: Caller, work: Work) -> None:
    """TASKE-05: the task can be fetched at once; TASKE-06: its result stands in it later."""
    id = await call.start("wait")
    assert (await call.get(id))["status"] == "working"
    work.go_on.set()
    done = await call.until(id, "completed")
    assert text(done["result"]) == "waited"
    assert done["result"]["resultType"] == "complete"
    assert work.runs == 1


async def test_bad_arguments_are_told_in_the_request(call: Caller) -> None:
    """TASKE-22: no task is made for what can't begin."""

    async def strict(count: int) -> int:
        return count

    offer(call, strict)
    result = await call("tools/call", {"name": "strict", "arguments": {"count": "many"}})
    assert result["isError"]
    assert result["resultType"] == "complete"


async def test_a_tools_error_completes_a_task_of_the_extension(call: Caller) -> None:
    """TASKE-07."""

    async def fails() -> str:
        raise ToolError("out of paper")

    offer(call, fails)
    done = await call.until(await call.start("fails"), "completed")
    assert done["result"]["isError"]
    assert text(done["result"]) == "out of paper"


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (RpcError(-32050, "broken", {"why": "age"}), -32050, "broken"),
        (ResourceNotFound("a://b"), -32602, "Resource not found"),
    ],
)
async def test_an_error_of_the_protocol_fails_a_task(call: Caller, raised: RpcError, code: int, message: str) -> None:
    """TASKE-07: the JSON-RPC error stands in it, in its revision's number, and its text explains the status."""

    async def breaks() -> str:
        raise raised

    offer(call, breaks)
    failed = await call.until(await call.start("breaks"), "failed")
    assert failed["error"]["code"] == code
    assert failed["error"]["message"].startswith(message)
    assert failed["error"].get("data") == raised.data
    assert failed["statusMessage"].startswith(message)
    assert "result" not in failed


async def test_an_unknown_fault_fails_a_task_without_telling(call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """The engine guards against faults in the server itself, as the kernel does."""

    async def hook(exchange: Any, handler: Any) -> JsonObject:
        await handler(exchange)
        raise KeyError("/etc/secret")

    async def fine() -> str:
        return "fine"

    offer(call, fine)
    call.server.kernel.around("tools/call", hook)
    with caplog.at_level(logging.ERROR, "mcpkit.tasks"):
        failed = await call.until(await call.start("fine"), "failed")
    assert failed["error"] == InternalError().to_wire()
    assert "/etc/secret" in caplog.text


async def test_cancelling_stops_the_handler(call: Caller, work: Work, tasks: Tasks) -> None:
    """TASKE-10: and it stays cancelled."""
    id = await call.start("wait")
    await asyncio.wait_for(work.begun.wait(), SECONDS)
    await call("tasks/cancel", {"taskId": id})
    assert (await call.get(id))["status"] == "cancelled"
    await asyncio.wait_for(work.stopped.wait(), SECONDS)
    await tasks.close()
    assert (await call.get(id))["status"] == "cancelled"
    assert tasks.running == 0


async def test_a_handler_that_ends_in_spite_of_it_changes_nothing(call: Caller, tasks: Tasks) -> None:
    """TASKD-04: cancelled is terminal."""
    begun = asyncio.Event()

    async def stubborn() -> str:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "done all the same"

    offer(call, stubborn)
    id = await call.start("stubborn")
    await asyncio.wait_for(begun.wait(), SECONDS)
    await call("tasks/cancel", {"taskId": id})
    await tasks.close()
    assert (await call.get(id))["status"] == "cancelled"


async def test_a_question_parks_the_task_until_it_is_answered(call: Caller) -> None:
    """TASKE-06, TASKE-08: shown by tasks/get, answered by tasks/update, in the types that were asked for."""

    async def order(ctx: Context) -> str:
        amount = await ctx.elicit("How many?", int)
        return f"{amount.data + 1} ordered"

    offer(call, order)
    id = await call.start("order")
    parked = await call.until(id, "input_required")
    [(key, question)] = parked["inputRequests"].items()
    assert question["method"] == "elicitation/create"
    assert question["params"]["message"] == "How many?"
    assert await call("tasks/update", {"taskId": id, "inputResponses": {key: accepted(value=2)}})
    assert text((await call.until(id, "completed"))["result"]) == "3 ordered"


async def test_several_questions_are_open_at_once(call: Caller) -> None:
    """TASKE-08: a part of the answers leaves the rest open."""

    async def both(ctx: Context) -> str:
        answers = await ctx.ask({"name": Elicit("Name?"), "roots": ListRoots()})
        return f"{answers['name'].data} {len(answers['roots'])}"

    offer(call, both)
    id = await call.start("both")
    one, two = (await call.until(id, "input_required", questions=2))["inputRequests"]
    await call("tasks/update", {"taskId": id, "inputResponses": {one: accepted(value="Ada"), "odd": {}}})
    part = await call.get(id)
    assert (part["status"], list(part["inputRequests"])) == ("input_required", [two])
    await call("tasks/update", {"taskId": id, "inputResponses": {two: {"roots": []}}})
    assert text((await call.until(id, "completed"))["result"]) == "Ada 0"


async def test_a_question_that_is_given_up_is_no_longer_shown(call: Caller, work: Work) -> None:
    async def impatient(ctx: Context) -> str:
        asked = asyncio.create_task(ctx.elicit("Well?"))
        await asyncio.wait_for(work.begun.wait(), SECONDS)
        asked.cancel()
        return await work.wait()

    offer(call, impatient)
    id = await call.start("impatient")
    await call.until(id, "input_required")
    work.begun.set()
    await call.until(id, "working")
    work.go_on.set()
    await call.until(id, "completed")


async def test_cancelling_a_parked_task_stops_it(call: Caller, work: Work, tasks: Tasks) -> None:
    async def parked(ctx: Context) -> str:
        try:
            return str(await ctx.elicit("Well?"))
        finally:
            work.stopped.set()

    offer(call, parked)
    id = await call.start("parked")
    await call.until(id, "input_required")
    await call("tasks/cancel", {"taskId": id})
    await asyncio.wait_for(work.stopped.wait(), SECONDS)
    cancelled = await call.get(id)
    assert cancelled["status"] == "cancelled"
    assert "inputRequests" not in cancelled


async def test_a_question_of_a_forgotten_task_is_asked_of_nobody(work: Work) -> None:
    """A store may lose a task, as an engine that was emptied does: its handler is not left waiting."""
    server, store, told = Server("unit"), MemoryTasks(), []
    server.install(Tasks(store))

    async def forgotten(ctx: Context) -> str:
        store._tasks.clear()
        try:
            await ctx.elicit("Well?")
        except NoBackChannel as error:
            told.append(str(error))
        work.stopped.set()
        return ""

    server.tool(forgotten, task="required")
    await Caller(server).start("forgotten")
    await asyncio.wait_for(work.stopped.wait(), SECONDS)
    assert told == ["the task has ended; nobody will answer"]


async def test_questions_of_parameters_are_settled_before_the_task_is_made(call: Caller) -> None:
    """TASKE-15: rounds first; nothing of them shows in the task."""

    async def greet(name: Annotated[str, Resolve(lambda: Elicit("Name?"))]) -> str:
        return f"Hello, {name}"

    offer(call, greet)
    first = await call("tools/call", {"name": "greet"})
    assert first["resultType"] == "input_required"
    assert "taskId" not in first
    [key] = first["inputRequests"]
    retry = {"name": "greet", "requestState": first["requestState"], "inputResponses": {key: accepted(value="Ada")}}
    second = await call("tools/call", retry)
    assert second["resultType"] == "task"
    assert second.keys().isdisjoint({"requestState", "inputRequests"})
    done = await call.until(second["taskId"], "completed")
    assert text(done["result"]) == "Hello, Ada"


async def test_the_returned_form_parks_a_task_too(call: Caller) -> None:
    async def returned(ctx: Context) -> Any:
        if "who" not in ctx.input_responses:
            return NeedInput({"who": Elicit("Who?")}, state={"round": 1})
        return f"{ctx.input_responses['who']['content']['value']} in round {ctx.request_state['round']}"

    offer(call, returned)
    id = await call.start("returned")
    [key] = (await call.until(id, "input_required"))["inputRequests"]
    await call("tasks/update", {"taskId": id, "inputResponses": {key: accepted(value="Ada")}})
    assert text((await call.until(id, "completed"))["result"]) == "Ada in round 1"


async def test_progress_with_words_becomes_the_status_message(call: Caller, work: Work) -> None:
    """TASKE-14: no progress notifications; the words are in the task."""

    async def slow(ctx: Context) -> str:
        await ctx.report_progress(1, 2)
        await ctx.report_progress(2, 2, "half way")
        await ctx.info("not sent")
        return await work.wait()

    offer(call, slow)
    id = await call.start("slow")
    await asyncio.wait_for(work.begun.wait(), SECONDS)
    assert (await call.get(id))["statusMessage"] == "half way"
    work.go_on.set()
    await call.until(id, "completed")


async def test_a_caller_that_leaves_before_the_task_is_made_cancels_the_call(call: Caller, tasks: Tasks) -> None:
    """An answer that nobody can get makes no task."""
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def slowly() -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return ""

    async def tool(value: Any = Resolve(slowly)) -> str:  # noqa: B008  # an injection is meant to be made once
        return str(value)

    offer(call, tool)
    request = asyncio.create_task(call("tools/call", {"name": "tool"}))
    await asyncio.wait_for(asked.wait(), SECONDS)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.wait_for(given_up.wait(), SECONDS)
    assert not [notice for notice in call.notices if notice.method == TASK_CHANGED]
    async with asyncio.timeout(SECONDS):
        while tasks.running:  # noqa: ASYNC110 - the tool's own task ends after what it had called
            await asyncio.sleep(0)


async def test_too_many_tasks_are_refused(call: Caller, work: Work, tasks: Tasks) -> None:
    """TKS-04: the refusal says what to do."""
    ids = [await call.start("wait") for _ in range(3)]
    with pytest.raises(RpcError, match="cancel one") as refused:
        await call.start("wait")
    assert refused.value.code == -32603
    await call("tasks/cancel", {"taskId": ids[0]})
    await call.start("wait")
    await tasks.close()


async def test_a_task_that_outlives_its_time_is_stopped(work: Work) -> None:
    """TASKD-12: the deadline is the task's, not the tool's default."""
    server = Server("unit", tool_timeout=0.001)
    tasks = Tasks(ttl=0.05)
    server.install(tasks)
    server.tool(work.wait, task="required")
    call = Caller(server)
    await call.start("wait")
    await asyncio.wait_for(work.stopped.wait(), SECONDS)
    await tasks.close()
    assert tasks.running == 0


async def test_a_tools_own_timeout_holds_in_a_task(call: Caller) -> None:
    async def forever() -> str:
        await asyncio.Event().wait()
        return ""

    call.server.tool(forever, task="optional", timeout=0.01)
    done = await call.until(await call.start("forever"), "completed")
    assert done["result"]["isError"]


async def test_when_the_server_ends_its_tasks_fail(call: Caller, work: Work) -> None:
    """They are told so, and the handlers are really stopped."""
    async with call.server.running():
        id = await call.start("wait")
        await asyncio.wait_for(work.begun.wait(), SECONDS)
    assert work.stopped.is_set()
    failed = await call.get(id)
    assert failed["status"] == "failed"
    assert "server stopped" in failed["statusMessage"]


async def test_a_sync_tool_can_be_a_task(call: Caller) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    offer(call, add)
    done = await call.until(await call.start("add", a=1, b=2), "completed")
    assert done["result"]["structuredContent"] == {"result": 3}


async def test_the_exchange_of_another_call_is_left_alone(call: Caller) -> None:
    """Only the exchange that became a task is turned round."""

    async def asks(ctx: Context) -> str:
        return str((await ctx.elicit("Well?")).data)

    call.server.tool(asks)
    plain = exchange("tools/call", {"name": "asks"}, capabilities=WITH_TASKS)
    result = await call.server.kernel.serve(plain)
    assert isinstance(result, dict)
    assert result["resultType"] == "input_required"
    assert plain.revision is NEWEST


# ── what handlers bring that nobody can carry ────────────────────────────────────────────────────────────────────────


async def test_a_result_that_is_too_long_fails_its_task(call: Caller) -> None:
    """TASKE-06, TASKD-07: the task says so itself, and can be looked at as ever; the bytes are not kept."""
    call.server.kernel.max_result_bytes = 8_192

    async def long() -> str:
        return "x" * 10_000

    offer(call, long)
    task = await call.until(await call.start("long"), "completed", "failed")
    assert (task["status"], task["error"]["code"]) == ("failed", INTERNAL_ERROR)
    assert "limit is 8192" in task["statusMessage"]


async def test_a_result_that_has_no_json_form_fails_its_task(call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """TASKE-07: also where a hook of another extension put it there; the task does not stay at work for ever."""

    async def spoil(exchange: Exchange, handler: Any) -> Any:
        return {**await handler(exchange), "_meta": {"com.example/spoilt": object()}}

    call.server.kernel.around("tools/call", spoil)

    async def short() -> str:
        return "x"

    offer(call, short)
    task = await call.until(await call.start("short"), "completed", "failed")
    assert task["error"] == {"code": INTERNAL_ERROR, "message": "Internal error"}
    assert "failed" in caplog.text


async def test_a_status_message_is_short(call: Caller) -> None:
    """TASKD-07: it goes out with every look at the task; the result has all of it."""

    async def talks(ctx: Context) -> str:
        await ctx.report_progress(1, 2, "y" * 50_000)
        return "done"

    offer(call, talks)
    task = await call.until(await call.start("talks"), "completed")
    assert task["statusMessage"] == "y" * LONGEST_MESSAGE


async def test_a_returned_question_that_reaches_nobody_is_the_tools_error(call: Caller) -> None:
    """DUAL-09, TASKE-07: as an awaited one is; not a fault of the server."""

    async def returns() -> NeedInput:
        return NeedInput({"name": Elicit("Name?")})

    offer(call, returns)
    unasked = Caller(call.server, capabilities={"extensions": WITH_TASKS["extensions"]})
    task = await unasked.until(await unasked.start("returns"), "completed", "failed")
    assert task["status"] == "completed"
    assert "elicitation/create needs" in text(task["result"])


class Absent(MemoryTasks):
    """A store that is away when a task ends, for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0

    async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
        if self.away:
            self.away -= 1
            raise StoreAway("The store of sessions is out of reach; try again in a moment")
        return await super().change(id, step)


async def test_an_end_is_kept_when_the_store_is_back(monkeypatch: pytest.MonkeyPatch, work: Work) -> None:
    """TASKE-06: what was done is not lost with a store that is away for a moment, nor by telling of progress then."""
    monkeypatch.setattr(tasks_engine, "AGAIN_SECONDS", 0.01)
    server, store = Server("unit"), Absent()
    server.install(Tasks(store))

    async def tells(context: Context) -> str:
        await work.wait()
        store.away = 3
        await context.report_progress(1, 1, "nearly")
        return "kept"

    call = Caller(server)
    offer(call, tells)
    id = await call.start("tells")
    work.go_on.set()
    assert text((await call.until(id, "completed"))["result"]) == "kept"
    assert store.away == 0


@pytest.mark.parametrize("end", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_a_handler_ends_by_ends_its_task_and_nothing_else(call: Caller, end: type[BaseException]) -> None:
    """A tool's end is its error; that of a hook fails the task."""

    async def ends() -> str:
        await asyncio.sleep(0)
        raise end

    async def fine() -> str:
        return "fine"

    async def hook(exchange: Any, handler: Any) -> JsonObject:
        result: JsonObject = await handler(exchange)
        if exchange.params["name"] == "fine":
            raise end
        return result

    offer(call, ends)
    offer(call, fine)
    call.server.kernel.around("tools/call", hook)
    done = await call.until(await call.start("ends"), "completed")
    assert done["result"]["isError"] is True
    failed = await call.until(await call.start("fine"), "failed")
    assert failed["error"] == InternalError().to_wire()
