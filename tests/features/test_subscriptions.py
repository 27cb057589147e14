"""Being told of changes, by stream and by session (SUB-01 to SUB-14, LSUB-01)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mcpkit.features.errors import Overloaded
from mcpkit.features.subscriptions import ACKNOWLEDGED, MAX_KEYS, Subscriptions, subscribe, unsubscribe
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.changes import (
    AT_ONCE,
    PROMPTS_CHANGED,
    RESOURCE_UPDATED,
    TOOLS_CHANGED,
    ChangeFeed,
    Listener,
    LocalChanges,
    Notice,
)
from mcpkit.protocol.envelope import META_SUBSCRIPTION_ID
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from tests.exchanges import Recorder, Remembered, exchange

BOTH = {"toolsListChanged": True, "promptsListChanged": True}


class Listening(Recorder):
    """A channel on which a test can wait for the next words."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        await super().notify(method, params)
        self._more.set()

    async def heard(self, count: int) -> list[str]:
        async with asyncio.timeout(5):
            while len(self.said) < count:
                self._more.clear()
                await self._more.wait()
        return [method for method, _ in self.said]


class Direct(Listening):
    """A channel that takes what is offered, unless it shall not; a test can hold up who notifies."""

    def __init__(self) -> None:
        super().__init__()
        self.offered: list[dict[str, Any]] = []
        self.takes = True
        self.clear = asyncio.Event()
        self.clear.set()

    def offer(self, notification: bytes) -> bool:
        if self.takes:
            message = json.loads(notification)
            self.offered.append(message)
            self.said.append((message["method"], message["params"]))
            self._more.set()
        return self.takes

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        await self.clear.wait()
        await super().notify(method, params)


class Encoding(Direct):
    """Writes what it is told, as a transport does."""

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        encode(params)
        await super().notify(method, params)


