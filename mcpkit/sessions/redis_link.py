"""This replica's line to Redis: bounded, honest about being cut, and coming back by itself.

A step that fails because Redis is out of reach raises :class:`StoreAway`; from then on every step fails at once until
the heart beats again. What must never stand here: what a step does (redis_scripts.py), sessions.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MovedError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import ConnectionError as Unreachable

from mcpkit.sessions import redis_scripts as scripts
from mcpkit.sessions.store import StoreAway

PREFIX: Final = "{mcpkit}:"
STEP_SECONDS: Final = 1.0
"""No step takes longer; then Redis counts as away."""
BEAT_SECONDS: Final = 1.0
LEASE_MS: Final = 4_000
"""A replica that has not been heard of for this long is gone."""
SOONEST_SECONDS: Final = 0.05
CONNECTIONS: Final = 64
OWED: Final = 10_000
CLUSTER: Final = "; a Cluster is not supported: name one Redis"

logger = logging.getLogger("mcpkit.redis")


class Link:
    """Runs steps; :attr:`id` names this replica from :meth:`begin` on."""

    def __init__(self, url: str, *, prefix: str = PREFIX, step_seconds: float = STEP_SECONDS) -> None:
        """``url`` as redis-py takes it; every key begins with ``prefix``. Raises: ValueError."""
        self.id = ""
        self.prefix = prefix
        self.away = False
        """Whether Redis is out of reach, as far as is known."""
        self.sessions = 0
        """How many sessions there are in all, as of the last beat."""
        self.read_up_to = "0"
        """The last message of this replica's inbox that was dealt with."""
        self.back: list[Callable[[], None]] = []
        """Called when Redis is back."""
        self.beats: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """Awaited with every beat."""
        self._seconds = step_seconds
        self._back_at = 0.0
        self._pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=step_seconds,
            socket_timeout=step_seconds,
            socket_connect_timeout=step_seconds,
            retry=Retry(NoBackoff(), 1),
            protocol=2,
        )
        self._client: Any = Redis(connection_pool=self._pool)
        self._scripts: dict[str, Any] = {}
        self._cursor: bytes | int = 0
        """Where the next beat goes on looking through what callers hold."""
        self._owed: deque[tuple[str, tuple[Any, ...]]] = deque(maxlen=OWED)
        self._tasks: set[asyncio.Task[None]] = set()
        self._nudge = asyncio.Event()

    @property
    def settled(self) -> bool:
        """Whether Redis has been there for long enough that a missing lease means a replica that is gone."""
        return not self.away and monotonic() - self._back_at > LEASE_MS / 1000

    def begin(self) -> None:
        """Take a name; in the process that serves, which may be a fork of the one that made this."""
        self.id = secrets.token_hex(6)

    async def run(self, script: str, *arguments: Any) -> Any:
        """Do one step.

        Raises: StoreAway.
        """
        if self.away:
            raise _away()
        return await self._bounded(self._script(script)(keys=[self.prefix], args=arguments))

    async def do(self, command: str, *arguments: Any) -> Any:
        """Do one command of Redis; names of keys are given whole.

        Raises: StoreAway.
        """
        if self.away:
            raise _away()
        return await self._bounded(self._client.execute_command(command, *arguments))

    @staticmethod
    def token() -> str:
        """What makes a step recognised when it is sent twice."""
        return secrets.token_hex(8)

    def owe(self, script: str, *arguments: Any) -> None:
        """Do a step as soon as Redis is there again."""
        self._owed.append((script, arguments))

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; it may meet StoreAway."""
        task = asyncio.ensure_future(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def beat(self) -> None:
        """Renew this replica's lease, now.

        Raises: StoreAway.
        """
        arguments = (self.id, LEASE_MS, self.read_up_to, self._cursor)
        self.sessions, self._cursor = await self._bounded(
            self._script(scripts.BEAT)(keys=[self.prefix], args=arguments), beating=True
        )
        if self.away:
            self.away = False
            self._back_at = monotonic()
            logger.warning("Redis is back")
            for listener in tuple(self.back):
                listener()
        while self._owed:
            script, given = self._owed[0]
            await self.run(script, *given)
            self._owed.popleft()
        for listen in tuple(self.beats):
            await listen()

    async def keep_beating(self) -> None:
        """Beat for ever; sooner, and with growing pauses, while Redis is away."""
        pause = SOONEST_SECONDS
        while True:
            try:
                await self.beat()
                pause = SOONEST_SECONDS
                wait = BEAT_SECONDS
            except Exception as error:
                if not isinstance(error, StoreAway):  # whatever it is, a replica without a heart counts as dead
                    logger.exception("a beat failed")
                wait = pause * random.uniform(0.5, 1.0)
                pause = min(2 * pause, BEAT_SECONDS)
                with suppress(Exception):  # somebody may take the very connection that is being closed
                    await self._pool.disconnect(inuse_connections=False)
            self._nudge.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._nudge.wait()

    async def close(self) -> None:
        """Give the lease up and close every connection."""
        if self.id:
            with suppress(StoreAway):
                await self.run(scripts.LEAVE_ALL, self.id)
        for task in tuple(self._tasks):
            task.cancel()
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._client.aclose()
                await self._pool.disconnect()

    def reader(self) -> Any:
        """A client with a connection of its own, for steps that wait."""
        options = {**self._pool.connection_kwargs, "socket_timeout": 3 * BEAT_SECONDS, "retry": Retry(NoBackoff(), 0)}
        pool: Any = BlockingConnectionPool(
            connection_class=self._pool.connection_class, max_connections=1, timeout=1, **options
        )
        return Redis.from_pool(pool)

    def doubt(self) -> None:
        """Something may be wrong: the next beat, at once, shows whether it is."""
        self._nudge.set()

    def lost(self, error: BaseException) -> None:
        """Something shows that Redis is out of reach."""
        if not self.away:
            self.away = True
            logger.warning("Redis is away: %s", type(error).__name__)
            self._nudge.set()

    def _script(self, text: str) -> Any:
        found = self._scripts.get(text)
        if found is None:
            found = self._scripts[text] = self._client.register_script(text)
        return found

    async def _bounded(self, step: Any, *, beating: bool = False) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await step
        except (ReadOnlyError, OutOfMemoryError, Unreachable, OSError, TimeoutError) as error:
            self.lost(error)
        except ResponseError as error:
            advice = CLUSTER if isinstance(error, MovedError | ClusterDownError) else ""
            logger.error("Redis refused a step: %s%s", error, advice)
            if beating:
                self.lost(error)
        except RedisError as error:
            self.lost(error)
        except Exception as error:
            logger.exception("a step of Redis failed")
            self.lost(error)
        raise _away()


def _away() -> StoreAway:
    return StoreAway("The store of sessions is out of reach; try again in a moment")


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(StoreAway):
        await work
