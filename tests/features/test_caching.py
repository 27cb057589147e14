"""Results that are kept, for whom and how long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.features import caching
from mcpkit.features.asking import Answers
from mcpkit.features.context import Context, Services
from mcpkit.features.errors import RegistrationError, ToolError
from mcpkit.features.returns import ToolResult
from mcpkit.features.tools import Tool, Tools
from mcpkit.protocol.changes import LocalChanges
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from tests.exchanges import Recorder, exchange


async def unread(exchange: Exchange, uri: str) -> dict[str, Any]:
    raise AssertionError(uri)


def offered(function: Any, **options: Any) -> tuple[Tools, Tool]:
    tools = Tools(lambda call: Context(call, Services(LocalChanges(), unread)))
    return tools, tools.add(function, **options)


async def call(tools: Tools, name: str, caller: str | None = None, /, **arguments: Any) -> dict[str, Any]:
    principal = Principal(caller) if caller else None
    asked = exchange("tools/call", {"name": name, "arguments": arguments}, principal=principal)
    return await asyncio.wait_for(tools.call(asked), 5)


class Counting:
    """A function that says how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def function(self) -> Any:
        async def count(word: str, times: int = 1) -> int:
            self.runs += 1
            return self.runs

        return count


async def test_the_same_arguments_give_the_same_value_again() -> None:
    """Whatever their order; others are others, and so are two kinds of the same number."""
    counting = Counting()
    tools, _ = offered(counting.function(), cache=60)
    first = await call(tools, "count", word="a", times=2)
    assert await call(tools, "count", times=2, word="a") == first
    assert counting.runs == 1
    await call(tools, "count", word="b", times=2)
    assert counting.runs == 2


async def test_a_value_goes_only_to_who_got_it_unless_it_is_public() -> None:
    """CACHE-04, CACHE-07: a private value never crosses from one caller to another."""
    private, public = Counting(), Counting()
    tools, _ = offered(private.function(), cache=60)
    for caller in ("ada", "bob", None, "ada", None):
        await call(tools, "count", caller, word="a")
    assert private.runs == 3
    tools, _ = offered(public.function(), cache=60, cache_scope="public")
    for caller in ("ada", "bob", None):
        await call(tools, "count", caller, word="a")
    assert public.runs == 1


async def test_a_value_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(caching, "monotonic", lambda: now)
    counting = Counting()
    tools, _ = offered(counting.function(), cache=60)
    await call(tools, "count", word="a")
    now += 59
    await call(tools, "count", word="a")
    assert counting.runs == 1
    now += 1
    await call(tools, "count", word="a")
    assert counting.runs == 2


async def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """AVAIL-04: the oldest makes room."""
    monkeypatch.setattr(caching, "MOST_KEPT", 2)
    counting = Counting()
    tools, _ = offered(counting.function(), cache=60)
    for word in ("a", "b", "c", "c", "b"):
        await call(tools, "count", word=word)
    assert counting.runs == 3
    await call(tools, "count", word="a")
    assert counting.runs == 4


async def test_a_long_result_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "LARGEST_KEPT", 200)
    runs = 0

    async def repeat(word: str, times: int) -> str:
        nonlocal runs
        runs += 1
        return word * times

    tools, _ = offered(repeat, cache=60)
    for times in (1, 1, 100, 100):
        assert (await call(tools, "repeat", word="a", times=times))["content"][0]["text"] == "a" * times
    assert runs == 3


async def test_a_result_comes_back_as_it_was() -> None:
    """Integers of any size, text, structure, and content of one's own."""

    async def measure() -> dict[str, Any]:
        return {"big": 2**70, "text": "ü", "list": [1, 1.5, None]}

    async def show() -> ToolResult:
        return ToolResult(["a", "b"], {"x": 1}, meta={"m": 1})

    for function in (measure, show):
        tools, tool = offered(function, cache=60)
        first = await call(tools, tool.key)
        assert await call(tools, tool.key) == first


async def test_what_is_no_json_is_told_as_ever_and_not_kept() -> None:
    async def broken() -> ToolResult:
        return ToolResult("x", meta={"m": object()})

    tools, _ = offered(broken, cache=60)
    for _ in range(2):
        assert (await call(tools, "broken"))["content"][0]["text"] == "x"


async def test_a_changed_tool_has_kept_nothing() -> None:
    counting = Counting()
    tools, tool = offered(counting.function(), cache=60)
    await call(tools, "count", word="a")
    tool.update(title="Count")
    await call(tools, "count", word="a")
    assert counting.runs == 2
    tool.update(counting.function())
    await call(tools, "count", word="a")
    assert counting.runs == 3


async def test_errors_are_not_kept() -> None:
    """TOOL-24: neither raised nor returned ones."""
    runs: list[str] = []

    async def fail(how: str) -> ToolResult:
        runs.append(how)
        if how == "raise":
            raise ToolError("no")
        return ToolResult("no", is_error=True)

    tools, _ = offered(fail, cache=60)
    for how in ("raise", "raise", "return", "return"):
        assert (await call(tools, "fail", how=how))["isError"]
    assert len(runs) == 4


@pytest.mark.parametrize("revision", [NEWEST, NEWEST_HANDSHAKE], ids=lambda revision: revision.name)
async def test_what_was_asked_is_not_kept(revision: Any) -> None:
    """CACHE-03: a value that depends on an answer is for that answer only."""
    runs = 0

    async def greet(ctx: Context) -> str:
        nonlocal runs
        runs += 1
        answer = await ctx.elicit("Who?", key="who")
        return str(answer.data)

    tools, _ = offered(greet, cache=60)
    answer = {"action": "accept", "content": {"value": "Ada"}}
    for _ in range(2):
        asked = exchange("tools/call", {"name": "greet"}, revision=revision, channel=Recorder(lambda *_: answer))
        asked.state["answers"] = Answers({"who": answer}, {})
        await asyncio.wait_for(tools.call(asked), 5)
    assert runs == 2


@pytest.mark.parametrize("seconds", [0, -1, "60", True])
def test_a_senseless_time_is_refused(seconds: Any) -> None:
    with pytest.raises(RegistrationError, match="cache"):
        offered(Counting().function(), cache=seconds)


@pytest.mark.parametrize("damaged", [b"", b"\xff", b"{", b"[]", b"null"])
async def test_a_kept_result_that_was_damaged_is_made_anew(damaged: bytes) -> None:
    """Where replicas share them somebody else may write there; no call fails for it until its time is over."""
    counting = Counting()
    tools, tool = offered(counting.function(), cache=60)
    await call(tools, "count", word="a")
    [key] = tools.cached.results._kept[tool.key]
    await tools.cached.results.put(tool.key, key, damaged, 60)
    again = await call(tools, "count", word="a")
    assert again["structuredContent"] == {"result": 2}
    assert await call(tools, "count", word="a") == again
    assert counting.runs == 2
