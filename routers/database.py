"""One SQLite file, queried read-only and changed under guard, by whoever may call the tools.

SQLite itself says no: a query runs on a connection that can't write, an authorizer lets only named kinds of work
through, and time, rows, bytes and the file's size are bounded.
What must never stand here: SQL put together from text, a connection that outlives its call, a path in an error text.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

from mcpkit import ToolError

Value: TypeAlias = str | int | float | bool | None

MAX_ROWS: Final = 1000
MAX_SECONDS: Final = 2.0
MAX_STATEMENT_BYTES: Final = 100_000
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_RESULT_BYTES: Final = 512 * 1024
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
BUSY_SECONDS: Final = 2.0
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
# printf('%.*c', 1000000000, 'x') counts to a thousand million before it finds the result too big.
FORBIDDEN_FUNCTIONS: Final = frozenset(
    {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "printf", "format"}
)
# SQLite's own trim compares every character with every sign; Python's takes a hundredth of the time.
STRIPPING: Final = {"trim": str.strip, "ltrim": str.lstrip, "rtrim": str.rstrip}


class DatabaseRefused(ToolError):
    """A statement that is not allowed or did not work; the text says which, in SQLite's words where they help."""


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
    """An SQLite file, made when it does not exist. Every call opens its own connection: calls share no state."""

    def __init__(self, path: str | Path, *, max_rows: int = MAX_ROWS, max_seconds: float = MAX_SECONDS) -> None:
        self._path = Path(path)
        self._max_rows = max_rows
        self._max_seconds = max_seconds

    def query(self, sql: str, parameters: Sequence[Value] = ()) -> Rows:
        """Run one statement that only reads.

        Raises: DatabaseRefused.
        """
        with self._cursor("ro", READING, sql, parameters) as cursor:
            rows, truncated = self._fetch(cursor)
            return Rows([name for name, *_ in cursor.description or ()], rows, truncated)

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> Changed:
        """Run one statement that changes data or tables, whole or not at all.

        Raises: DatabaseRefused.
        """
        with self._cursor("rw", WRITING, sql, parameters) as cursor:
            # A statement with RETURNING is not done before its last row was read.
            returned, _ = self._fetch(cursor, to_the_end=True)
            return Changed(max(cursor.rowcount, 0), cursor.lastrowid or None, returned)

    @contextmanager
    def _cursor(
        self, mode: str, allowed: frozenset[int], sql: str, parameters: Sequence[Value]
    ) -> Iterator[sqlite3.Cursor]:
        if not sql.strip():
            raise DatabaseRefused("The statement is empty")
        deadline = time.monotonic() + self._max_seconds
        try:
            with closing(self._connect(mode)) as connection:
                _guard(connection, deadline)
                connection.set_authorizer(_authorizer(allowed, _forbidden(sql)))
                yield connection.execute(sql, parameters)
        except sqlite3.DatabaseError as error:
            raise DatabaseRefused(_told(error, deadline, self._max_seconds)) from error
        except UnicodeEncodeError as error:
            raise DatabaseRefused("The statement failed: half a surrogate pair is no text") from error
        # sqlite3.Warning: how Python 3.11 refuses two statements in one call. ValueError: a NUL in the statement.
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
            raise DatabaseRefused(f"The statement failed: {error}") from error

    def _connect(self, mode: str) -> sqlite3.Connection:
        if not self._path.exists():
            self._make()
        uri = f"file:{quote(str(self._path.absolute()))}?mode={mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)

    def _make(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            raise DatabaseRefused(f"The database can't be made: {error.strerror}") from error

    def _fetch(self, cursor: sqlite3.Cursor, *, to_the_end: bool = False) -> tuple[list[list[Value]], bool]:
        rows: list[list[Value]] = []
        size, truncated = 0, False
        for row in cursor:
            values = [_plain(value) for value in row]
            size += sum(len(value) if isinstance(value, str) else 8 for value in values)
            truncated = truncated or len(rows) == self._max_rows or size > MAX_RESULT_BYTES
            if truncated and not to_the_end:
                break
            if not truncated:
                rows.append(values)
        return rows, truncated


def _guard(connection: sqlite3.Connection, deadline: float) -> None:
    """Bound what a statement may cost; what it may do is for the authorizer to say."""
    for limit, most in LIMITS.items():
        connection.setlimit(limit, most)
    connection.text_factory = _text
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -2048")
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA max_page_count = {MAX_FILE_BYTES // page_size}")
    for name, strip in STRIPPING.items():
        connection.create_function(name, 2, _stripping(strip), deterministic=True)
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_BETWEEN_LOOKS)


def _authorizer(allowed: frozenset[int], forbidden: frozenset[str]) -> Callable[..., int]:
    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        named = second if action == sqlite3.SQLITE_FUNCTION else None
        if action not in allowed or (named or "").lower() in forbidden:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    return authorize


def _forbidden(sql: str) -> frozenset[str]:
    """SQLite's own ALTER TABLE calls printf, so it may where the statement itself names neither it nor its alias."""
    lower = sql.lstrip().lower()
    own = lower.startswith("alter") and "printf" not in lower and "format" not in lower
    return FORBIDDEN_FUNCTIONS - {"printf"} if own else FORBIDDEN_FUNCTIONS


def _stripping(strip: Callable[[str, str], str]) -> Callable[[Value, Value], str | None]:
    return lambda text, signs: None if text is None or signs is None else strip(str(text), str(signs))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _plain(value: str | int | float | bytes | None) -> Value:
    """The value as JSON can carry it: bytes in hexadecimal digits, an infinity as its name."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _told(error: sqlite3.DatabaseError, deadline: float, seconds: float) -> str:
    text = str(error)
    if text == "interrupted":
        return f"The statement ran longer than {seconds:g} seconds and was stopped"
    if text in ("not authorized", "authorization denied"):
        return "The statement is not allowed: query reads, execute changes tables and rows, nothing else is done"
    if "readonly database" in text:
        return "The database can't be changed by a query; use database_execute"
    if "locked" in text:
        return "The database is busy; try again"
    if "unable to open" in text:
        return "The database can't be opened"
    return f"The statement failed: {text}"
