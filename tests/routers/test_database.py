"""A query can't change the database, nothing reaches beyond its file, and time, rows and sizes are bounded."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from routers import database, sqlite_worker
from routers.database import Changed, Database, DatabaseRefused, Limits, Rows, Value
from tests.fixtures.started import ROOT

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {} FROM c"
LONG = "hex(zeroblob(32000))"
SEARCH = f"instr({LONG}, substr({LONG}, 1, 30000) || '1')"
"""SQLite can't be stopped within a function, nor looks at the clock between two of them; one such takes some 60 ms."""
MINUTES = f"SELECT {', '.join([' + '.join([SEARCH] * 15)] * 80)}"


@pytest.fixture
def db(tmp_path: Path) -> Database:
    db = Database(tmp_path / "app.db", Limits(rows=5))
    db.execute("CREATE TABLE fruit (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL)")
    db.execute("INSERT INTO fruit (name, price) VALUES (?, ?), (?, ?)", ["apple", 1.5, "梨", None])
    return db


@pytest.fixture
def brief(db: Database, tmp_path: Path) -> Database:
    """The same database for a fifth of a second."""
    return Database(tmp_path / "app.db", Limits(seconds=0.2))


def test_a_query_gives_columns_and_rows(db: Database) -> None:
    assert db.query("SELECT * FROM fruit ORDER BY id") == Rows(
        ["id", "name", "price"], [[1, "apple", 1.5], [2, "梨", None]]
    )


def test_parameters_are_bound_and_never_become_sql(db: Database) -> None:
    assert db.query("SELECT name FROM fruit WHERE price > ?", [1]).rows == [["apple"]]
    assert db.query("SELECT name FROM fruit WHERE name = ?", ["x' OR '1'='1"]).rows == []


def test_every_kind_of_value_is_one_that_json_can_carry(db: Database) -> None:
    found = db.query("SELECT 1, 1.5, 'x', NULL, x'00ff', 9e999, -9e999, ?, CAST(x'ff' AS TEXT)", [True])
    assert found.rows == [[1, 1.5, "x", None, "00ff", "inf", "-inf", 1, "\ufffd"]]


@pytest.mark.parametrize(
    ("statement", "changed"),
    [
        ("INSERT INTO fruit (name) VALUES ('fig')", Changed(1, 3, [])),
        ("INSERT INTO fruit (name) VALUES ('fig') RETURNING id, name", Changed(1, 3, [[3, "fig"]])),
        ("UPDATE fruit SET price = 2", Changed(2, None, [])),
        ("DELETE FROM fruit WHERE id = 1", Changed(1, None, [])),
        ("CREATE INDEX by_price ON fruit (price)", Changed(0, None, [])),
        ("CREATE VIEW cheap AS SELECT * FROM fruit WHERE price < 2", Changed(0, None, [])),
        ("ALTER TABLE fruit ADD COLUMN colour", Changed(0, None, [])),
        ("DROP TABLE fruit", Changed(0, None, [])),
    ],
)
def test_a_statement_changes_rows_and_tables(db: Database, statement: str, changed: Changed) -> None:
    assert db.execute(statement) == changed


def test_a_statement_that_returns_more_than_is_shown_is_still_carried_out(db: Database) -> None:
    rows = ", ".join(f"('{number}')" for number in range(20))
    changed = db.execute(f"INSERT INTO fruit (name) VALUES {rows} RETURNING id")
    assert len(changed.returned) == 5
    assert db.query("SELECT count(*) FROM fruit").rows == [[22]]


def test_a_failed_statement_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(DatabaseRefused, match="UNIQUE"):
        db.execute("INSERT INTO fruit (name) VALUES ('fig'), ('apple')")
    assert db.query("SELECT count(*) FROM fruit").rows == [[2]]


