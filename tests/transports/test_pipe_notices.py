"""What the session of a pipe is told of changes (LSUB-01, LSUB-02, INIT-05, DUAL-04)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mcpkit.kernel import Kernel
from mcpkit.protocol.changes import LOGGED, TOOLS_CHANGED, Listener, LocalChanges, Notice
from tests.pipes import SECONDS, Desk, Pipe, call, initialize, notification, small_kernel


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def pipe(desk: Desk) -> Any:
    pipe = Pipe(desk.kernel)
    yield pipe
    pipe.duplex.close()
    await pipe.over()


async def test_a_session_is_told_what_it_watches(pipe: Pipe, desk: Desk) -> None:
    """LSUB-01, LSUB-02, INIT-05, DUAL-04: once it is ready, once for equal changes, not of other resources."""
    feed = desk.kernel.changes
    feed.publish(Notice(TOOLS_CHANGED))
    await pipe.say(initialize())
    await pipe.hear()
    feed.publish(Notice(TOOLS_CHANGED))
    assert await pipe.quiet() == []
    await pipe.say(notification("notifications/initialized"), call(1))
    await pipe.hear()
    session = desk.seen[0].session
    assert session is not None
    session.subscriptions |= {"a://b"}
    for notice in (Notice(TOOLS_CHANGED), Notice(TOOLS_CHANGED), Notice.updated("a://b"), Notice.updated("a://c")):
        feed.publish(notice)
    assert await pipe.quiet() == [
        notification(TOOLS_CHANGED),
        notification("notifications/resources/updated", {"uri": "a://b"}),
    ]
    feed.publish(Notice(TOOLS_CHANGED))
    assert len(await pipe.quiet()) == 1


async def test_a_change_may_be_made_in_any_thread(pipe: Pipe, desk: Desk) -> None:
    """A tool in a thread adds another tool; the event loop may be asleep, and is woken."""
    await pipe.open()
    asyncio.get_running_loop().set_debug(True)  # so that what is not made for threads says so
    thread = threading.Thread(target=desk.kernel.changes.publish, args=(Notice(TOOLS_CHANGED),))
    thread.start()
    assert await pipe.hear() == [notification(TOOLS_CHANGED)]
    thread.join(SECONDS)


async def test_what_is_logged_outside_requests_is_told_by_level(pipe: Pipe, desk: Desk) -> None:
    """LOG-06, DUAL-04: in a session only, each message once."""
    feed = desk.kernel.changes
    quiet, loud = (Notice.logged({"level": level, "data": "x"}) for level in ("debug", "info"))
    feed.publish(loud)
    await pipe.open()
    for said in (quiet, loud, Notice.logged(loud.params)):
        feed.publish(said)
    assert await pipe.hear(2) == [notification(LOGGED, loud.params)] * 2
    assert await pipe.quiet() == []


class SlowReader(Pipe):
    """Takes one message and then none until it is asked to."""

    def __init__(self, kernel: Kernel) -> None:
        self.read = asyncio.Event()
        self.read.set()
        super().__init__(kernel)

    def write(self, message: bytes) -> None:
        """The pipe is full now."""
        self.read.clear()
        super().write(message)

    async def drained(self) -> None:
        """Wait for the reader."""
        await self.read.wait()


async def test_who_reads_slowly_is_not_flooded(desk: Desk) -> None:
    """LOG-05: what was said waits where changes take precedence, not in the pipe's buffer."""
    pipe = SlowReader(desk.kernel)
    await pipe.open()
    for number in range(3):
        desk.kernel.changes.publish(Notice.logged({"level": "info", "data": number}))
    for number in range(3):
        assert [said["params"]["data"] for said in await pipe.quiet()] == [number]
        pipe.read.set()
    pipe.duplex.close()
    await pipe.over()


class Feed(LocalChanges):
    """Knows how many listen."""

    listening = 0

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        end = super().subscribe(listener)
        self.listening += 1

        def ended() -> None:
            self.listening -= 1
            end()

        return ended


async def test_after_the_end_nobody_is_told() -> None:
    """LSUB-03: the feed forgets a pipe that is closed."""
    kernel = small_kernel()
    feed = kernel.changes = Feed()
    pipe = Pipe(kernel)
    await pipe.open()
    assert feed.listening == 1
    feed.publish(Notice(TOOLS_CHANGED))
    pipe.duplex.close()
    assert feed.listening == 0
    assert await pipe.quiet() == []
