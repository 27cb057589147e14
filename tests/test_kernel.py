"""The kernel: tables per revision, stamping and lowering, cached results, hooks and observers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.jsonrpc.errors import InternalError, InvalidParams, MethodNotFound, RpcError
from mcpkit.jsonrpc.messages import Encoded, Result
from mcpkit.kernel import ALL_REVISIONS, MAX_PAGES, Handler, Kernel
from mcpkit.observe.events import Served
from mcpkit.protocol.envelope import META_SERVER_INFO
from mcpkit.protocol.errors import ResourceNotFound
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, PLAIN, REVISIONS
from mcpkit.protocol.revisions.revision import Era
from tests.exchanges import Recorder, exchange

INFO = {"name": "unit", "version": "1"}


def kernel(**handlers: Handler) -> Kernel:
    made = Kernel(INFO)
    for method, handler in handlers.items():
        made.register(method.replace("__", "/"), handler)
    return made


async def echo(exchange: Exchange) -> Result:
    return {"got": exchange.params}


@pytest.mark.parametrize("revision", ALL_REVISIONS, ids=lambda revision: revision.name or "plain")
async def test_a_method_exists_exactly_where_its_revision_knows_it(revision: Any) -> None:
    """METH-01: absence is the gate."""
    unit = kernel(ping=echo, server__discover=echo, my__method=echo)
    for method in ("ping", "server/discover"):
        if method in revision.requests:
            assert await unit.serve(exchange(method, revision=revision))
        else:
            with pytest.raises(MethodNotFound, match=method):
                await unit.serve(exchange(method, revision=revision))
    assert await unit.serve(exchange("my/method", revision=revision))
    with pytest.raises(MethodNotFound):
        await unit.serve(exchange("other", revision=revision))


async def test_a_registration_can_say_where() -> None:
    unit = kernel()
    unit.register("my/method", echo, revisions=[NEWEST.name])
    assert unit.offers("my/method", NEWEST)
    assert not unit.offers("my/method", PLAIN)
    unit.unregister("my/method")
    assert not unit.offers("my/method", NEWEST)
    unit.unregister("my/method")


async def test_results_are_stamped_where_the_revision_wants_it() -> None:
    """RES-01, META-20 against RES-05, META-24."""
    unit = kernel(my__method=echo)
    stamped = await unit.serve(exchange("my/method", revision=NEWEST))
    assert stamped == {"resultType": "complete", "got": {}, "_meta": {META_SERVER_INFO: INFO}}
    for revision in ALL_REVISIONS:
        if revision.era is not Era.ENVELOPE:
            assert await unit.serve(exchange("my/method", revision=revision)) == {"got": {}}


async def test_a_stamp_keeps_what_the_handler_said() -> None:
    async def own(exchange: Exchange) -> Result:
        return {"resultType": "input_required", "_meta": {"x": 1}}

    result = await kernel(my__method=own).serve(exchange("my/method"))
    assert result == {"resultType": "input_required", "_meta": {"x": 1, META_SERVER_INFO: INFO}}


async def test_results_are_lowered_to_the_revision() -> None:
    """VER-05."""

    async def listed(exchange: Exchange) -> Result:
        tool = {"name": "t", "title": "T", "description": "d", "inputSchema": {"type": "object"}, "icons": []}
        return {"tools": [tool], "ttlMs": 5, "cacheScope": "public"}

    unit = kernel(tools__list=listed)
    oldest = list(REVISIONS.values())[-1]
    lowered = await unit.serve(exchange("tools/list", revision=oldest))
    assert lowered == {"tools": [{"name": "t", "description": "d", "inputSchema": {"type": "object"}}]}


async def test_errors_get_the_revisions_number() -> None:
    """ERR-06, ERR-07."""

    async def missing(exchange: Exchange) -> Result:
        raise ResourceNotFound("a://b")

    unit = kernel(resources__read=missing)
    for revision, code in ((NEWEST, -32602), (NEWEST_HANDSHAKE, -32002)):
        with pytest.raises(RpcError) as caught:
            await unit.serve(exchange("resources/read", revision=revision))
        assert (caught.value.code, caught.value.data) == (code, {"uri": "a://b"})


async def test_an_unknown_exception_is_logged_and_never_told(caplog: pytest.LogCaptureFixture) -> None:
    """LEAK-07: the answer is generic, the log has the rest."""

    async def broken(exchange: Exchange) -> Result:
        raise RuntimeError("/secret/path")

    with pytest.raises(InternalError) as caught:
        await kernel(my__method=broken).serve(exchange("my/method"))
    assert "secret" not in caught.value.message
    assert caught.value.__suppress_context__
    assert "/secret/path" in caplog.text


async def test_cached_results_are_made_once_per_revision_and_key_until_invalidated() -> None:
    made: list[str] = []

    async def page(exchange: Exchange) -> Result:
        made.append(exchange.revision.name)
        return {"page": exchange.params.get("cursor")}

    unit = kernel()
    unit.register("my/list", page, cache_key=lambda exchange: exchange.params.get("cursor"))
    first = await unit.serve(exchange("my/list", {"cursor": "a"}))
    assert isinstance(first, Encoded)
    assert await unit.serve(exchange("my/list", {"cursor": "a"})) is first
    assert await unit.serve(exchange("my/list", {"cursor": "a"}, revision=PLAIN)) == b'{"page":"a"}'
    assert made == [NEWEST.name, ""]
    assert isinstance(await unit.serve(exchange("my/list")), dict), "no key, no cache"
    unit.invalidate("my/list")
    assert await unit.serve(exchange("my/list", {"cursor": "a"})) == first
    unit.invalidate()
    await unit.serve(exchange("my/list", {"cursor": "a"}))
    assert len(made) == 5


async def test_a_result_that_was_overtaken_by_a_change_is_not_kept() -> None:
    unit, value = kernel(), ["old"]
    gate = asyncio.Event()

    async def slow(exchange: Exchange) -> Result:
        now = value[0]
        await gate.wait()
        return {"value": now}

    unit.register("my/list", slow, cache_key=lambda exchange: 0)
    early = asyncio.create_task(unit.serve(exchange("my/list")))  # type: ignore[arg-type]  # Handler is a coroutine
    await asyncio.sleep(0)
    value[0] = "new"
    unit.invalidate("my/list")
    gate.set()
    assert b"old" in bytes(await early)  # type: ignore[arg-type]  # it is Encoded
    assert b"new" in bytes(await unit.serve(exchange("my/list")))  # type: ignore[arg-type]  # it is Encoded


async def test_invented_keys_cannot_fill_the_memory() -> None:
    """AVAIL-07: cached pages are bounded."""
    unit = kernel()
    unit.register("my/list", echo, cache_key=lambda exchange: exchange.params["cursor"])
    for number in range(MAX_PAGES + 50):
        await unit.serve(exchange("my/list", {"cursor": str(number)}))
    assert len(unit._pages["my/list"]) == MAX_PAGES


async def test_hooks_wrap_in_the_order_they_were_given() -> None:
    order: list[str] = []

    def named(name: str) -> Any:
        async def hook(exchange: Exchange, call: Handler) -> Result:
            order.append(f"{name} in")
            try:
                return await call(exchange)
            finally:
                order.append(f"{name} out")

        return hook

    unit = kernel(my__method=echo)
    unit.use(named("first"))
    unit.use(named("second"))
    await unit.serve(exchange("my/method"))
    assert order == ["first in", "second in", "second out", "first out"]


async def test_a_hook_around_one_method_gives_a_canonical_result() -> None:
    """It may come before its method is registered; what it returns is stamped as any result is."""
    calls: list[str] = []

    async def hook(exchange: Exchange, call: Handler) -> Result:
        calls.append(exchange.method)
        result = await call(exchange)
        assert isinstance(result, dict)
        assert "_meta" not in result
        return {**result, "resultType": "task"}

    unit = kernel()
    unit.around("my/method", hook)
    unit.register("my/method", echo)
    unit.register("my/other", echo)
    assert await unit.serve(exchange("my/method", {"a": 1})) == {
        "got": {"a": 1},
        "resultType": "task",
        "_meta": {META_SERVER_INFO: INFO},
    }
    assert (await unit.serve(exchange("my/other")))["resultType"] == "complete"  # type: ignore[call-overload]
    assert calls == ["my/method"]


class Watching:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.events: list[Served] = []

    def began(self, method: str) -> None:
        self.begun.append(method)

    def served(self, event: Served) -> None:
        self.events.append(event)


async def test_observers_see_every_outcome_and_no_values() -> None:
    async def tool(exchange: Exchange) -> Result:
        outcome = exchange.params["arguments"]["outcome"]
        if outcome == "error":
            raise InvalidParams
        if outcome == "hang":
            await asyncio.Event().wait()
        return {"content": [], "isError": outcome == "tool_error"}

    unit, watching = kernel(tools__call=tool), Watching()
    unit.observe(watching)

    def call(outcome: str) -> Exchange:
        return exchange("tools/call", {"name": "t", "arguments": {"outcome": outcome}})

    await unit.serve(call("ok"))
    await unit.serve(call("tool_error"))
    with pytest.raises(InvalidParams):
        await unit.serve(call("error"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await unit.serve(call("hang"))
    assert watching.begun == ["tools/call"] * 4
    assert [event.error for event in watching.events] == [None, "tool_error", "-32602", "cancelled"]
    first = watching.events[0]
    assert (first.client, first.revision, first.argument_bytes) == ("tester", NEWEST.name, len(b'{"outcome":"ok"}'))
    assert (first.target, first.seconds >= 0) == ("t", True)


async def test_notifications_reach_their_listener_and_never_fail(caplog: pytest.LogCaptureFixture) -> None:
    """RPC-12, RPC-16."""
    heard: list[str] = []

    async def listener(exchange: Exchange) -> None:
        heard.append(exchange.method)
        raise RuntimeError("broken listener")

    unit = kernel()
    unit.on_notification("notifications/roots/list_changed", listener)
    for revision in (NEWEST_HANDSHAKE, NEWEST):
        await unit.notified(exchange("notifications/roots/list_changed", revision=revision, id=None))
    await unit.notified(exchange("notifications/unknown", revision=NEWEST_HANDSHAKE, id=None, channel=Recorder()))
    assert heard == ["notifications/roots/list_changed"]
    assert "broken listener" in caplog.text
