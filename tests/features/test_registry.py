"""Names, duplicates, order, pages."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from mcpkit import Server
from mcpkit.features import registry as registry_module
from mcpkit.features.errors import RegistrationError
from mcpkit.features.registry import LIST_TTL_MS, Registry
from mcpkit.features.tools import Tool
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.pagination import encode_cursor
from mcpkit.security.principal import Principal
from mcpkit.testing import connect
from tests.exchanges import exchange


def tool(name: str, **options: Any) -> Tool:
    def function() -> None: ...

    return Tool(function, {"name": name, **options})  # type: ignore[typeddict-item]


def registry(*tools: Tool, page_size: int = 100) -> Registry[Tool]:
    made: Registry[Tool] = Registry("tools", lambda: None, page_size=page_size)
    for each in tools:
        made.add(each)
    return made


def page(subject: Registry[Tool], **params: Any) -> dict[str, Any]:
    return subject.page(exchange("tools/list", params))


def names(listed: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in listed["tools"]]


def test_lists_are_in_the_order_of_names_however_they_came() -> None:
    """TOOL-03."""
    assert names(page(registry(tool("b"), tool("c"), tool("a")))) == ["a", "b", "c"]


def test_a_taken_name_is_refused_with_both_places() -> None:
    subject = registry(tool("a"))
    with pytest.raises(
        RegistrationError, match=r"offered twice: \S+test_registry\.py:\d+ and \S+test_registry\.py:\d+"
    ):
        subject.add(tool("a"))
    with pytest.raises(RegistrationError, match="offered twice"):
        registry(tool("b", enabled=False)).add(tool("b"))


def test_pages_follow_one_another_to_the_end() -> None:
    """PAGE-01, PAGE-02."""
    subject = registry(*(tool(f"t{n}") for n in range(7)), page_size=3)
    seen, cursor = [], None
    for _ in range(3):
        listed = page(subject, **({} if cursor is None else {"cursor": cursor}))
        seen += names(listed)
        cursor = listed.get("nextCursor")
    assert seen == [f"t{n}" for n in range(7)]
    assert cursor is None


def test_a_full_last_page_has_no_cursor() -> None:
    subject = registry(*(tool(f"t{n}") for n in range(3)), page_size=3)
    assert "nextCursor" not in page(subject)


def test_what_comes_and_goes_between_pages_hides_and_repeats_nothing() -> None:
    """PAGE-03, PAGE-04."""
    subject = registry(*(tool(f"t{n}") for n in range(0, 8, 2)), page_size=2)
    first = page(subject)
    subject.remove("t2")
    subject.add(tool("t1"))
    subject.add(tool("t5"))
    assert names(page(subject, cursor=first["nextCursor"])) == ["t4", "t5"]


@pytest.mark.parametrize("cursor", ["", "zebra", 3, {}, "🦓"])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: Any) -> None:
    """PAGE-03."""
    with pytest.raises(InvalidParams, match="cursor"):
        page(registry(tool("a")), cursor=cursor)


def test_a_cursor_past_the_end_is_an_empty_page() -> None:
    assert page(registry(tool("a")), cursor=encode_cursor("z"))["tools"] == []


def test_uniform_lists_are_public_and_their_pages_can_be_kept() -> None:
    """CACHE-01, CACHE-10."""
    subject = registry(tool("a"), tool("b"))
    listed = page(subject)
    assert (listed["ttlMs"], listed["cacheScope"]) == (LIST_TTL_MS, "public")
    assert subject.uniform
    keys = {subject.page_key(exchange("tools/list", params)) for params in ({}, {"cursor": "x"}, {"cursor": ""})}
    assert len(keys) == 3, "another cursor is another page, an empty one too"
    assert None not in keys
    assert subject.page_key(exchange("tools/list", {"cursor": []})) is None


def test_lists_that_depend_on_the_caller_are_private_on_every_page() -> None:
    """TOOL-03, CACHE-02, CACHE-10."""
    subject = registry(tool("a"), tool("b", visible=lambda call: call.principal is not None), tool("c"), page_size=1)
    assert not subject.uniform
    assert subject.page_key(exchange("tools/list")) is None
    first = page(subject)
    second = page(subject, cursor=first["nextCursor"])
    assert (names(first), names(second)) == (["a"], ["c"])
    assert first["cacheScope"] == second["cacheScope"] == "private"
    member = subject.page(exchange("tools/list", {"cursor": first["nextCursor"]}, principal=Principal("m")))
    assert names(member) == ["b"]
    assert subject.keys_for(exchange("tools/list")) == ["a", "c"]


def test_no_cursor_leads_to_a_page_of_nothing_visible() -> None:
    subject = registry(tool("a"), tool("b", visible=lambda call: False), page_size=1)
    assert "nextCursor" not in page(subject)


def test_one_hint_bounds_its_page_and_one_private_entry_the_list() -> None:
    """CACHE-02."""
    subject = registry(tool("a", ttl_ms=5), tool("b", cache_scope="private"), page_size=1)
    first = page(subject)
    assert (first["ttlMs"], first["cacheScope"]) == (5, "private")
    assert page(subject, cursor=first["nextCursor"])["ttlMs"] == LIST_TTL_MS


def test_what_readers_hold_does_not_change_under_them() -> None:
    subject = registry(tool("a"), tool("b"))
    walking = iter(subject)
    offered = subject.offered
    next(walking)
    subject.remove("b")
    subject.add(tool("c"))
    assert [each.key for each in walking] == ["b"]
    assert list(offered) == ["a", "b"]
    assert list(subject.offered) == ["a", "c"]
    assert len(subject) == 2


def test_removing_what_is_not_there_is_silent() -> None:
    changes: list[int] = []
    subject: Registry[Tool] = Registry("tools", lambda: changes.append(1), page_size=3)
    subject.remove("a")
    assert changes == []
    assert subject.find("a") is None


async def test_a_page_ends_before_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """PAGE-01: whatever their length all are listed, and an entry that is longer by itself stands alone."""
    monkeypatch.setattr(registry_module, "PAGE_BYTES", 2_000)
    long = Tool.from_function(lambda: None, name="t4", description="x" * 3_000)
    others = [Tool.from_function(lambda: None, name=f"t{n}", description="x" * 500) for n in (0, 1, 2, 3, 5, 6)]
    subject, pages, cursor = registry(*others, long), list[list[str]](), None
    while True:
        page = subject.page(exchange("tools/list", {} if cursor is None else {"cursor": cursor}))
        pages.append([entry["name"] for entry in page["tools"]])
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    assert pages == [["t0", "t1", "t2"], ["t3"], ["t4"], ["t5", "t6"]]


async def test_hosts_that_ask_once_see_them_all() -> None:
    """Many never ask for a second page."""
    server = Server("many")
    for number in range(400):
        server.add_tool(lambda: None, name=f"t{number}")
    page: Any = orjson.loads(bytes(await server.kernel.serve(exchange("tools/list"))))
    assert len(page["tools"]) == 400
    assert "nextCursor" not in page


async def test_a_list_of_several_pages_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """No client that follows nextCursor misses anything."""
    caplog.set_level("INFO", "mcpkit.features")
    server = Server("x", page_size=100)
    for number in range(230):
        server.add_tool(tool(f"t{number:03}"))
    async with connect(server) as client:
        assert [listed.name for listed in await client.list_tools()] == [f"t{number:03}" for number in range(230)]
    [record] = caplog.records
    assert record.getMessage().startswith("tools: more than 100, so the list has several pages")