class Feed(LocalChanges):
    """Counts its listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners = 0

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        end = super().subscribe(listener)
        self.listeners += 1

        def unsubscribe() -> None:
            self.listeners -= 1
            end()

        return unsubscribe


async def listening(
    subscriptions: Subscriptions, wanted: dict[str, Any], channel: Listening | None = None, id: str | int = "sub-1"
) -> tuple[Listening, asyncio.Task[Any]]:
    channel = channel or Listening()
    call = exchange("subscriptions/listen", {"notifications": wanted}, id=id, channel=channel)
    task = asyncio.create_task(subscriptions.listen(call))
    await channel.heard(1)
    return channel, task


async def crowd(changes: ChangeFeed, count: int) -> tuple[Subscriptions, list[Direct], list[asyncio.Task[Any]]]:
    """Many streams of one server that are told at once."""
    subscriptions, channels = Subscriptions(changes), [Direct() for _ in range(count)]
    tasks = [(await listening(subscriptions, BOTH, channel))[1] for channel in channels]
    return subscriptions, channels, tasks


async def ended(subscriptions: Subscriptions, tasks: list[asyncio.Task[Any]]) -> None:
    subscriptions.close()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_a_change_made_in_another_thread_is_told_at_once() -> None:
    """A sync tool, or whoever watches files, has a thread of its own; nothing else may happen for long that would wake
    the event loop."""
    changes = LocalChanges()
    channel, task = await listening(Subscriptions(changes), BOTH)
    loop = asyncio.get_running_loop()
    begun, told = threading.Event(), list[float]()

    def publish() -> None:
        begun.wait(5)
        for method in (TOOLS_CHANGED, PROMPTS_CHANGED):
            told.append(loop.time())
            changes.publish(Notice(method))

    thread = threading.Thread(target=publish)
    thread.start()
    loop.call_soon(begun.set)
    assert (await channel.heard(3))[1:] == [TOOLS_CHANGED, PROMPTS_CHANGED]
    assert loop.time() - told[0] < 4, "it was told only when the wait for it was over"
    thread.join()
    task.cancel()


async def test_who_can_be_told_at_once_is_not_woken_for_it() -> None:
    """SUB-10: waking thousands of tasks costs more than telling them; each hears of its own subscription."""
    changes = LocalChanges()
    subscriptions = Subscriptions(changes)
    tasks = []
    channels = {id: Direct() for id in ("sub-1", 1, "1")}
    for id, channel in channels.items():
        tasks.append((await listening(subscriptions, BOTH, channel, id))[1])
    for method in (TOOLS_CHANGED, PROMPTS_CHANGED):
        changes.publish(Notice(method, params={"a": 1}))
    for id, channel in channels.items():
        assert await channel.heard(3) == [ACKNOWLEDGED, TOOLS_CHANGED, PROMPTS_CHANGED]
        told = {"jsonrpc": "2.0", "params": {"a": 1, "_meta": {META_SUBSCRIPTION_ID: id}}}
        assert channel.offered == [{**told, "method": method} for method in (TOOLS_CHANGED, PROMPTS_CHANGED)]
    await ended(subscriptions, tasks)


async def test_nothing_overtakes_what_waits() -> None:
    """SUB-10: a line that is free again may not be taken past what was published before."""
    changes = LocalChanges()
    subscriptions, channel = Subscriptions(changes), Direct()
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["a://1", "a://2"]}
    task = (await listening(subscriptions, wanted, channel))[1]
    other = (await listening(subscriptions, wanted))[0]
    channel.takes = False
    channel.clear.clear()
    changes.publish(Notice.updated("a://1"))
    await other.heard(2)
    channel.takes = True
    for notice in (Notice(TOOLS_CHANGED), Notice.updated("a://2"), Notice(TOOLS_CHANGED)):
        changes.publish(notice)
        await other.heard(len(other.said) + 1)
    assert len(channel.said) == 1
    channel.clear.set()
    await channel.heard(4)
    assert [params.get("uri") for _, params in channel.said[1:]] == ["a://1", "a://2", None]
    assert not channel.offered
    changes.publish(Notice.updated("a://1"))
    await channel.heard(5)
    assert len(channel.offered) == 1, "once nothing waits any more it is told at once again"
    await ended(subscriptions, [task])


async def test_calls_get_a_turn_while_many_are_told() -> None:
    """Thousands of streams would hold the event loop for as long as telling them all takes."""
    changes, seen = LocalChanges(), set[int]()
    subscriptions, channels, tasks = await crowd(changes, 3 * AT_ONCE)
    changes.publish(Notice(TOOLS_CHANGED))
    assert not any(channel.offered for channel in channels), "nor does whoever publishes wait for it"
    async with asyncio.timeout(5):
        while not all(channel.offered for channel in channels):
            await asyncio.sleep(0)
            seen.add(sum(len(channel.offered) for channel in channels))
    assert {AT_ONCE, 2 * AT_ONCE} <= seen
    await ended(subscriptions, tasks)


async def test_who_leaves_while_others_are_told_hears_nothing() -> None:
    """SUB-07."""
    changes = LocalChanges()
    subscriptions, channels, tasks = await crowd(changes, 2 * AT_ONCE)
    changes.publish(Notice(TOOLS_CHANGED))
    await channels[0].heard(2)
    tasks[-1].cancel()
    await asyncio.wait([tasks.pop()], timeout=5)
    await channels[-2].heard(2)
    assert not channels[-1].offered
    await ended(subscriptions, tasks)


@pytest.mark.parametrize("turns", [0, 1])
async def test_what_was_published_before_the_end_is_told_before_it(turns: int) -> None:
    """SUB-08: wherever the telling is when the server goes down."""
    changes = LocalChanges()
    subscriptions, channels, tasks = await crowd(changes, 4 * AT_ONCE)
    changes.publish(Notice(TOOLS_CHANGED))
    for channel in channels[:turns]:
        await channel.heard(2)
    await ended(subscriptions, tasks)
    assert {tuple(method for method, _ in channel.said) for channel in channels} == {(ACKNOWLEDGED, TOOLS_CHANGED)}


async def test_a_stream_that_cannot_end_yet_goes_on_hearing() -> None:
    """SUB-08: its last words are held up; what changes meanwhile comes before its result too."""
    changes = LocalChanges()
    subscriptions, channels, tasks = await crowd(changes, 4 * AT_ONCE)
    changes.publish(Notice(TOOLS_CHANGED))
    await channels[0].heard(2)
    channels[-1].clear.clear()
    subscriptions.close()
    changes.publish(Notice(PROMPTS_CHANGED))
    await asyncio.wait_for(asyncio.gather(*tasks[:-1]), 5)
    channels[-1].clear.set()
    await asyncio.wait_for(tasks[-1], 5)
    assert await channels[-1].heard(3) == [ACKNOWLEDGED, TOOLS_CHANGED, PROMPTS_CHANGED]


async def test_streams_of_several_event_loops_are_told_each_in_its_own() -> None:
    """One server may be served by several threads."""
    changes = Feed()
    subscriptions = Subscriptions(changes)
    channel, task = await listening(subscriptions, {"toolsListChanged": True}, Direct())
    here, ready = threading.get_ident(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def elsewhere() -> tuple[list[str], set[int]]:
        threads = set[int]()

        class Noting(Direct):
            def offer(self, notification: bytes) -> bool:
                threads.add(threading.get_ident())
                return super().offer(notification)

            async def notify(self, method: str, params: dict[str, Any]) -> None:
                threads.add(threading.get_ident())
                await super().notify(method, params)

        there, waiting = await listening(subscriptions, {"toolsListChanged": True}, Noting())
        loop.call_soon_threadsafe(ready.set)
        heard = await there.heard(2)
        await asyncio.wait_for(waiting, 5)
        return heard, threads

    other = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere()))
    await asyncio.wait_for(ready.wait(), 5)
    assert (subscriptions.open, changes.listeners) == (2, 2)
    changes.publish(Notice(TOOLS_CHANGED))
    assert await channel.heard(2) == [ACKNOWLEDGED, TOOLS_CHANGED]
    await ended(subscriptions, [task])
    heard, [thread] = await asyncio.wait_for(other, 5)
    assert heard == [ACKNOWLEDGED, TOOLS_CHANGED]
    assert thread != here
    assert (subscriptions.open, changes.listeners) == (0, 0)


async def test_all_streams_are_one_listener() -> None:
    """Whoever publishes doesn't wait for thousands of them; nobody listens for the last that has gone."""
    changes = Feed()
    subscriptions, _, tasks = await crowd(changes, 3)
    assert (subscriptions.open, changes.listeners) == (3, 1)
    await ended(subscriptions, tasks)
    assert (subscriptions.open, changes.listeners) == (0, 0)


