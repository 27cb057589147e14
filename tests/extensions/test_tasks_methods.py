"""The methods of tasks in both protocols: who may, in which shape, with which errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from mcpkit.extensions import tasks_methods
from mcpkit.extensions.tasks import Step, Task, Tasks
from mcpkit.extensions.tasks_methods import PAGE
from mcpkit.extensions.tasks_store import MemoryTasks
from mcpkit.features.context import Context
from mcpkit.features.errors import ToolError
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, InvalidRequest, MethodNotFound, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.envelope import META_RELATED_TASK
from mcpkit.protocol.exchange import NoBackChannel
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, PLAIN, REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal
from mcpkit.server import Server
from tests.exchanges import EVERYTHING, Recorder, Remembered, exchange
from tests.extensions.calling import SECONDS, TASKS, WITH_TASKS, Caller, accepted, text

REQUIRED = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
ALICE, BOB = Principal("alice"), Principal("bob")
WITHOUT_TASKS = [revision for revision in (*REVISIONS.values(), PLAIN) if "tasks/get" not in revision.requests]


@pytest.fixture
def go_on() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def server(go_on: asyncio.Event) -> Server:
    made = Server("unit")
    made.install(Tasks(listing=True))

    async def sync_only() -> str:
        return "at once"

    async def may(ctx: Context) -> str:
        await asyncio.wait_for(go_on.wait(), SECONDS)
        return "done"

    async def must() -> str:
        raise ToolError("out of paper")

    async def asks(ctx: Context) -> str:
        await ctx.report_progress(1, 2, "asking")
        return f"Hello, {(await ctx.elicit('Name?')).data}"

    async def breaks() -> str:
        raise RpcError(-32050, "broken", {"why": "age"})

    made.tool(sync_only)
    for function in (may, asks, breaks):
        made.tool(function, task="optional")
    made.tool(must, task="required")
    return made


@pytest.fixture
def call(server: Server) -> Iterator[Caller]:
    """A caller of the extension."""
    return Caller(server)


@pytest.fixture
def core(server: Server) -> Iterator[Caller]:
    """A caller of the core's tasks."""
    return Caller(server, revision=NEWEST_HANDSHAKE, session=Remembered(), capabilities=EVERYTHING)


async def begin(core: Caller, tool: str, **options: Any) -> str:
    """Call a tool as a task of the core; its id."""
    task = await core("tools/call", {"name": tool, "task": {}}, **options)
    id = task["task"]["taskId"]
    assert isinstance(id, str)
    return id


# ── what is offered ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_extension_is_advertised_where_it_is_one(call: Caller) -> None:
    """TASKE-01, EXT-01, CAP-06."""
    capabilities = (await call("server/discover"))["capabilities"]
    assert capabilities["extensions"] == {TASKS: {}}
    assert "tasks" not in capabilities