NOT_A_QUERY = [
    "INSERT INTO fruit (name) VALUES ('fig')",
    "INSERT INTO fruit (name) VALUES ('fig') RETURNING id",
    "UPDATE fruit SET price = 0",
    "DELETE FROM fruit",
    "REPLACE INTO fruit (name) VALUES ('fig')",
    "WITH old AS (SELECT 1) DELETE FROM fruit",
    "DROP TABLE fruit",
    "CREATE TABLE t (x)",
    "CREATE TEMP TABLE t (x)",
    "ALTER TABLE fruit RENAME TO t",
    "REINDEX",
    "REINDEX nocase",
    "DROP TABLE IF EXISTS missing",
    "DROP VIEW IF EXISTS missing",
    "DROP INDEX IF EXISTS missing",
    "CREATE TABLE IF NOT EXISTS fruit (x)",
    "EXPLAIN DELETE FROM fruit",
]
NEVER = [
    "ATTACH DATABASE 'other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "PRAGMA table_info(fruit)",
    "PRAGMA writable_schema = ON",
    "PRAGMA journal_mode = WAL",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM pragma_table_info('fruit')",
    "SELECT load_extension('evil')",
    "SELECT LOAD_EXTENSION('evil', 'main')",
    "SELECT writefile('x', 'y')",
    "SELECT readfile('/etc/passwd')",
    "SELECT fts3_tokenizer('simple')",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "CREATE VIRTUAL TABLE t USING fts5(x)",
    "CREATE VIRTUAL TABLE temp.t USING dbstat",
    "CREATE TRIGGER t AFTER INSERT ON fruit BEGIN DELETE FROM fruit; END",
    "CREATE TEMP VIEW t AS SELECT 1",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT x",
    "ANALYZE",
    "UPDATE sqlite_master SET sql = 'x'",
    "DELETE FROM sqlite_schema",
    "SELECT 1; DELETE FROM fruit",
    "SELECT 1; SELECT 2",
    "nonsense",
    "",
    "  \n",
    ";; ;",
    "-- nothing but words",
    "/* nothing */ -- at all",
    "/* nothing * / ; -- SELECT 1",
    ";" * 1_000_000,
    "SELECT 1\0",
    "SELECT '\ud800'",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT '" + "x" * sqlite_worker.MAX_STATEMENT_BYTES + "'",
    " UNION ALL ".join(["SELECT 1"] * 100),
    "SELECT zeroblob(1000000000)",
    "SELECT randomblob(100000000)",
    "SELECT missing FROM fruit",
]