async def test_what_nobody_watches_takes_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """AVAIL-04: what is logged, or changes where nobody looks any more, waits nowhere."""
    changes, calls = LocalChanges(), list[Any]()
    subscriptions = Subscriptions(changes)
    channel, task = await listening(subscriptions, {"resourceSubscriptions": ["a://1"]})
    gone = (await listening(subscriptions, {"resourceSubscriptions": ["a://1", "a://2"]}))[1]
    gone.cancel()
    await asyncio.wait([gone], timeout=5)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", lambda *call: calls.append(call))
        for notice in (Notice.updated("a://2"), Notice(TOOLS_CHANGED), Notice.logged({"level": "info"})):
            changes.publish(notice)
    assert not calls
    changes.publish(Notice.updated("a://1"))
    assert await channel.heard(2) == [ACKNOWLEDGED, RESOURCE_UPDATED]
    await ended(subscriptions, [task])


async def test_what_json_cannot_say_ends_its_stream_and_no_other() -> None:
    """RPC-14: an extension's mistake; its keyed notices reach those who watch that key."""
    changes = LocalChanges()
    subscriptions, channel = Subscriptions(changes), Direct()
    wrong = (await listening(subscriptions, {"resourceSubscriptions": ["a://wrong"]}, Encoding()))[1]
    right = (await listening(subscriptions, {"toolsListChanged": True}, channel))[1]
    changes.publish(Notice(RESOURCE_UPDATED, "a://wrong", {"uri": object()}))
    changes.publish(Notice(TOOLS_CHANGED))
    assert await channel.heard(2) == [ACKNOWLEDGED, TOOLS_CHANGED]
    with pytest.raises(TypeError):
        await asyncio.wait_for(wrong, 5)
    await ended(subscriptions, [right])


async def test_the_first_word_acknowledges_what_will_be_served() -> None:
    """SUB-02, SUB-03, META-21: the honoured subset, with the subscription's id."""
    subscriptions = Subscriptions(LocalChanges())
    wanted = {
        "toolsListChanged": True,
        "promptsListChanged": False,
        "unknown": True,
        "resourceSubscriptions": ["a://b"],
    }
    channel, task = await listening(subscriptions, wanted)
    assert channel.said == [
        (
            ACKNOWLEDGED,
            {
                "_meta": {META_SUBSCRIPTION_ID: "sub-1"},
                "notifications": {"toolsListChanged": True, "resourceSubscriptions": ["a://b"]},
            },
        )
    ]
    subscriptions.close()
    assert await asyncio.wait_for(task, 5) == {"_meta": {META_SUBSCRIPTION_ID: "sub-1"}}


async def test_only_what_was_asked_for_is_told() -> None:
    """SUB-02, SUB-10, SUB-12."""
    feed = LocalChanges()
    subscriptions = Subscriptions(feed)
    channel, task = await listening(subscriptions, {"toolsListChanged": True, "resourceSubscriptions": ["a://b"]})
    for notice in (
        Notice(PROMPTS_CHANGED),
        Notice.updated("a://other"),
        Notice.updated("a://b"),
        Notice(TOOLS_CHANGED),
    ):
        feed.publish(notice)
    assert (await channel.heard(3))[1:] == [RESOURCE_UPDATED, TOOLS_CHANGED]
    assert channel.said[1][1] == {"uri": "a://b", "_meta": {META_SUBSCRIPTION_ID: "sub-1"}}
    subscriptions.close()
    await asyncio.wait_for(task, 5)
    assert len(channel.said) == 3