async def test_the_core_is_advertised_where_it_is_the_core(core: Caller) -> None:
    """TASKD-01: with the list, since this server says that it knows its callers."""
    capabilities = (await core("initialize"))["capabilities"]
    assert capabilities["tasks"] == {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
    assert "extensions" not in capabilities


async def test_a_list_is_offered_only_where_it_was_asked_for() -> None:
    """TKS-03."""
    server = Server("unit")
    server.install(Tasks())
    core = Caller(server, revision=NEWEST_HANDSHAKE)
    assert "list" not in (await core("initialize"))["capabilities"]["tasks"]
    with pytest.raises(MethodNotFound):
        await core("tasks/list")


async def test_tools_say_whether_they_can_be_tasks_where_that_is_said(call: Caller, core: Caller) -> None:
    """TASKD-03; the extension has no such hint (TASKE-02)."""
    said = {tool["name"]: tool.get("execution") for tool in (await core("tools/list"))["tools"]}
    assert said["may"] == {"taskSupport": "optional"}
    assert said["must"] == {"taskSupport": "required"}
    assert said["sync_only"] is None
    assert not any("execution" in tool for tool in (await call("tools/list"))["tools"])


@pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
async def test_the_extension_has_no_such_methods(call: Caller, method: str) -> None:
    """TASKE-13."""
    with pytest.raises(MethodNotFound):
        await call(method, {"taskId": "x"})


async def test_the_core_has_no_update(core: Caller) -> None:
    with pytest.raises(MethodNotFound):
        await core("tasks/update", {"taskId": "x", "inputResponses": {}})


@pytest.mark.parametrize("revision", WITHOUT_TASKS, ids=lambda revision: revision.name or "plain")
async def test_other_revisions_know_no_tasks(call: Caller, go_on: asyncio.Event, revision: Any) -> None:
    """TASKD-16: the param is ignored, the methods don't exist, tools of every kind simply run."""
    go_on.set()
    for name, said in (("may", "done"), ("must", "out of paper"), ("sync_only", "at once")):
        result = await call("tools/call", {"name": name, "task": {"ttl": 5}}, revision=revision)
        assert text(result) == said
    with pytest.raises(MethodNotFound):
        await call("tasks/get", {"taskId": "x"}, revision=revision)


# ── the extension ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_task_is_flat(call: Caller, go_on: asyncio.Event) -> None:
    """TASKE-21, AMB-06, TASKE-04: no wrapper, none of the core's names, nothing of the outcome."""
    created = await call("tools/call", {"name": "may"})
    assert created["resultType"] == "task"
    assert {"taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"} <= created.keys()
    assert created.keys().isdisjoint({"task", "ttl", "pollInterval", "result", "error", "inputRequests"})
    assert META_RELATED_TASK not in created["_meta"]
    go_on.set()
    done = await call.until(created["taskId"], "completed")
    assert done["resultType"] == "complete"
    assert META_RELATED_TASK not in done["result"].get("_meta", {})


async def test_ids_can_not_be_guessed(call: Caller, go_on: asyncio.Event) -> None:
    """TASKE-17, TKS-02: at least 128 random bits."""
    go_on.set()
    ids = {await call.start("may") for _ in range(20)}
    assert len(ids) == 20
    assert all(len(id) >= 22 for id in ids)


async def test_only_a_request_that_declares_the_extension_gets_a_task(call: Caller, go_on: asyncio.Event) -> None:
    """EXT-02, AMB-12, TASKE-02, EXT-04: said on this very request, not before; the core's param changes nothing."""
    go_on.set()
    undeclared = await call("tools/call", {"name": "may", "task": {"ttl": 1}}, capabilities=EVERYTHING)
    assert undeclared["resultType"] == "complete"
    assert text(undeclared) == "done"
    sync = await call("tools/call", {"name": "sync_only", "task": {}})
    assert sync["resultType"] == "complete"


async def test_a_tool_that_must_be_a_task_needs_the_extension(call: Caller) -> None:
    """TASKE-03."""
    with pytest.raises(RpcError) as refused:
        await call("tools/call", {"name": "must"}, capabilities=EVERYTHING)
    assert (refused.value.code, refused.value.data) == (-32021, REQUIRED)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_the_methods_need_the_extension_before_anything_is_looked_up(call: Caller, method: str) -> None:
    """TASKE-12."""
    with pytest.raises(RpcError) as refused:
        await call(method, {"taskId": "unknown", "inputResponses": {}}, capabilities=EVERYTHING)
    assert (refused.value.code, refused.value.data) == (-32021, REQUIRED)


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_unknown_and_foreign_tasks_are_the_same(call: Caller, go_on: asyncio.Event, method: str) -> None:
    """TASKE-11, TASKE-17, TKS-01, TKS-05, STEST-04: one answer, byte for byte."""
    id = (await call("tools/call", {"name": "may"}, principal=ALICE))["taskId"]
    errors = []
    for task_id, principal in (("nonsense", ALICE), (id, BOB), (id, None), (id[:-1], ALICE)):
        with pytest.raises(RpcError) as refused:
            await call(method, {"taskId": task_id, "inputResponses": {}}, principal=principal)
        errors.append(refused.value.to_wire())
    assert all(error == errors[0] for error in errors)
    assert errors[0]["code"] == -32602
    go_on.set()
    assert await call(method, {"taskId": id, "inputResponses": {}}, principal=ALICE)


@pytest.mark.parametrize("id", [None, 5, ["x"]])
async def test_an_id_is_a_string(call: Caller, id: Any) -> None:
    with pytest.raises(InvalidParams, match="taskId"):
        await call("tasks/get", {"taskId": id})


async def test_acknowledgements_are_empty_and_may_be_repeated(call: Caller, go_on: asyncio.Event) -> None:
    """RES-06, TASKE-08, TASKE-10: also for a task that has ended."""
    id = await call.start("may")
    for method in ("tasks/update", "tasks/cancel") * 2:
        answer = await call(method, {"taskId": id, "inputResponses": {"unknown": {}}})
        assert answer.keys() == {"resultType", "_meta"}
    assert (await call.get(id))["status"] == "cancelled"


@pytest.mark.parametrize("responses", [None, 5, [], {"key": 5}, {"key": None}])
async def test_answers_of_the_wrong_shape_are_an_error(call: Caller, go_on: asyncio.Event, responses: Any) -> None:
    """MRTR-11, in a task."""
    id = await call.start("may")
    with pytest.raises(InvalidParams, match="inputResponses"):
        await call("tasks/update", {"taskId": id, "inputResponses": responses})
    go_on.set()


async def test_a_stream_hears_of_the_tasks_that_it_named(call: Caller, go_on: asyncio.Event) -> None:
    """TASKE-14: whole tasks under the stream's id; the acknowledgement names those that are the caller's own."""
    mine = (await call("tools/call", {"name": "may"}, principal=ALICE))["taskId"]
    other = (await call("tools/call", {"name": "may"}, principal=BOB))["taskId"]
    channel = Hearing()
    listen = exchange(
        "subscriptions/listen",
        {"notifications": {"taskIds": [mine, other, "nonsense"]}},
        id=41,
        principal=ALICE,
        capabilities=WITH_TASKS,
        channel=channel,
    )
    stream = asyncio.create_task(call.server.kernel.serve(listen))
    method, acknowledged = await channel.next()
    assert method == "notifications/subscriptions/acknowledged"
    assert acknowledged["notifications"] == {"taskIds": [mine]}
    go_on.set()
    method, told = await channel.next()
    assert (method, told["taskId"], told["status"]) == ("notifications/tasks", mine, "completed")
    assert text(told["result"]) == "done"
    assert told["_meta"] == {"io.modelcontextprotocol/subscriptionId": 41}
    call.server.close_streams()
    await asyncio.wait_for(stream, SECONDS)
    assert len(channel.said) == 2


async def test_a_stream_of_tasks_needs_the_extension(call: Caller) -> None:
    """TASKE-12."""
    with pytest.raises(RpcError) as refused:
        await call("subscriptions/listen", {"notifications": {"taskIds": ["x"]}}, capabilities=EVERYTHING)
    assert (refused.value.code, refused.value.data) == (-32021, REQUIRED)


# ── the core ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Hearing(Recorder):
    """A channel whose notifications can be awaited."""

    def __init__(self, reply: Any = None) -> None:
        super().__init__(reply)
        self._queue: asyncio.Queue[tuple[str, JsonObject]] = asyncio.Queue()

    async def notify(self, method: str, params: JsonObject) -> None:
        await super().notify(method, params)
        self._queue.put_nowait((method, params))

    async def next(self) -> tuple[str, JsonObject]:
        return await asyncio.wait_for(self._queue.get(), SECONDS)


async def test_a_task_of_the_core_is_wrapped(core: Caller, go_on: asyncio.Event) -> None:
    """TASKD-02, TASKD-12: ``ttl`` and ``pollInterval``; the wish is granted within bounds."""
    created = await core("tools/call", {"name": "may", "task": {"ttl": 60_000}})
    assert created.keys() == {"task"}
    assert created["task"]["ttl"] == 60_000
    assert {"pollInterval", "createdAt", "lastUpdatedAt", "status", "taskId"} <= created["task"].keys()
    assert created["task"].keys().isdisjoint({"ttlMs", "pollIntervalMs", "resultType"})
    assert (await core.get(created["task"]["taskId"])).keys() == created["task"].keys()
    go_on.set()


@pytest.mark.parametrize(("wish", "granted"), [(10**15, 86_400_000), (0, 1000), (None, 3_600_000), (1500.0, 1500)])
async def test_a_wish_for_time_is_granted_within_bounds(
    core: Caller, go_on: asyncio.Event, wish: Any, granted: int
) -> None:
    """TASKD-02, TASKD-13."""
    created = await core("tools/call", {"name": "may", "task": {"ttl": wish}})
    assert created["task"]["ttl"] == granted
    go_on.set()


@pytest.mark.parametrize("task", [5, None, [], {"ttl": "long"}, {"ttl": -1}, {"ttl": True}])
async def test_a_senseless_wish_is_refused(core: Caller, task: Any) -> None:
    with pytest.raises(InvalidParams, match="task"):
        await core("tools/call", {"name": "may", "task": task})


async def test_what_a_tool_allows_is_kept_to(core: Caller, go_on: asyncio.Event) -> None:
    """TASKD-03, AMB-10: the other way of calling is no method at all."""
    for params in ({"name": "must"}, {"name": "sync_only", "task": {}}):
        with pytest.raises(RpcError) as refused:
            await core("tools/call", params)
        assert refused.value.code == -32601
    go_on.set()
    assert text(await core("tools/call", {"name": "may"})) == "done"
    with pytest.raises(InvalidParams, match="nonsense"):
        await core("tools/call", {"name": "nonsense"})


async def test_a_result_is_waited_for(core: Caller, go_on: asyncio.Event) -> None:
    """TASKD-05, TASKD-08: exactly what the call would have answered, with the mark of its task."""
    id = await begin(core, "may")
    waiting = asyncio.create_task(core("tasks/result", {"taskId": id}))
    go_on.set()
    result = await asyncio.wait_for(waiting, SECONDS)
    assert text(result) == "done"
    assert result["_meta"][META_RELATED_TASK] == {"taskId": id}
    assert "resultType" not in result
    assert await core("tasks/result", {"taskId": id}) == result


async def test_a_tools_error_fails_a_task_of_the_core(core: Caller) -> None:
    """TASKD-07: the status says failed, the result is still a result."""
    id = await begin(core, "must")
    failed = await core.until(id, "failed")
    assert failed["statusMessage"] == "out of paper"
    result = await core("tasks/result", {"taskId": id})
    assert result["isError"]


async def test_an_error_of_the_protocol_is_given_back_as_one(core: Caller) -> None:
    """TASKD-07."""
    id = await begin(core, "breaks")
    await core.until(id, "failed")
    with pytest.raises(RpcError) as given:
        await core("tasks/result", {"taskId": id})
    assert given.value.to_wire() == {"code": -32050, "message": "broken", "data": {"why": "age"}}


async def test_questions_go_out_where_the_result_is_waited_for(core: Caller) -> None:
    """META-23, TASKD-08, TASKD-09, TASKD-10: as requests on that stream, with the task's mark; so does the status."""
    channel = Hearing(lambda method, params: accepted(value="Ada"))
    id = await begin(core, "asks")
    assert (await core.until(id, "input_required"))["statusMessage"] == "asking"
    result = await asyncio.wait_for(core("tasks/result", {"taskId": id}, channel=channel), SECONDS)
    assert text(result) == "Hello, Ada"
    [(method, params)] = channel.asked
    assert method == "elicitation/create"
    assert params["_meta"][META_RELATED_TASK] == {"taskId": id}
    assert not [told for method, told in channel.said if method == "notifications/progress"]
    statuses = [told for method, told in channel.said if method == "notifications/tasks/status"]
    assert statuses[-1]["status"] == "completed"
    assert all("ttl" in told and META_RELATED_TASK not in told.get("_meta", {}) for told in statuses)


async def test_a_refused_question_is_an_answer_too(core: Caller) -> None:
    def refuse(method: str, params: JsonObject) -> JsonObject:
        raise RpcError(-1, "User rejected")

    id = await begin(core, "asks")
    await core.until(id, "input_required")
    with pytest.raises(RpcError, match="User rejected"):
        await asyncio.wait_for(core("tasks/result", {"taskId": id}, channel=Recorder(refuse)), SECONDS)


async def test_a_question_stays_open_for_a_caller_that_can_be_asked(core: Caller) -> None:
    """Waiting without a way back is waiting all the same."""
    id = await begin(core, "asks")
    await core.until(id, "input_required")

    tried = asyncio.Event()

    class Deaf(Recorder):
        async def request(self, method: str, params: JsonObject) -> JsonObject:
            tried.set()
            raise NoBackChannel("no way back")

    deaf = asyncio.create_task(core("tasks/result", {"taskId": id}, channel=Deaf()))
    await asyncio.wait_for(tried.wait(), SECONDS)
    channel = Recorder(lambda method, params: accepted(value="Ada"))
    hearing = await asyncio.wait_for(core("tasks/result", {"taskId": id}, channel=channel), SECONDS)
    assert text(hearing) == text(await asyncio.wait_for(deaf, SECONDS)) == "Hello, Ada"


async def test_a_question_whose_stream_broke_is_asked_again(core: Caller) -> None:
    """The client may come back and wait anew."""
    asked = asyncio.Event()

    class Broken(Recorder):
        async def request(self, method: str, params: JsonObject) -> JsonObject:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    id = await begin(core, "asks")
    await core.until(id, "input_required")
    waiting = asyncio.create_task(core("tasks/result", {"taskId": id}, channel=Broken()))
    await asyncio.wait_for(asked.wait(), SECONDS)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    channel = Recorder(lambda method, params: accepted(value="Bob"))
    result = await asyncio.wait_for(core("tasks/result", {"taskId": id}, channel=channel), SECONDS)
    assert text(result) == "Hello, Bob"


async def test_what_a_handler_says_is_heard_where_its_result_is_waited_for(server: Server, core: Caller) -> None:
    """TASKD-14, TASKD-08: the progress token lives as long as the task."""
    ready = asyncio.Event()

    async def speaks(ctx: Context) -> str:
        await asyncio.wait_for(ready.wait(), SECONDS)
        await ctx.report_progress(1, 2)
        return "spoken"

    server.tool(speaks, task="optional")
    created = await core("tools/call", {"name": "speaks", "task": {}, "_meta": {"progressToken": "p"}})
    id, channel = created["task"]["taskId"], Hearing()
    waiting = asyncio.create_task(core("tasks/result", {"taskId": id}, channel=channel))
    ready.set()
    method, params = await channel.next()
    assert (method, params["progressToken"]) == ("notifications/progress", "p")
    assert params["_meta"][META_RELATED_TASK] == {"taskId": id}
    assert text(await asyncio.wait_for(waiting, SECONDS)) == "spoken"


async def test_cancelling_shows_the_task_and_happens_once(core: Caller) -> None:
    """TASKD-05, TASKD-06."""
    id = await begin(core, "may")
    waiting = asyncio.create_task(core("tasks/result", {"taskId": id}))
    cancelled = await core("tasks/cancel", {"taskId": id})
    assert (cancelled["taskId"], cancelled["status"]) == (id, "cancelled")
    with pytest.raises(InvalidParams, match="cancelled already"):
        await core("tasks/cancel", {"taskId": id})
    with pytest.raises(InternalError, match="cancelled"):
        await asyncio.wait_for(waiting, SECONDS)


async def test_cancelling_too_late_says_so(go_on: asyncio.Event) -> None:
    """TASKD-06: another worker may end a task between the look and the step."""

    class Racing(MemoryTasks):
        async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
            return await super().change(id, lambda task: step(task.ended("completed", 1.0, result={"content": []})))

    server = Server("unit")
    server.install(Tasks(Racing()))

    async def waits() -> str:
        await asyncio.wait_for(go_on.wait(), SECONDS)
        return "done"

    server.tool(waits, task="optional")
    core = Caller(server, revision=NEWEST_HANDSHAKE)
    id = await begin(core, "waits")
    with pytest.raises(InvalidParams, match="just ended"):
        await core("tasks/cancel", {"taskId": id})
    go_on.set()


async def test_the_two_protocols_do_not_see_each_others_tasks(call: Caller, core: Caller, go_on: asyncio.Event) -> None:
    """TASKE-20."""
    ours, theirs = await call.start("may"), await begin(core, "may")
    for caller, id in ((core, ours), (call, theirs)):
        with pytest.raises(InvalidParams, match="Unknown task"):
            await caller.get(id)
    go_on.set()


async def test_a_list_has_the_callers_own_tasks_in_pages(server: Server, go_on: asyncio.Event) -> None:
    """TASKD-05, TASKD-13, PAGE-03."""
    core = Caller(server, revision=NEWEST_HANDSHAKE, principal=ALICE)
    ids = [await begin(core, "may") for _ in range(PAGE + 2)]
    await begin(core, "may", principal=BOB)
    first = await core("tasks/list")
    second = await core("tasks/list", {"cursor": first["nextCursor"]})
    assert [task["taskId"] for task in first["tasks"] + second["tasks"]] == ids
    assert "nextCursor" not in second
    assert "ttl" in first["tasks"][0]
    for cursor in ("nonsense", first["nextCursor"][:-4], 5):
        with pytest.raises(InvalidParams):
            await core("tasks/list", {"cursor": cursor})
    with pytest.raises(InvalidParams):
        await core("tasks/list", {"cursor": first["nextCursor"]}, principal=BOB)
    go_on.set()


async def test_callers_that_cannot_be_told_apart_have_no_list(core: Caller) -> None:
    """TKS-03."""
    with pytest.raises(InvalidRequest, match="authenticated"):
        await core("tasks/list")


async def test_a_forgotten_task_ends_the_wait_for_its_result(go_on: asyncio.Event) -> None:
    """TASKD-12: expired while it was waited for."""
    store = MemoryTasks()
    server = Server("unit")
    server.install(Tasks(store))

    async def waits() -> str:
        await asyncio.wait_for(go_on.wait(), SECONDS)
        return "done"

    server.tool(waits, task="optional")
    core = Caller(server, revision=NEWEST_HANDSHAKE)
    id = await begin(core, "waits")
    store._tasks.clear()
    go_on.set()
    with pytest.raises(InvalidParams, match="expired"):
        await core("tasks/result", {"taskId": id})


async def test_the_wait_for_a_result_ends_with_the_tasks_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """TASKD-05, TASKD-12: nobody tells of a task that expires, or whose replica died; whoever waits looks again."""
    monkeypatch.setattr(tasks_methods, "LONGEST_WAIT", 0.01)
    seconds = count(1000.0)  # one passes with every look at the clock
    tasks = Tasks(MemoryTasks(clock=lambda: next(seconds)))
    monkeypatch.setattr(tasks, "_clock", lambda: next(seconds))
    server = Server("unit")
    server.install(tasks)

    async def hangs() -> None:
        await asyncio.Event().wait()

    server.tool(hangs, task="optional")
    core = Caller(server, revision=NEWEST_HANDSHAKE)
    id = (await core("tools/call", {"name": "hangs", "task": {"ttl": 60_000}}))["task"]["taskId"]
    async with asyncio.timeout(4 * SECONDS):
        with pytest.raises(InvalidParams, match="expired"):
            await core("tasks/result", {"taskId": id})
    await tasks.close()


@pytest.mark.parametrize("revision", [NEWEST, NEWEST_HANDSHAKE], ids=["extension", "core"])
async def test_a_tool_that_a_caller_does_not_have_is_unknown_with_tasks_too(server: Server, revision: Revision) -> None:
    """TOOL-21, TASKD-03, TASKE-03: neither a missing nor a hidden tool says anything about tasks."""
    server.tool(task="required", name="hidden", visible=lambda exchange: False)(lambda: 1)
    stranger = Caller(server, revision=revision, capabilities=EVERYTHING)
    for params in ({"name": "nothing"}, {"name": "hidden"}, {"name": "hidden", "task": {}}, {"task": {}}):
        with pytest.raises(InvalidParams, match=r"Unknown tool|name must be"):
            await stranger("tools/call", params)
