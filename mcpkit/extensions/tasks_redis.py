"""Tasks that all replicas know, kept in Redis until their time to live is over.

A task knows which replica runs its handler: when that is gone, whoever looks at the task finds it failed. What must
never stand here: a running handler, a method of the protocol.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from mcpkit.extensions.tasks_engine import STOPPED
from mcpkit.extensions.tasks_state import FAILED, Task
from mcpkit.extensions.tasks_store import Step, kept_bound
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.errors import InternalError
from mcpkit.limits import WHOLE, digest_of
from mcpkit.sessions.redis_link import Link
from mcpkit.sessions.redis_session import OF_CALLER

_ADD: Final = """
-- id, owner, limit, task, ttl ms, replica, most kept, most of one caller, caller
-- → 1, or 0: too many unfinished ones, -1: too many of this caller, -2: too many in all
local P = KEYS[1]
local owned = P .. 'tasks:' .. ARGV[2]
local task, open = P .. 'task:' .. ARGV[1], P .. 'tasks-open:' .. ARGV[2] .. ARGV[9]
local all, of_caller = P .. 'tasks-kept', P .. 'tasks-kept:' .. ARGV[9]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if redis.call('EXISTS', task) == 1 then return 1 end
for _, kept in ipairs({all, of_caller}) do redis.call('ZREMRANGEBYSCORE', kept, '-inf', now) end
for _, id in ipairs(redis.call('SMEMBERS', open)) do
  if redis.call('EXISTS', P .. 'task:' .. id) == 0 then redis.call('SREM', open, id) end
end
if redis.call('SCARD', open) >= tonumber(ARGV[3]) then return 0 end
if redis.call('ZCARD', all) >= tonumber(ARGV[7]) then return -2 end
if ARGV[9] ~= '' then
  if redis.call('ZCARD', of_caller) >= tonumber(ARGV[8]) then return -1 end
  redis.call('ZADD', of_caller, now + ARGV[5], ARGV[1])
  if redis.call('PTTL', of_caller) < tonumber(ARGV[5]) then redis.call('PEXPIRE', of_caller, ARGV[5]) end
end
redis.call('ZADD', all, now + ARGV[5], ARGV[1])
redis.call('HSET', task, 'task', ARGV[4], 'replica', ARGV[6], 'owner', ARGV[2] .. ARGV[9])
redis.call('PEXPIRE', task, ARGV[5])
redis.call('SADD', open, ARGV[1])
redis.call('ZADD', owned, redis.call('INCR', P .. 'tasks-made'), ARGV[1])
for _, name in ipairs({owned, open}) do
  if redis.call('PTTL', name) < tonumber(ARGV[5]) then redis.call('PEXPIRE', name, ARGV[5]) end
end
return 1
"""
_GET: Final = """
-- id → the task, and whether the replica that runs it lives
local P = KEYS[1]
local found = redis.call('HMGET', P .. 'task:' .. ARGV[1], 'task', 'replica')
if not found[1] then return false end
return {found[1], redis.call('EXISTS', P .. 'replica:' .. found[2])}
"""
_SWAP: Final = """
-- id, before, after, whether that is terminal, token → whether it was still as before
local P = KEYS[1]
local task = P .. 'task:' .. ARGV[1]
local now = redis.call('HGET', task, 'task')
if redis.call('HGET', task, 'token') == ARGV[5] then return 1 end
if now ~= ARGV[2] then return 0 end
redis.call('HSET', task, 'task', ARGV[3], 'token', ARGV[5])
if ARGV[4] == '1' then
  redis.call('SREM', P .. 'tasks-open:' .. redis.call('HGET', task, 'owner'), ARGV[1])
end
return 1
"""
_PAGE: Final = """
-- owner, after or '', size → tasks, oldest first
local P = KEYS[1]
local owned = P .. 'tasks:' .. ARGV[1]
local score = '-inf'
if ARGV[2] ~= '' then
  score = redis.call('ZSCORE', owned, ARGV[2])
  if not score or redis.call('EXISTS', P .. 'task:' .. ARGV[2]) == 0 then return false end
  score = '(' .. score
end
local tasks = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', owned, score, '+inf')) do
  local task = redis.call('HGET', P .. 'task:' .. id, 'task')
  if task then table.insert(tasks, task) else redis.call('ZREM', owned, id) end
  if #tasks == tonumber(ARGV[3]) then break end
end
return tasks
"""


class RedisTasks:
    """See :class:`~mcpkit.extensions.tasks_store.TaskStore`. Its methods raise StoreAway while Redis is away."""

    def __init__(self, link: Link, capacity: int = 10_000) -> None:
        """At most ``capacity`` tasks are kept, by all replicas together."""
        self._link = link
        self._capacity = capacity
        self.limit_callers(WHOLE)

    def limit_callers(self, share: int) -> None:
        """Let one caller have ``share`` per cent of what is kept."""
        self._bound = kept_bound(self._capacity, share)

    async def add(self, task: Task, *, limit: int, caller: str = "") -> bool:
        """Keep a new task, unless its caller has too many unfinished ones. Raises: BoundReached."""
        owner, bound = _owner(task.face, task.owner), self._bound
        given = (task.id, owner, limit, encode(task.to_json()), max(1, round(task.ttl * 1000)), self._link.id)
        done = await self._link.run(_ADD, *given, bound.most, bound.each, digest_of(caller))
        if done < 0:
            raise bound.reached_by_caller() if done == OF_CALLER else bound.reached()
        return bool(done)

    async def get(self, id: str) -> Task | None:
        """The task, if there is one that has not expired; failed, if nobody works on it any more."""
        found = await self._found(id)
        if found is None:
            return None
        task, living = found
        if living or task.terminal or not self._link.settled:
            return task
        ended = await self.change(id, _stopped)
        return ended[1] if ended else None

    async def change(self, id: str, step: Step) -> tuple[Task, Task] | None:
        """Apply ``step`` to what is there; again when another replica was faster."""
        while True:
            found = await self._link.run(_GET, id)
            if not found:
                return None
            before = _task(found[0])
            after = step(before)
            if after == before:
                return before, after
            given = (id, found[0], encode(after.to_json()), int(after.terminal), self._link.token())
            if await self._link.run(_SWAP, *given):
                return before, after

    async def page(self, owner: tuple[str, str], after: str | None, size: int) -> list[Task]:
        """An owner's tasks in the order of their making.

        Raises: KeyError.
        """
        found = await self._link.run(_PAGE, _owner(*owner), after or "", size)
        if found is None:
            raise KeyError(after)
        return [_task(text) for text in found]

    async def _found(self, id: str) -> tuple[Task, bool] | None:
        found = await self._link.run(_GET, id)
        return None if not found else (_task(found[0]), bool(found[1]))


def _stopped(task: Task) -> Task:
    error = InternalError(STOPPED)
    return task.ended(FAILED, task.updated, error=error.to_wire(), message=error.message)


def _owner(face: str, owner: Any) -> str:
    return f"{face}:{orjson.dumps(owner).decode()}"


def _task(text: bytes) -> Task:
    return Task.from_json(orjson.loads(text))