async def test_a_slow_listener_is_told_once_of_equal_changes() -> None:
    """AVAIL-04: what waits is bounded by what is watched."""
    feed = LocalChanges()
    subscriptions = Subscriptions(feed)
    channel, task = await listening(subscriptions, {"toolsListChanged": True})
    for _ in range(1000):
        feed.publish(Notice(TOOLS_CHANGED))
    assert await channel.heard(2) == [ACKNOWLEDGED, TOOLS_CHANGED]
    subscriptions.close()
    await asyncio.wait_for(task, 5)
    assert len(channel.said) == 2


async def test_a_cancelled_stream_leaves_nothing_behind() -> None:
    """SUB-07."""
    feed = LocalChanges()
    subscriptions = Subscriptions(feed)
    channel, task = await listening(subscriptions, {"toolsListChanged": True})
    assert subscriptions.open == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert subscriptions.open == 0
    feed.publish(Notice(TOOLS_CHANGED))
    assert len(channel.said) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        [],
        "tools",
        {"toolsListChanged": "yes"},
        {"promptsListChanged": None},
        {"resourceSubscriptions": "a://b"},
        {"resourceSubscriptions": [1]},
        {"resourceSubscriptions": [f"a://{n}" for n in range(MAX_KEYS + 1)]},
    ],
    ids=lambda wanted: str(wanted)[:30],
)
async def test_a_senseless_filter_is_refused(wanted: Any) -> None:
    """SUB-01, RPC-14: told, rather than a stream that never says anything."""
    with pytest.raises(InvalidParams, match="notifications"):
        await Subscriptions(LocalChanges()).listen(exchange("subscriptions/listen", {"notifications": wanted}))


async def test_one_caller_holds_only_so_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """SUB-14: bounded for each caller; another one still has room, and an ended stream makes some."""
    monkeypatch.setattr("mcpkit.features.subscriptions.MAX_STREAMS", 1)
    subscriptions = Subscriptions(LocalChanges())

    def listen(caller: str) -> asyncio.Task[Any]:
        call = exchange("subscriptions/listen", {"notifications": {}}, principal=Principal(caller))
        return asyncio.create_task(subscriptions.listen(call))

    first = listen("ada")
    with pytest.raises(Overloaded, match="end one"):
        await asyncio.wait_for(listen("ada"), 5)
    other = listen("bob")
    first.cancel()
    await asyncio.wait([first], timeout=5)
    again = listen("ada")
    await asyncio.sleep(0)
    assert subscriptions.open == 2
    subscriptions.close()
    assert await asyncio.wait_for(asyncio.gather(other, again), 5)
    assert not subscriptions._held


async def test_keys_that_the_caller_may_not_watch_are_left_out() -> None:
    """SUB-12: filtered by the caller's authorization."""
    subscriptions = Subscriptions(LocalChanges(), permits={"resourceSubscriptions": lambda _, uri: uri != "a://secret"})
    channel, task = await listening(subscriptions, {"resourceSubscriptions": ["a://secret", "a://b", "a://b"]})
    assert channel.said[0][1]["notifications"] == {"resourceSubscriptions": ["a://b"]}
    subscriptions.close()
    await asyncio.wait_for(task, 5)


async def test_a_permit_may_have_to_look_somewhere() -> None:
    """SUB-12, where the answer stands in a store."""

    async def permits(exchange: Any, uri: str) -> bool:
        await asyncio.sleep(0)
        return uri != "a://secret"

    subscriptions = Subscriptions(LocalChanges(), permits={"resourceSubscriptions": permits})
    channel, task = await listening(subscriptions, {"resourceSubscriptions": ["a://secret", "a://b"]})
    assert channel.said[0][1]["notifications"] == {"resourceSubscriptions": ["a://b"]}
    subscriptions.close()
    await asyncio.wait_for(task, 5)


async def test_a_session_watches_resources() -> None:
    """LSUB-01, LSUB-03."""
    session = Remembered()

    def call(method: str, uri: object) -> Any:
        return exchange(method, {"uri": uri}, revision=NEWEST_HANDSHAKE, session=session)

    assert await subscribe(call("resources/subscribe", "a://b")) == {}
    assert session.subscriptions == {"a://b"}
    assert await unsubscribe(call("resources/unsubscribe", "a://b")) == {}
    assert await unsubscribe(call("resources/unsubscribe", "a://b")) == {}
    assert session.subscriptions == set()
    for senseless in (None, "", 3):
        with pytest.raises(InvalidParams, match="uri"):
            await subscribe(call("resources/subscribe", senseless))
    session.subscriptions |= {f"a://{n}" for n in range(MAX_KEYS)}
    with pytest.raises(InvalidParams, match="unsubscribe"):
        await subscribe(call("resources/subscribe", "a://one-more"))
