"""The process that runs SQL for `database.py`: one JSON line in for each statement, one JSON line out.

SQLite runs in a process of its own because nothing in the process itself can stop one of its functions, bound its
memory alone, or keep it off the disk. This file needs the standard library only, since it is started without any path.
What must never stand here: SQL put together from text, a connection that outlives its statement, a path in an error.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeAlias
from urllib.parse import quote

Value: TypeAlias = str | int | float | bool | None

MAX_STATEMENT_BYTES: Final = 100_000
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_RESULT_BYTES: Final = 512 * 1024
SPARE_BYTES: Final = 448 * 1024 * 1024
"""Address space of the interpreter itself, on top of what SQLite may use; a page of it costs nothing until touched."""
STEPS_BETWEEN_LOOKS: Final = 50
"""So many instructions SQLite runs between two looks at the clock; few, since one of them may be a slow function."""

LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_STATEMENT_BYTES,
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_VALUE_BYTES,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 32,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 10,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
WRITING: Final = READING | {
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_INDEX,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_REINDEX,
}
FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})
# A writer that was ended in the middle leaves a journal behind, which a connection that only reads can't roll back.
LEFT_BEHIND: Final = frozenset({sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY})
EMPTY: Final = re.compile(r"(?:[\s;]|--[^\n]*+(?:\n|\Z)|/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z))*+")

NOT_ALLOWED: Final = "The statement is not allowed: query reads, execute changes tables and rows, nothing else is done"


class Refused(Exception):
    """A statement that is not allowed or did not work; the text says which, in SQLite's words where they help."""


class Statement:
    """One statement with what it may cost: ``seconds``, ``rows``, ``busy_seconds``, ``file_bytes``, ``heap_bytes``."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._sql: str = asked["sql"]
        self._parameters: list[Value] = asked["parameters"]
        self._changes: bool = asked["changes"]
        self._path = Path(asked["path"])
        self._limits: dict[str, Any] = asked["limits"]
        self._deadline = time.monotonic() + self._limits["seconds"]

    def run(self) -> dict[str, Any]:
        """The rows that were found, or what was changed.

        Raises: Refused.
        """
        if len(self._sql) > MAX_STATEMENT_BYTES:
            raise Refused(f"The statement is too long: {MAX_STATEMENT_BYTES} bytes are the limit")
        if EMPTY.fullmatch(self._sql):
            raise Refused("The statement is empty")
        try:
            try:
                return self._run()
            except sqlite3.OperationalError as error:
                if self._changes or error.sqlite_errorcode not in LEFT_BEHIND:
                    raise
                self._roll_back()
                return self._run()
        except MemoryError:
            most = self._limits["heap_bytes"] // (1024 * 1024)
            raise Refused(f"The statement needs more than {most} MiB of memory and was stopped") from None
        except sqlite3.DatabaseError as error:
            raise Refused(self._told(error)) from error
        except UnicodeEncodeError as error:
            raise Refused("The statement failed: half a surrogate pair is no text") from error
        # sqlite3.Warning: how Python 3.11 refuses two statements in one call. ValueError: a NUL in the statement.
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
            raise Refused(f"The statement failed: {error}") from error

    def _run(self) -> dict[str, Any]:
        with contextlib.closing(self._connect("rw" if self._changes else "ro")) as connection:
            self._guard(connection)
            cursor = connection.execute(self._sql, self._parameters)
            if not self._changes and cursor.description is None:
                # No authorizer is asked about what has nothing to do: REINDEX without an index, DROP … IF EXISTS.
                raise Refused(NOT_ALLOWED)
            # A statement with RETURNING is not done before its last row was read.
            rows, truncated = self._fetch(cursor, to_the_end=self._changes)
            if self._changes:
                return {"changed": max(cursor.rowcount, 0), "last": cursor.lastrowid or None, "rows": rows}
            return {"columns": [name for name, *_ in cursor.description], "rows": rows, "truncated": truncated}

    def _connect(self, mode: str) -> sqlite3.Connection:
        if not self._path.exists():
            self._make()
        uri = f"file:{quote(str(self._path))}?mode={mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=self._limits["busy_seconds"])

    def _make(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            raise Refused(f"The database can't be made: {error.strerror}") from error

    def _roll_back(self) -> None:
        with contextlib.closing(self._connect("rw")) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def _guard(self, connection: sqlite3.Connection) -> None:
        """Bound what a statement may cost and do."""
        for limit, most in LIMITS.items():
            connection.setlimit(limit, most)
        connection.text_factory = _text
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -2048")
        # What is sorted or kept in between stays in memory, where one limit holds for all of it.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA hard_heap_limit = {self._limits['heap_bytes']:d}")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {self._limits['file_bytes'] // page_size:d}")
        connection.set_authorizer(_authorizer(WRITING if self._changes else READING))
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, STEPS_BETWEEN_LOOKS)

    def _fetch(self, cursor: sqlite3.Cursor, *, to_the_end: bool) -> tuple[list[list[Value]], bool]:
        rows: list[list[Value]] = []
        size, truncated = 0, False
        for row in cursor:
            values = [_plain(value) for value in row]
            size += sum(len(value) if isinstance(value, str) else 8 for value in values)
            truncated = truncated or len(rows) == self._limits["rows"] or size > MAX_RESULT_BYTES
            if truncated and not to_the_end:
                break
            if not truncated:
                rows.append(values)
        return rows, truncated

    def _told(self, error: sqlite3.DatabaseError) -> str:
        text = str(error)
        if text == "interrupted":
            return f"The statement ran longer than {self._limits['seconds']:g} seconds and was stopped"
        if text in ("not authorized", "authorization denied"):
            return NOT_ALLOWED
        if "readonly database" in text:
            return "The database can't be changed by a query; use database_execute"
        if "locked" in text:
            return "The database is busy; try again"
        if "unable to open" in text:
            return "The database can't be opened"
        return f"The statement failed: {text}"


def _authorizer(allowed: frozenset[int]) -> Callable[..., int]:
    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        named = second if action == sqlite3.SQLITE_FUNCTION else None
        if action not in allowed or (named or "").lower() in FORBIDDEN_FUNCTIONS:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    return authorize


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _plain(value: str | int | float | bytes | None) -> Value:
    """The value as JSON can carry it: bytes in hexadecimal digits, an infinity as its name."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def answered(line: bytes) -> dict[str, Any]:
    """What a line asks for; ``{"refused": why}`` when it can't be had."""
    try:
        return Statement(json.loads(line)).run()
    except Refused as refused:
        return {"refused": str(refused)}


def asked() -> Iterator[bytes]:
    """The lines of stdin; their end is the end of the process, also in the middle of a statement."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)  # whoever asked is gone; SQLite rolls an unfinished change back when the file is opened next

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def bound_memory(heap_bytes: int) -> None:
    """Bound the whole process, for an SQLite that is too old to bound its heap (before 3.31); not on Windows."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on Windows

        most = heap_bytes + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Answer each line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this process
    bound_memory(int(sys.argv[1]))
    for line in asked():
        sys.stdout.buffer.write(json.dumps(answered(line)).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
