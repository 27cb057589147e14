"""The engine of tasks: it lets a handler go on after its request was answered, and brings questions and answers to it.

A handler begins as any other, in its request. When its arguments are settled and its body begins, the request is
answered with a task and the handler's exchange is turned round: from then on questions are parked in the task, and
nothing else reaches the caller. What must never stand here: a method of the protocol, a store's inside.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mcpkit.aio import contain
from mcpkit.extensions.tasks_state import CANCELLED, COMPLETED, FAILED, Face, Task
from mcpkit.extensions.tasks_store import Step, TaskStore
from mcpkit.features.errors import Overloaded
from mcpkit.features.tools import too_long
from mcpkit.jsonrpc.codec import encode
from mcpkit.jsonrpc.errors import InternalError, RpcError
from mcpkit.jsonrpc.messages import JsonObject, Result
from mcpkit.kernel import Handler, Kernel
from mcpkit.limits import BoundReached
from mcpkit.protocol.changes import Notice
from mcpkit.protocol.envelope import META_RELATED_TASK
from mcpkit.protocol.errors import McpRpcError
from mcpkit.protocol.exchange import BEGUN, Channel, Exchange, NoBackChannel
from mcpkit.protocol.revisions.revision import Asks
from mcpkit.sessions.store import StoreAway

logger = logging.getLogger("mcpkit.tasks")

TASK_CHANGED: Final = "notifications/tasks"
ENVELOPE: Final = 4096
"""Bytes that an answer of ``tasks/get`` or ``tasks/result`` may need besides the result that it carries."""
LONGEST_MESSAGE: Final = 1000
"""Characters of a status message: it goes out with every look at the task."""
AGAIN_SECONDS: Final = 0.5
"""How long to wait before an end is written again to a store that is away."""
PROGRESS: Final = "notifications/progress"
STOPPED: Final = "the server stopped before the task ended"
OVERDUE: Final = "the task ran longer than its time to live"


@dataclass(slots=True)
class Engine:
    """The tasks that this process runs, and the way to every task of the store."""

    store: TaskStore
    kernel: Kernel
    limit: int
    """Unfinished tasks per owner."""
    poll_ms: int
    clock: Callable[[], float] = time.time
    _jobs: dict[str, Job] = field(default_factory=dict)
    _workers: set[asyncio.Task[Any]] = field(default_factory=set)
    _watches: dict[str, set[asyncio.Event]] = field(default_factory=dict)
    _near: dict[str, list[Channel]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kernel.changes.subscribe(self._hear)

    async def run(self, exchange: Exchange, call: Handler, face: Face, ttl: float) -> Result:
        """Serve ``exchange``; its answer is a task as soon as the handler's body begins.

        What comes before, a question or a refusal, is answered as ever (TASKE-15). Raises: RpcError.
        """
        return await Job(self, exchange, call, face, ttl).answer()

    async def change(self, id: str, step: Step) -> Task | None:
        """Apply ``step`` to a task, tell whoever watches it, and give the task as it is then."""
        changed = await self.store.change(id, step)
        if changed is None:
            return None
        before, after = changed
        detailed = after.detailed()
        if before.detailed() != detailed:
            self.kernel.changes.publish(Notice(TASK_CHANGED, id, detailed))
        return after

    async def answer(self, id: str, answers: Mapping[str, JsonObject]) -> None:
        """Bring the client's answers to the handler, wherever it runs: key → ``{"result": …}`` or ``{"error": …}``.

        Raises: Overloaded.
        """
        try:
            await self.change(id, lambda task: task.answered(answers, self.clock()))
        except BoundReached as reached:
            raise Overloaded(str(reached), of_caller=reached.of_caller) from None

    async def cancel(self, id: str) -> Task | None:
        """Mark a task cancelled and stop its handler, wherever it runs; a terminal task stays what it is."""
        return await self.change(id, lambda task: task.ended(CANCELLED, self.clock()))

    @contextmanager
    def watching(self, id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the task changes."""
        changed = asyncio.Event()
        watches = self._watches.setdefault(id, set())
        watches.add(changed)
        try:
            yield changed
        finally:
            watches.discard(changed)
            if not watches:
                self._watches.pop(id, None)

    @contextmanager
    def near(self, id: str, channel: Channel) -> Iterator[None]:
        """While this lasts ``channel`` also hears what the task's handler says (TASKD-08, TASKD-14)."""
        channels = self._near.setdefault(id, [])
        channels.append(channel)
        try:
            yield
        finally:
            channels.remove(channel)
            if not channels:
                self._near.pop(id, None)

    async def tell(self, id: str, method: str, params: JsonObject) -> None:
        """Pass on what a handler says to whoever is near."""
        for channel in tuple(self._near.get(id, ())):
            await channel.notify(method, related(params, id))

    async def close(self) -> None:
        """Stop every handler of this process; their tasks fail."""
        for worker in tuple(self._workers):
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    @property
    def running(self) -> int:
        """How many handlers are at work in this process."""
        return sum(not worker.done() for worker in self._workers)

    def employ(self, job: Job) -> asyncio.Task[Result]:
        """Give a job its own asyncio task, kept until it ends."""
        worker = asyncio.create_task(job.work())
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)
        return worker

    def born(self, id: str, job: Job) -> None:
        """From now on the job is the task's."""
        self._jobs[id] = job

    def dead(self, id: str) -> None:
        """The job is over."""
        self._jobs.pop(id, None)

    def _hear(self, notice: Notice) -> None:
        if notice.method != TASK_CHANGED or notice.key is None:
            return
        for changed in self._watches.get(notice.key, ()):
            changed.set()
        job = self._jobs.get(notice.key)
        if job is not None and notice.params.get("status") == CANCELLED:
            job.stop()