@pytest.mark.parametrize("statement", [*NOT_A_QUERY, *NEVER])
def test_a_query_that_does_more_than_read_is_refused(db: Database, tmp_path: Path, statement: str) -> None:
    before = (tmp_path / "app.db").read_bytes()
    with pytest.raises(DatabaseRefused) as refused:
        db.query(statement)
    assert str(tmp_path) not in str(refused.value)
    assert (tmp_path / "app.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["app.db"]


@pytest.mark.parametrize("statement", NEVER)
def test_a_statement_that_reaches_beyond_rows_and_tables_is_refused(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "app.db").read_bytes()
    with pytest.raises(DatabaseRefused) as refused:
        db.execute(statement)
    assert str(tmp_path) not in str(refused.value)
    assert (tmp_path / "app.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["app.db"]


def test_a_function_that_is_forbidden_stays_so_inside_a_view(db: Database) -> None:
    db.execute("CREATE VIEW slow AS SELECT load_extension('evil')")
    with pytest.raises(DatabaseRefused, match=r"not authorized|unsafe use of load_extension\(\)"):
        db.query("SELECT * FROM slow")


def test_the_engine_itself_is_read_only_in_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the authorizer open, `mode=ro` holds."""
    Database(tmp_path / "app.db").execute("CREATE TABLE t (x)")
    monkeypatch.setattr(sqlite_worker, "READING", sqlite_worker.WRITING)
    limits = {"seconds": 20, "rows": 5, "busy_seconds": 1, "file_bytes": 1 << 26, "heap_bytes": 0}
    asked = {"path": tmp_path / "app.db", "sql": "DELETE FROM t", "parameters": [], "changes": False, "limits": limits}
    with pytest.raises(sqlite_worker.Refused, match="use database_execute"):
        sqlite_worker.Statement(asked).run()


@pytest.mark.parametrize(
    "statement",
    [
        ENDLESS.format("count(*)"),
        ENDLESS.format("max(x)"),
        ENDLESS.format("x") + " ORDER BY x DESC",
        ENDLESS.format("instr(hex(zeroblob(30000)), hex(zeroblob(15000)) || '1')") + " WHERE x < 0",
        "SELECT count(*) FROM " + ", ".join(f"fruit AS t{number}" for number in range(60)),
    ],
)
def test_a_statement_that_takes_too_long_is_stopped(brief: Database, statement: str) -> None:
    for call in (brief.query, brief.execute):
        with pytest.raises(DatabaseRefused, match=r"longer than 0\.2 seconds"):
            call(statement)


def test_a_statement_that_sqlite_can_not_stop_is_stopped_all_the_same(brief: Database, db: Database) -> None:
    """Straight on through thousands of functions, or within a single one."""
    for statement in (MINUTES, "SELECT printf('%.*c', 1000000000, 'x')"):
        for call in (brief.query, brief.execute):
            with pytest.raises(DatabaseRefused, match=r"longer than 0\.2 seconds"):
                call(statement)
    assert db.query("SELECT count(*) FROM fruit").rows == [[2]], "and the next one is answered"


def test_a_change_that_is_stopped_is_undone(brief: Database, db: Database) -> None:
    with pytest.raises(DatabaseRefused, match="longer than"):
        brief.execute(f"UPDATE fruit SET price = {' + '.join([SEARCH] * 60)}")
    with pytest.raises(DatabaseRefused, match="longer than"):
        brief.execute("INSERT INTO fruit (name) " + ENDLESS.format("x"))
    assert db.query("SELECT * FROM fruit").rows == [[1, "apple", 1.5], [2, "梨", None]]


def test_a_change_that_was_cut_off_from_outside_is_undone_by_the_next_query(db: Database, tmp_path: Path) -> None:
    """What reads can't roll back, so the journal that a killed writer leaves is rolled back first."""
    write = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN');"
        "c.executemany('INSERT INTO fruit (name) VALUES (?)', ((str(n) * 1000,) for n in range(100))); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", write, str(tmp_path / "app.db")], timeout=30, check=True)
    assert (tmp_path / "app.db-journal").exists()
    assert db.query("SELECT count(*) FROM fruit").rows == [[2]]


@pytest.mark.parametrize(
    "statement",
    [
        ENDLESS.format("hex(randomblob(500)) AS r") + " ORDER BY r",
        ENDLESS.format("count(DISTINCT hex(randomblob(500)))"),
        ENDLESS.format("hex(randomblob(500))") + " UNION SELECT 'x'",
        f"WITH t AS MATERIALIZED ({ENDLESS.format('hex(randomblob(500))')}) SELECT count(*) FROM t, t AS u",
        ENDLESS.format("max(x) OVER (PARTITION BY hex(randomblob(500)))"),
    ],
)
def test_what_a_statement_keeps_in_between_is_bounded(db: Database, tmp_path: Path, statement: str) -> None:
    """All of it counts as memory: there are no temporary files that a limit would have to be found for."""
    small = Database(tmp_path / "app.db", Limits(seconds=20, heap_bytes=4 * 1024 * 1024))
    for call in (small.query, small.execute):
        with pytest.raises(DatabaseRefused, match="needs more than 4 MiB of memory"):
            call(statement)
    assert small.query("SELECT count(*) FROM fruit").rows == [[2]]


def test_only_so_many_statements_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MAX_WORKERS", 1)
    db = Database(tmp_path / "app.db", Limits(seconds=2))
    refused: list[str] = []

    def ask() -> None:
        with pytest.raises(DatabaseRefused) as error:
            db.query(MINUTES)
        refused.append(str(error.value))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ask(), range(3)))
    assert refused.count("The database is busy; try again") == 2


async def test_a_database_that_was_closed_can_be_asked_again(db: Database) -> None:
    await db.close()
    assert db.query("SELECT count(*) FROM fruit").rows == [[2]]
    await db.close()


