"""What all features share: the handle, who may use them, how they run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.features.errors import InsufficientScope, RegistrationError
from mcpkit.features.registry import Registry
from mcpkit.features.tools import Tool
from mcpkit.security.principal import Principal
from tests.exchanges import exchange


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


def offered(changes: list[str]) -> Registry[Tool]:
    return Registry("tools", lambda: changes.append("changed"), page_size=10)


def test_an_update_changes_what_is_listed_and_tells() -> None:
    """TOOL-05."""
    changes: list[str] = []
    registry = offered(changes)
    tool = registry.add(Tool(add))
    tool.update(title="Sum", description="Adds.")
    assert (tool.wire["title"], tool.wire["description"]) == ("Sum", "Adds.")
    assert len(changes) == 2
    tool.update(title=None)
    assert "title" not in tool.wire
    assert tool.wire["description"] == "Adds."


def test_an_update_may_rename_and_replace_the_function() -> None:
    def subtract(a: int, b: int) -> int:
        return a - b

    registry = offered([])
    tool = registry.add(Tool(add))
    tool.update(subtract, name="minus")
    assert list(registry.offered) == ["minus"]
    assert registry.offered["minus"] is tool
    assert tool.function is subtract


def test_a_refused_update_changes_nothing() -> None:
    changes: list[str] = []
    registry = offered(changes)
    registry.add(Tool(add, {"name": "other"}))
    tool = registry.add(Tool(add))
    before = dict(tool.__dict__)
    for options in ({"name": "other"}, {"titel": "x"}, {"name": "a b"}):
        with pytest.raises(RegistrationError):
            tool.update(**options)
    assert tool.__dict__ == before
    assert list(registry.offered) == ["add", "other"]
    assert len(changes) == 2


def test_disabled_features_are_kept_but_not_offered() -> None:
    changes: list[str] = []
    registry = offered(changes)
    tool = registry.add(Tool(add, {"enabled": False}))
    assert registry.offered == {}
    tool.enable()
    tool.enable()
    assert list(registry.offered) == ["add"]
    tool.disable()
    tool.update(title="T")
    assert registry.offered == {}, "an update must not offer what was disabled"
    assert len(changes) == 4


def test_removing_twice_is_fine_and_frees_the_name() -> None:
    registry = offered([])
    tool = registry.add(Tool(add))
    tool.remove()
    tool.remove()
    assert registry.offered == {}
    registry.add(Tool(add))
    registry.add(Tool(add, {"name": "again"}))


def test_one_feature_stands_in_one_place() -> None:
    tool = offered([]).add(Tool(add))
    with pytest.raises(RegistrationError, match="offered already"):
        offered([]).add(tool)


def test_who_may_see_and_who_may_use() -> None:
    """STEP-01: a token without the scopes is told which; without a token nothing is allowed that needs one."""
    tool = Tool(add, {"visible": lambda call: call.principal is not None, "scopes": ["sum"]})
    nobody, guest = exchange("tools/call"), exchange("tools/call", principal=Principal("g"))
    member = exchange("tools/call", principal=Principal("m", frozenset({"sum", "more"})))
    assert tool.guarded
    assert not tool.admits(nobody)
    assert tool.admits(member)
    with pytest.raises(InsufficientScope) as caught:
        tool.admits(guest)
    assert caught.value.scopes == ("sum",)
    with pytest.raises(InsufficientScope):
        Tool(add, {"scopes": ["sum"]}).admits(nobody)
    assert not Tool(add).guarded


async def test_concurrency_is_limited_and_the_next_call_waits() -> None:
    running, most, go = 0, 0, asyncio.Event()

    async def slow() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1

    tool = Tool(slow, {"concurrency": 2})
    calls = [asyncio.create_task(tool.work({}, exchange("tools/call"), lambda call: None)) for _ in range(5)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert most == 2
    go.set()
    await asyncio.wait_for(asyncio.gather(*calls), 5)
    assert (running, most) == (0, 2)


def test_the_entry_says_only_what_was_said() -> None:
    def bare(a: int) -> Any: ...

    assert set(Tool(bare).wire) == {"name", "description", "inputSchema"}
    full = Tool(bare, {"title": "T", "icons": ["https://a.example/i.png"], "meta": {"x": 1}, "tags": {"t"}})
    assert full.wire["icons"] == [{"src": "https://a.example/i.png"}]
    assert full.wire["_meta"] == {"x": 1}
    assert "tags" not in full.wire
    assert full.tags == {"t"}
    assert full.where.startswith("tests/features/test_feature.py:")