@dataclass(slots=True, eq=False)
class Job:
    """One call of a tool that becomes a task; it is also the channel of that call from then on."""

    engine: Engine
    exchange: Exchange
    call: Handler
    face: Face
    ttl: float
    _birth: asyncio.Future[Task] = field(init=False)
    _worker: asyncio.Task[Result] = field(init=False)
    _id: str = ""
    _deadline: asyncio.TimerHandle | None = None
    _overdue: bool = False
    _unheard: bool = False
    """The caller gave no progress token: only the task's status message tells of progress."""

    # ── in the request ───────────────────────────────────────────────────────────────────────────────────────────

    async def answer(self) -> Result:
        """The request's answer: the task, or the result of a call that ended before it became one."""
        self._birth = asyncio.get_running_loop().create_future()
        self.exchange.state[BEGUN] = self.begin
        self._worker = self.engine.employ(self)
        try:
            await asyncio.wait((self._worker, self._birth), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not self._birth.done():
                self._worker.cancel()
            raise
        if self._birth.done():
            return {"resultType": "task", **self._birth.result().seed()}
        return self._worker.result()

    async def begin(self) -> None:
        """The handler's body begins: make the task, and turn the exchange round.

        Raises: RpcError when there are too many tasks.
        """
        if self._id:
            return
        engine, exchange = self.engine, self.exchange
        now = engine.clock()
        owner = exchange.principal.id if exchange.principal else None
        task = Task(secrets.token_urlsafe(24), self.face.name, owner, now, now, self.ttl, engine.poll_ms)
        try:
            if not await engine.store.add(task, limit=engine.limit, caller=exchange.caller or owner or ""):
                raise Overloaded(
                    f"Too many tasks: at most {engine.limit} of yours may be unfinished; "
                    "wait for one to end, or cancel one",
                    of_caller=True,
                )
        except BoundReached as reached:
            raise Overloaded(f"{reached}; ended tasks are kept for their ttl", of_caller=reached.of_caller) from None
        self._id = task.id
        exchange.revision = replace(exchange.revision, asks=Asks.SERVER_REQUEST)
        exchange.channel = self
        exchange.params, self._unheard = _listening(exchange.params, task.id)
        engine.born(task.id, self)
        self._deadline = asyncio.get_running_loop().call_later(self.ttl, self._expire)
        self._birth.set_result(task)

    # ── the handler at work ──────────────────────────────────────────────────────────────────────────────────────

    async def work(self) -> Result:
        """Run the handler, and keep what becomes of it in the task, if it is one by then."""
        try:
            result = await contain(self._called())
            if self._id and isinstance(result, dict) and result.get("resultType") == "input_required":
                result = await contain(self._called())  # the returned form, begun as a result: now it can converse
        except asyncio.CancelledError:
            if self._id:
                await self._cancelled()
            raise
        except Exception as error:
            if not self._id:
                raise
            await self._failed(error)
            return {}
        else:
            if self._id:
                await self._completed(result)
            return result
        finally:
            self._bury()

    async def _called(self) -> Result:
        return await self.call(self.exchange)

    def stop(self) -> None:
        """Cancel the handler."""
        self._worker.cancel()

    async def _completed(self, result: Result) -> None:
        assert isinstance(result, dict)
        outcome = {"resultType": "complete", **result}
        try:
            self._check(outcome)
        except (TypeError, ValueError, RecursionError, RpcError) as error:
            await self._failed(error)
            return
        fails = self.face.tool_error_fails and result.get("isError") is True
        status, message = (FAILED, _first_text(result)) if fails else (COMPLETED, None)
        try:
            await self._end_surely(status, result=outcome, **({"message": message} if message else {}))
        except BoundReached as reached:
            await self._failed(InternalError(f"The result can't be kept: {reached}"))

    def _check(self, outcome: JsonObject) -> None:
        """That the outcome can be sent: else every later request for it would fail, and its bytes be kept for nothing.

        Raises: InternalError, or what encoding it raises.
        """
        length, most = len(encode(outcome)), self.engine.kernel.max_result_bytes
        if length + min(ENVELOPE, most // 4) > most:
            raise InternalError(too_long(outcome, length, most))

    async def _failed(self, error: Exception) -> None:
        if isinstance(error, McpRpcError):
            error = error.under(self.exchange.revision)
        if not isinstance(error, RpcError):
            logger.error("a task's handler failed", exc_info=error)
            error = InternalError()
        await self._end_surely(FAILED, error=error.to_wire(), message=error.message)

    async def _cancelled(self) -> None:
        """Cancelled by the client (then the task says so already), by its time to live, or by the server's end."""
        message = OVERDUE if self._overdue else STOPPED
        with suppress(StoreAway):  # the store ends by itself what nobody works on any more
            await self._end(FAILED, error=InternalError(message).to_wire(), message=message)

    async def _end_surely(self, status: str, **outcome: Any) -> None:
        """Keep the outcome as soon as the store can be reached, as long as the task may live."""
        while True:
            try:
                return await self._end(status, **outcome)
            except StoreAway:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _end(self, status: str, **outcome: Any) -> None:
        await self.engine.change(self._id, lambda task: task.ended(status, self.engine.clock(), **outcome))

    def _expire(self) -> None:
        self._overdue = True
        self._worker.cancel()

    def _bury(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self.engine.dead(self._id)

    # ── the channel of the handler ───────────────────────────────────────────────────────────────────────────────

    async def notify(self, method: str, params: JsonObject) -> None:
        """Progress with words becomes the task's status message; whoever is near hears everything."""
        if method == PROGRESS:
            message = params.get("message")
            if isinstance(message, str):
                told = message[:LONGEST_MESSAGE]
                with suppress(StoreAway):  # the next word is told again
                    await self.engine.change(self._id, lambda task: task.telling(told, self.engine.clock()))
            if self._unheard:
                return
        await self.engine.tell(self._id, method, params)

    def offer(self, notification: bytes) -> bool:
        """Never: whoever is near may be slow to read."""
        return False

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Park until the client has answered.

        Raises: RpcError when it refused; NoBackChannel when the task has ended meanwhile.
        """
        with self.engine.watching(self._id) as changed:
            key = await self._asked(method, params)
            try:
                answer = await self._arrived(key, changed)
            finally:
                await self.engine.change(self._id, lambda task: task.taken(key))
        error = answer.get("error")
        if error is not None:
            raise RpcError(error["code"], error["message"], error.get("data"))
        result: JsonObject = answer["result"]
        return result

    def close_stream(self, retry_ms: int | None = None) -> None:
        """There is none: the request was answered long ago."""

    def hang_up(self) -> None:
        """A task doesn't end its caller's session."""

    async def _asked(self, method: str, params: JsonObject) -> str:
        key = ""

        def step(task: Task) -> Task:
            nonlocal key
            key, task = task.asking(method, params, self.engine.clock())
            return task

        await self.engine.change(self._id, step)
        return key

    async def _arrived(self, key: str, changed: asyncio.Event) -> JsonObject:
        while True:
            changed.clear()
            task = await self.engine.store.get(self._id)
            if task is None or task.terminal:
                raise NoBackChannel("the task has ended; nobody will answer")
            if key in task.answers:
                return task.answers[key]
            await changed.wait()


def _listening(params: JsonObject, token: str) -> tuple[JsonObject, bool]:
    """The params with a progress token, which makes handlers report; and whether the caller had given none."""
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    if "progressToken" in meta:
        return params, False
    return {**params, "_meta": {**meta, "progressToken": token}}, True


def related(shape: JsonObject, id: str) -> JsonObject:
    """The shape with the mark that it belongs to a task (TASKD-08)."""
    meta = shape.get("_meta")
    mark = {META_RELATED_TASK: {"taskId": id}}
    return {**shape, "_meta": {**meta, **mark} if isinstance(meta, dict) else mark}


def _first_text(result: JsonObject) -> str | None:
    texts = (block.get("text") for block in result.get("content", ()) if block.get("type") == "text")
    return next((text[:LONGEST_MESSAGE] for text in texts if isinstance(text, str)), None)