def test_a_process_that_ended_by_itself_is_told_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import sys; sys.stdin.readline(); sys.exit(3)")
    db = Database(tmp_path / "app.db")
    with monkeypatch.context() as patch:
        patch.setattr(database, "PROGRAM", broken)
        for _ in range(2):
            with pytest.raises(DatabaseRefused, match="has ended; try again"):
                db.query("SELECT 1")
        patch.setattr(sys, "executable", str(tmp_path / "missing"))
        with pytest.raises(DatabaseRefused, match="can't be started") as refused:
            db.query("SELECT 1")
        assert str(tmp_path) not in str(refused.value)
    assert db.query("SELECT 1").rows == [[1]]


def test_nothing_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    """The process that runs SQL holds stderr open, so the end of stderr is its end."""
    server = (
        "import os, signal, sys, threading; from routers.database import Database;"
        "db = Database(sys.argv[1]); db.query('SELECT 1');"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGKILL)).start(); db.query(sys.argv[2])"
    )
    command = [sys.executable, "-c", server, str(tmp_path / "app.db"), MINUTES]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (-9, b"")


def test_rows_beyond_the_limit_are_cut_and_the_cut_is_told(db: Database) -> None:
    found = db.query(ENDLESS.format("x"))
    assert found.rows == [[1], [2], [3], [4], [5]]
    assert found.truncated


def test_the_size_of_a_result_is_bounded(tmp_path: Path) -> None:
    found = Database(tmp_path / "app.db", Limits(seconds=20)).query(ENDLESS.format("hex(zeroblob(20000))"))
    assert found.truncated
    assert sum(len(str(row[0])) for row in found.rows) <= sqlite_worker.MAX_RESULT_BYTES


def test_the_file_can_not_grow_without_end(tmp_path: Path) -> None:
    db = Database(tmp_path / "app.db", Limits(seconds=20, file_bytes=100 * 4096))
    db.execute("CREATE TABLE t (x)")
    with pytest.raises(DatabaseRefused, match="full"):
        db.execute("INSERT INTO t " + ENDLESS.format("zeroblob(4000)"))
    assert (tmp_path / "app.db").stat().st_size <= 100 * 4096


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([1], "Incorrect number of bindings"),
        ([2**70, 1], "too large"),
        (["\ud800", 1], "surrogate"),
        ([10**5000, 1], "too large|digits"),
    ],
)
def test_parameters_that_dont_fit_are_refused(db: Database, parameters: list[Value], message: str) -> None:
    with pytest.raises(DatabaseRefused, match=message):
        db.query("SELECT ?, ?", parameters)


def test_text_can_be_formatted_and_trimmed(db: Database) -> None:
    found = db.query("SELECT printf('%05.1f', 2.25), format('%s!', 'hi'), trim('xaxx', 'x'), trim(' a ')")
    assert found.rows == [["002.3", "hi!", "a", "a"]]


def test_a_busy_database_is_told_as_such(db: Database, tmp_path: Path) -> None:
    db = Database(tmp_path / "app.db", Limits(busy_seconds=0))
    with sqlite3.connect(tmp_path / "app.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseRefused, match="busy; try again"):
            db.execute("DELETE FROM fruit")
    other.close()


def test_many_threads_write_without_losing_a_row(tmp_path: Path) -> None:
    db = Database(tmp_path / "app.db", Limits(seconds=20))
    db.execute("CREATE TABLE t (x)")
    start = threading.Barrier(4, timeout=20)

    def write(number: int) -> None:
        start.wait()
        for _ in range(10):
            db.execute("INSERT INTO t VALUES (?)", [number])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert db.query("SELECT count(*) FROM t").rows == [[40]]


@pytest.mark.parametrize("call", [Database.query, Database.execute])
def test_a_missing_database_is_made_with_its_directory(
    tmp_path: Path, call: Callable[[Database, str], Rows | Changed]
) -> None:
    call(Database(tmp_path / "a" / "b" / "app #1?.db"), "SELECT 1")
    assert (tmp_path / "a" / "b" / "app #1?.db").exists()


def test_a_path_that_can_not_be_a_database_is_told_without_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a database, but long enough to be looked at as one" * 20)
    for path in (tmp_path / "file" / "app.db", tmp_path, tmp_path / "file"):
        with pytest.raises(DatabaseRefused) as refused:
            Database(path).query("SELECT name FROM sqlite_master")
        assert str(tmp_path) not in str(refused.value)
