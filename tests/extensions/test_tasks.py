"""The tasks extension as a whole: installing it, its price where it is not used, and a store of one's own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcpkit.extensions.tasks import MemoryTasks, Step, Task, Tasks
from mcpkit.features.context import Context
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from mcpkit.server import Server
from tests.extensions.calling import Caller, accepted, text


class WrittenTasks:
    """A store that keeps only text, as an engine would."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    async def add(self, task: Task, *, limit: int, caller: str = "") -> bool:
        self.rows[task.id] = json.dumps(task.to_json())
        return True

    async def get(self, id: str) -> Task | None:
        row = self.rows.get(id)
        return Task.from_json(json.loads(row)) if row else None

    async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
        before = await self.get(id)
        if before is None:
            return None
        step(before)  # what an engine does that finds a row changed under its hands
        after = step(before)
        self.rows[id] = json.dumps(after.to_json())
        return before, after

    async def page(self, owner: tuple[str, str], after: str | None, size: int) -> list[Task]:
        return []


async def test_a_store_that_keeps_bytes_will_do() -> None:
    """TASKE-05: nothing of a task lives outside of the store but its handler."""
    server, store = Server("unit"), WrittenTasks()
    server.install(Tasks(store))

    @server.tool(task="required")
    async def greet(ctx: Context) -> str:
        return f"Hello, {(await ctx.elicit('Name?')).data}"

    call = Caller(server)
    id = await call.start("greet")
    [key] = (await call.until(id, "input_required"))["inputRequests"]
    await call("tasks/update", {"taskId": id, "inputResponses": {key: accepted(value="Ada")}})
    assert text((await call.until(id, "completed"))["result"]) == "Hello, Ada"
    assert list(store.rows) == [id]


async def test_tools_may_come_before_the_extension() -> None:
    server = Server("unit")

    @server.tool(task="optional")
    async def work() -> str:
        return "done"

    server.install(Tasks())
    call = Caller(server)
    await call.until(await call.start("work"), "completed")


async def test_it_is_installed_once() -> None:
    server = Server("unit")
    server.install(Tasks())
    with pytest.raises(ValueError, match="installed already"):
        server.install(Tasks())


async def test_a_server_without_it_runs_such_tools_as_any_other() -> None:
    """EXT-03: off by default; and it costs a server without it nothing."""
    server = Server("unit")

    @server.tool(task="required")
    async def work() -> str:
        return "done"

    call = Caller(server)
    assert text(await call("tools/call", {"name": "work"})) == "done"
    assert server.kernel._tables[NEWEST.name]["tools/call"].handler.__qualname__.startswith("rounds.")
    assert "extensions" not in (await call("server/discover"))["capabilities"]


@pytest.mark.parametrize("options", [{"ttl": 5.0, "poll_interval": 0.25}, {"ttl": 5.0, "max_ttl": 5.0}])
async def test_times_are_given_in_seconds(options: dict[str, Any]) -> None:
    """TASKE-04: and told in milliseconds."""
    server = Server("unit")
    server.install(Tasks(**options))

    @server.tool(task="required")
    async def work() -> str:
        return "done"

    created = await Caller(server)("tools/call", {"name": "work"})
    assert created["ttlMs"] == 5000
    assert created["pollIntervalMs"] == round(options.get("poll_interval", 1) * 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", 0), ("limit", -1)]
    + [(name, value) for name in ("ttl", "max_ttl", "poll_interval") for value in (0, -1, float("nan"), float("inf"))],
)
def test_senseless_options_are_refused_where_they_are_written(name: str, value: Any) -> None:
    """TKS-04, TASKE-17: not when the first task is made of them."""
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Tasks(**{name: value})


async def test_closing_before_installing_is_fine() -> None:
    tasks = Tasks(MemoryTasks())
    await tasks.close()
    assert tasks.running == 0
    assert tasks.settings(NEWEST) == {}
    assert tasks.settings(NEWEST_HANDSHAKE) is None


def test_a_limit_below_the_time_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_ttl \(1 seconds\) must not be less than ttl \(5\)"):
        Tasks(max_ttl=1, ttl=5)
    Tasks(ttl=100_000)  # more than a day: the limit that nobody gave is no less


def test_a_store_that_was_given_stays_where_replicas_share_a_redis(caplog: pytest.LogCaptureFixture) -> None:
    """Even when it is empty, or the kind that is the default; that others don't see its tasks is told."""
    store = MemoryTasks()
    tasks = Tasks(store)
    tasks.share(object())  # type: ignore[arg-type]  # nothing is asked of it
    assert tasks._store is store
    assert "tasks stay in this process's memory" in caplog.text
