"""The kernel: tables per revision, stamping and lowering, cached results, hooks and observers."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from mcpkit.jsonrpc.codec import encode_result
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, MethodNotFound, RpcError
from mcpkit.jsonrpc.messages import Encoded, Result
from mcpkit.kernel import ALL_REVISIONS, MAX_PAGES, Handler, Kernel
from mcpkit.observe.events import Served
from mcpkit.protocol.envelope import META_SERVER_INFO
from mcpkit.protocol.errors import ResourceNotFound
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, PLAIN, REVISIONS
from mcpkit.protocol.revisions.revision import Era, Revision
from mcpkit.security.principal import Principal
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


def paged() -> tuple[Kernel, list[str]]:
    """A kernel whose list is kept, and who caused it to be made."""
    unit, made = kernel(), list[str]()

    async def listed(exchange: Exchange) -> dict[str, Any]:
        made.append(exchange.principal.id if exchange.principal else "nobody")
        return {"tools": [{"name": "open"}, {"name": "secret"}], "ttlMs": 0, "cacheScope": "public"}

    unit.register("tools/list", listed, cache_key=lambda exchange: 0)
    return unit, made


async def for_root_only(exchange: Exchange, call: Any) -> Any:
    """Hide a tool from all but one caller."""
    result = await call(exchange)
    root = exchange.principal is not None and exchange.principal.id == "root"
    return {**result, "tools": [tool for tool in result["tools"] if root or tool["name"] != "secret"]}


async def names(unit: Kernel, id: str, revision: Revision) -> tuple[list[str], str | None]:
    asked = exchange("tools/list", revision=revision, principal=Principal(id))
    result = orjson.loads(encode_result(1, await unit.serve(asked)))["result"]
    return [tool["name"] for tool in result["tools"]], result.get("cacheScope")


@pytest.mark.parametrize("revision", ALL_REVISIONS, ids=lambda revision: revision.name)
@pytest.mark.parametrize("varies", [None, lambda exchange: exchange.principal, lambda exchange: None])
async def test_a_page_that_a_hook_filters_is_never_given_to_another_caller(varies: Any, revision: Revision) -> None:
    unit, made = paged()
    assert await names(unit, "eve", revision) == (["open", "secret"], await scope(unit, revision))
    unit.around("tools/list", for_root_only, varies=varies)
    for _ in range(5):
        for id, seen in (("root", ["open", "secret"]), ("eve", ["open"])):
            assert await names(unit, id, revision) in ((seen, "private"), (seen, None))
    kept = varies is not None and varies(exchange("tools/list", principal=Principal("x"))) is not None
    assert made[1:] == (["root", "eve"] if kept else ["root", "eve"] * 5)


async def scope(unit: Kernel, revision: Revision) -> str | None:
    """What is said of a list that is the same for all."""
    return (await names(unit, "eve", revision))[1]


async def test_two_hooks_both_say_what_they_depend_on() -> None:
    for varies in (
        (lambda exchange: 0, lambda exchange: exchange.principal),
        (lambda exchange: exchange.principal, None),
    ):
        unit, made = paged()
        for each in varies:
            unit.around("tools/list", for_root_only, varies=each)
        for id in ("root", "eve", "root", "eve"):
            assert (await names(unit, id, NEWEST))[0] == (["open", "secret"] if id == "root" else ["open"])
        assert len(made) == (4 if None in varies else 2)


async def test_a_hook_around_everything_runs_for_each_request() -> None:
    """It stands outside of what is kept."""
    unit, made = paged()
    asked: list[str] = []

    async def hook(exchange: Exchange, call: Any) -> Any:
        asked.append(exchange.principal.id)  # type: ignore[union-attr]  # all have one here
        result = await call(exchange)
        return result if asked[-1] == "root" else {"tools": []}

    unit.use(hook)
    for id in ("root", "eve", "root", "eve"):
        assert bool((await names(unit, id, NEWEST))[0]) is (id == "root")
    assert (asked, len(made)) == (["root", "eve"] * 2, 1)


@pytest.mark.parametrize("meta", [None, [], "text", 7, True, 1.5])
@pytest.mark.parametrize("revision", ALL_REVISIONS, ids=lambda revision: revision.name)
@pytest.mark.parametrize("hooked", [False, True])
async def test_meta_is_an_object_or_nothing(revision: Revision, meta: Any, hooked: bool) -> None:
    """META-01."""
    heard: list[Any] = []

    async def hook(exchange: Exchange, call: Any) -> Any:
        heard.append(exchange.params["_meta"])
        return await call(exchange)

    async def served(exchange: Exchange) -> Any:
        heard.append(exchange.params["_meta"])
        return {}

    unit = kernel(x__own=served)
    unit.on_notification("notifications/roots/list_changed", served)
    if hooked:
        unit.use(hook)
    with pytest.raises(InvalidParams, match="_meta must be an object"):
        await unit.serve(exchange("x/own", {"_meta": meta}, revision=revision))
    await unit.notified(exchange("notifications/roots/list_changed", {"_meta": meta}, revision=revision, id=None))
    assert heard == []


@pytest.mark.parametrize("token", [[1], 1.5, None, True, False, {}])
@pytest.mark.parametrize("revision", ALL_REVISIONS, ids=lambda revision: revision.name)
@pytest.mark.parametrize("hooked", [False, True])
async def test_a_progress_token_is_a_text_or_an_integer(revision: Revision, token: Any, hooked: bool) -> None:
    """Any other could not be told apart when progress comes back; nothing is called for it."""
    heard: list[Any] = []

    async def hook(exchange: Exchange, call: Any) -> Any:
        return await call(exchange)

    async def served(exchange: Exchange) -> Any:
        heard.append(exchange.params["_meta"]["progressToken"])
        return {}

    unit = kernel(x__own=served)
    if hooked:
        unit.use(hook)
    with pytest.raises(InvalidParams, match="progressToken must be a string or an integer"):
        await unit.serve(exchange("x/own", {"_meta": {"progressToken": token}}, revision=revision))
    for good in ("", "text", 0, -7):
        await unit.serve(exchange("x/own", {"_meta": {"progressToken": good}}, revision=revision))
    assert heard == ["", "text", 0, -7]
