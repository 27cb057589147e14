"""One SQLite file, queried read-only and changed under guard, by whoever may call the tools.

Statements run in processes of their own (`sqlite_worker.py`), because no other way stops each of them: a process that
hasn't answered in time is killed. Started processes are kept for the next statement, at most MAX_WORKERS of them.
What must never stand here: SQL.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, Final, TypeAlias

from mcpkit import ToolError

Value: TypeAlias = str | int | float | bool | None

MAX_WORKERS: Final = 4
"""Statements that run at the same time; the next one waits for half of its own limit."""
LONGEST: Final = 1.25
"""A process that has not stopped its statement after so many times the limit is killed."""

PROGRAM: Final = Path(__file__).with_name("sqlite_worker.py")

logger: Final = logging.getLogger("mcpkit.routers")


class DatabaseRefused(ToolError):
    """A statement that is not allowed or did not work; the text says which, in SQLite's words where they help."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may cost: time, the rows it gives, the wait for a lock, the file's size, SQLite's memory."""

    seconds: float = 2.0
    rows: int = 1000
    busy_seconds: float = 2.0
    file_bytes: int = 64 * 1024 * 1024
    heap_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query found; ``truncated`` when there was more than the limits let through."""

    columns: list[str]
    rows: list[list[Value]]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """What a statement did: how many rows it changed, the id of the row inserted last, the rows it returned."""

    rows_changed: int
    last_row_id: int | None
    returned: list[list[Value]]


class Database:
    """An SQLite file, made when it does not exist. Every statement opens its own connection: calls share no state."""

    def __init__(self, path: str | Path, limits: Limits | None = None) -> None:
        self._path = Path(path)
        self._limits = limits or Limits()
        self._workers: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(MAX_WORKERS):
            self._workers.put(None)  # one that is started when it is needed
        self._deadlines = _Deadlines()
        # Also at the interpreter's end, and when nobody has called `close`.
        self._end = weakref.finalize(self, _end_all, self._workers)

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> Rows:
        """Run one statement that only reads.

        Raises: DatabaseRefused.
        """
        found = self._asked(sql, parameters, changes=False)
        return Rows(found["columns"], found["rows"], found["truncated"])

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> Changed:
        """Run one statement that changes data or tables, whole or not at all.

        Raises: DatabaseRefused.
        """
        done = self._asked(sql, parameters, changes=True)
        return Changed(done["changed"], done["last"], done["rows"])

    async def close(self) -> None:
        """End the processes; a later statement starts one anew."""
        _end_all(self._workers)

    def _asked(self, sql: str, parameters: Sequence[Value], *, changes: bool) -> dict[str, Any]:
        asked = {
            "path": str(self._path.absolute()),
            "sql": sql,
            "parameters": list(parameters),
            "changes": changes,
            "limits": asdict(self._limits),
        }
        try:
            line = json.dumps(asked).encode() + b"\n"
        except ValueError as error:  # a whole number of thousands of digits
            raise DatabaseRefused(f"The statement failed: {error}") from error
        try:
            worker = self._workers.get(timeout=self._limits.seconds / 2)
        except Empty:
            raise DatabaseRefused("The database is busy; try again") from None
        try:
            worker = worker or _Worker(self._limits.heap_bytes)
            return self._answer(worker, line)
        except OSError as error:
            raise DatabaseRefused("The process that runs SQL can't be started; try again") from error
        finally:
            self._workers.put(worker if worker is not None and worker.alive else None)

    def _answer(self, worker: _Worker, line: bytes) -> dict[str, Any]:
        seconds = self._limits.seconds
        with self._deadlines.within(worker, seconds * LONGEST):
            answer = worker.ask(line)
        if answer:
            found: dict[str, Any] = json.loads(answer)
            if "refused" in found:
                raise DatabaseRefused(found["refused"])
            return found
        if worker.overdue:
            raise DatabaseRefused(f"The statement ran longer than {seconds:g} seconds and was stopped")
        logger.error("the process that runs SQL ended with code %s", worker.end())
        raise DatabaseRefused("The process that runs SQL has ended; try again")


class _Worker:
    """A started process, for one statement at a time; ``alive`` until it was killed or has ended."""

    def __init__(self, heap_bytes: int) -> None:
        # -I and -S: it looks at nothing of the folder, the environment or the packages, which halves its start.
        command = [sys.executable, "-I", "-S", str(PROGRAM), str(heap_bytes)]
        # A session of its own: Ctrl-C in a terminal is for the server, which then ends this process.
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self.alive, self.overdue = True, False

    def ask(self, line: bytes) -> bytes:
        """The answer to a line; nothing when the process has ended or was killed meanwhile."""
        try:
            self._stdin.write(line)
            self._stdin.flush()
            answer = self._stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            self.end()
            return b""
        return answer

    def expire(self) -> None:
        """Kill the process, so that whoever waits for its answer waits no longer."""
        self.alive, self.overdue = False, True
        self._process.kill()

    def end(self) -> int:
        """Kill the process and give up its pipes; its exit code."""
        self.alive = False
        self._process.kill()
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        return self._process.wait()


class _Deadlines:
    """Kills each process whose time is up, from one thread that lives while there are any to wait for.

    A timer for each statement would start a thread for each, which costs more than a short statement does.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ends: dict[_Worker, float] = {}
        self._running = False

    @contextmanager
    def within(self, worker: _Worker, seconds: float) -> Iterator[None]:
        """Kill ``worker`` unless this ends within so many seconds."""
        with self._changed:
            self._ends[worker] = time.monotonic() + seconds
            if not self._running:
                self._running = True
                threading.Thread(target=self._watch, name="database-deadlines", daemon=True).start()
        try:
            yield
        finally:
            with self._changed:
                self._ends.pop(worker, None)

    def _watch(self) -> None:
        # Every deadline lies equally far ahead when it is set, so a new one never has to wake this thread.
        with self._changed:
            while self._ends:
                worker, end = min(self._ends.items(), key=itemgetter(1))
                left = end - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    del self._ends[worker]
                    worker.expire()
            self._running = False


def _end_all(workers: LifoQueue[_Worker | None]) -> None:
    """End the processes that wait for a statement, and let others be started in their place."""
    waiting: list[_Worker | None] = []
    with suppress(Empty):
        while True:
            waiting.append(workers.get_nowait())
    for worker in waiting:
        if worker is not None:
            worker.end()
        workers.put(None)
