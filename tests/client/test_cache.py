"""Results that may be kept."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.cache import ResponseCache
from mcpkit.client.notices import Change, ChangeKind


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def kept(**members: Any) -> dict[str, Any]:
    return {"resultType": "complete", "tools": [], "ttlMs": 1000, "cacheScope": "private", **members}


def test_fresh_until_its_time() -> None:
    """CACHE-05."""
    clock = Clock()
    cache = ResponseCache(clock=clock)
    cache.keep("s", "tools/list", {}, "me", kept())
    clock.now += 0.999
    assert cache.find("s", "tools/list", {}, "me") == kept()
    clock.now += 0.002
    assert cache.find("s", "tools/list", {}, "me") is None


@pytest.mark.parametrize(
    "result",
    [
        kept(ttlMs=0),
        kept(ttlMs=-5),
        kept(ttlMs=True),
        kept(ttlMs="1000"),
        {"tools": []},
        kept(resultType="input_required"),
    ],
)
def test_what_is_not_kept(result: dict[str, Any]) -> None:
    """CACHE-01, CACHE-05: nothing without a time, nothing unfinished."""
    cache = ResponseCache(clock=Clock())
    cache.keep("s", "tools/list", {}, "me", result)
    assert cache.find("s", "tools/list", {}, "me") is None


@pytest.mark.parametrize("params", [{"uri": "a:b", "inputResponses": {}}, {"uri": "a:b", "requestState": "s"}])
def test_dialogues_are_not_kept(params: dict[str, Any]) -> None:
    """CACHE-03."""
    cache = ResponseCache(clock=Clock())
    cache.keep("s", "resources/read", params, "me", kept())
    assert cache.find("s", "resources/read", params, "me") is None


def test_keys_tell_everything_apart() -> None:
    """CACHE-03: another server, method or parameter is another entry; ``_meta`` is not a parameter."""
    cache = ResponseCache(clock=Clock())
    cache.keep("s", "resources/read", {"uri": "a", "_meta": {"x": 1}}, "me", kept(n=1))
    assert cache.find("s", "resources/read", {"uri": "a", "_meta": {"y": 2}}, "me") == kept(n=1)
    for server, method, params in (
        ("t", "resources/read", {"uri": "a"}),
        ("s", "resources/list", {"uri": "a"}),
        ("s", "resources/read", {"uri": "b"}),
        ("s", "resources/read", {"uri": ""}),
        ("s", "resources/read", {}),
    ):
        assert cache.find(server, method, params, "me") is None


def test_private_is_private() -> None:
    """CACHE-04, LEAK-03: public entries are everybody's, private ones of one context only."""
    cache = ResponseCache(clock=Clock())
    cache.keep("s", "tools/list", {}, "me", kept())
    assert cache.find("s", "tools/list", {}, "you") is None
    cache.keep("s", "prompts/list", {}, "me", kept(cacheScope="public"))
    assert cache.find("s", "prompts/list", {}, "you") is not None
    cache.keep("s", "resources/list", {}, "me", kept(cacheScope="nonsense"))
    assert cache.find("s", "resources/list", {}, "you") is None, "an unknown scope is taken for the narrower one"


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("tools", {"tools/list"}),
        ("prompts", {"prompts/list"}),
        ("resources", {"resources/list", "resources/templates/list"}),
        ("resource", {"resources/read"}),
        ("task", set()),
    ],
)
def test_a_change_makes_stale_at_once(kind: ChangeKind, gone: set[str]) -> None:
    """CACHE-05: of that server only."""
    methods = ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"]
    cache = ResponseCache(clock=Clock())
    for method in methods:
        cache.keep("s", method, {}, "me", kept())
        cache.keep("t", method, {}, "me", kept())
    cache.changed("s", Change(kind, "a:b"))
    assert {method for method in methods if cache.find("s", method, {}, "me") is None} == gone
    assert all(cache.find("t", method, {}, "me") for method in methods)
    cache.clear("s")
    assert not any(cache.find("s", method, {}, "me") for method in methods)


def test_it_does_not_grow_for_ever() -> None:
    """AVAIL-07: the entry used least recently goes first."""
    cache = ResponseCache(2, clock=Clock())
    cache.keep("s", "a", {}, "me", kept())
    cache.keep("s", "b", {}, "me", kept())
    assert cache.find("s", "a", {}, "me")
    cache.keep("s", "c", {}, "me", kept())
    assert [cache.find("s", name, {}, "me") is not None for name in "abc"] == [True, False, True]


def test_no_server_is_believed_for_ever() -> None:
    """A time of centuries is a day."""
    clock = Clock()
    cache = ResponseCache(clock=clock)
    cache.keep("s", "a", {}, "me", kept(ttlMs=10**15))
    clock.now += 24 * 3600 + 1
    assert cache.find("s", "a", {}, "me") is None
