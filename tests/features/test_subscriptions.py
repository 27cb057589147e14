"""Being told of changes, by stream and by session (SUB-01 to SUB-14, LSUB-01)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mcpkit.features.errors import Overloaded
from mcpkit.features.subscriptions import ACKNOWLEDGED, MAX_KEYS, Subscriptions, subscribe, unsubscribe
from mcpkit.jsonrpc.errors import InvalidParams
from mcpkit.protocol.changes import PROMPTS_CHANGED, RESOURCE_UPDATED, TOOLS_CHANGED, LocalChanges, Notice
from mcpkit.protocol.envelope import META_SUBSCRIPTION_ID
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.security.principal import Principal
from tests.exchanges import Recorder, Remembered, exchange


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


async def listening(subscriptions: Subscriptions, wanted: dict[str, Any]) -> tuple[Listening, asyncio.Task[Any]]:
    channel = Listening()
    call = exchange("subscriptions/listen", {"notifications": wanted}, id="sub-1", channel=channel)
    task = asyncio.create_task(subscriptions.listen(call))
    await channel.heard(1)
    return channel, task


async def test_a_change_made_in_another_thread_is_told_at_once() -> None:
    """A sync tool, or whoever watches files, has a thread of its own; nothing else may happen for long that would wake
    the event loop."""
    changes = LocalChanges()
    channel, task = await listening(Subscriptions(changes), {"toolsListChanged": True, "promptsListChanged": True})
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
