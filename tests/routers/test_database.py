"""A query can't change the database, nothing reaches beyond its file, and time, rows and sizes are bounded."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from routers import database
from routers.database import Changed, Database, DatabaseRefused, Rows, Value

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT {} FROM c"


@pytest.fixture
def db(tmp_path: Path) -> Database:
    db = Database(tmp_path / "app.db", max_rows=5, max_seconds=0.2)
    db.execute("CREATE TABLE fruit (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL)")
    db.execute("INSERT INTO fruit (name, price) VALUES (?, ?), (?, ?)", ["apple", 1.5, "梨", None])
    return db


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
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT format('%.*c', 1000000000, 'x')",
    "ALTER TABLE fruit ADD COLUMN x AS (printf('%.*c', 1000000000, 'x'))",
    "ALTER TABLE fruit ADD COLUMN x AS (FORMAT('%.*c', 1000000000, 'x'))",
    "CREATE TABLE t (x, y AS (printf('%.*c', 1000000000, 'x')))",
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
    "SELECT 1\0",
    "SELECT '\ud800'",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT '" + "x" * database.MAX_STATEMENT_BYTES + "'",
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
    db.execute("CREATE VIEW slow AS SELECT printf('%.*c', 1000000000, 'x')")
    with pytest.raises(DatabaseRefused, match="not authorized"):
        db.query("SELECT * FROM slow")


def test_the_engine_itself_is_read_only_in_a_query(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the authorizer open, `mode=ro` holds."""
    monkeypatch.setattr(database, "READING", database.WRITING)
    with pytest.raises(DatabaseRefused, match="use database_execute"):
        db.query("DELETE FROM fruit")


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
def test_a_statement_that_takes_too_long_is_stopped(db: Database, statement: str) -> None:
    for call in (db.query, db.execute):
        with pytest.raises(DatabaseRefused, match=r"longer than 0\.2 seconds"):
            call(statement)


def test_rows_beyond_the_limit_are_cut_and_the_cut_is_told(db: Database) -> None:
    found = db.query(ENDLESS.format("x"))
    assert found.rows == [[1], [2], [3], [4], [5]]
    assert found.truncated


def test_the_size_of_a_result_is_bounded(tmp_path: Path) -> None:
    found = Database(tmp_path / "app.db", max_seconds=20).query(ENDLESS.format("hex(zeroblob(20000))"))
    assert found.truncated
    assert sum(len(str(row[0])) for row in found.rows) <= database.MAX_RESULT_BYTES


def test_the_file_can_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MAX_FILE_BYTES", 100 * 4096)
    db = Database(tmp_path / "app.db", max_seconds=20)
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
    ],
)
def test_parameters_that_dont_fit_are_refused(db: Database, parameters: list[Value], message: str) -> None:
    with pytest.raises(DatabaseRefused, match=message):
        db.query("SELECT ?, ?", parameters)


def test_trim_with_signs_does_what_sqlites_own_does(db: Database) -> None:
    found = db.query("SELECT trim('xaxx', 'x'), ltrim('xax', 'x'), rtrim('xax', 'x'), trim(NULL, 'x'), trim(' a ')")
    assert found.rows == [["a", "ax", "xa", None, "a"]]


def test_trim_is_fast_even_on_what_makes_sqlites_own_slow(db: Database) -> None:
    slow = "trim(replace(hex(zeroblob(32000)), '0', 'x'), replace(hex(zeroblob(3500)), '0', 'y') || 'x')"
    assert db.query(f"SELECT {', '.join([f'length({slow})'] * 20)}").rows == [[0] * 20]


def test_a_busy_database_is_told_as_such(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    with sqlite3.connect(tmp_path / "app.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseRefused, match="busy; try again"):
            db.execute("DELETE FROM fruit")
    other.close()


def test_many_threads_write_without_losing_a_row(tmp_path: Path) -> None:
    db = Database(tmp_path / "app.db", max_seconds=20)
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
