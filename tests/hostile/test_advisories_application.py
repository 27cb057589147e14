"""What went wrong in other servers' tools, class by class: one named test each, on the running application.

Protocol and transport are in test_advisories.py, the client's side in test_advisories_client.py.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest

from mcp_server import MCPServer
from mcpkit import Server
from mcpkit.extensions.tasks import Tasks
from mcpkit.fastapi import create_app
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE
from mcpkit.settings import Settings
from tests.fixtures.stand_in import Reply, StandIn, standing_in
from tests.hostile.raw import INSIDES, PARSERS, call, post
from tests.hostile.test_advisories import answer, known
from tests.house.tree import python_files, tree
from tests.transports.sockets import Place, serving


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "files").mkdir()
    return Settings(files_root=tmp_path / "files", database_path=tmp_path / "app.db")


@pytest.fixture
async def place(settings: Settings) -> AsyncIterator[Place]:
    async with serving(MCPServer(settings=settings).app, settings) as place:
        yield place


async def tool(place: Place, name: str, **arguments: Any) -> tuple[bool, str]:
    """Whether a tool failed, and what it said."""
    status, body = await answer(place, call(name, **arguments))
    assert status == 200
    assert not INSIDES.search(body), body
    result = orjson.loads(body)["result"]
    return bool(result.get("isError")), "".join(part.get("text", "") for part in result["content"])


ESCAPES = [
    "../app.db",
    "/etc/passwd",
    "link/secret",
    "down",
    "../files2/secret",
    "a\0b",
    "a/../../app.db",
]


async def test_a_path_that_leads_out(place: Place, tmp_path: Path) -> None:
    """CVE-2025-53109, CVE-2025-53110 (EscapeRoute), STEST-05: links, siblings whose name begins alike, and dots."""
    for folder in ("files2", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "secret").write_text("secret of another folder")
    (tmp_path / "files/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "files/down").symlink_to(tmp_path / "elsewhere/secret")
    tools: list[tuple[str, dict[str, str]]] = [
        ("file_read", {}),
        ("file_write", {"content": "x"}),
        ("list_directory", {}),
    ]
    for path, (name, more) in product(ESCAPES, tools):
        failed, said = await tool(place, name, path=path, **more)
        assert failed, f"{name} {path}: {said}"
        assert "secret of" not in said
        assert str(tmp_path) not in said
    assert (tmp_path / "elsewhere/secret").read_text() == "secret of another folder"


async def test_text_is_never_an_argument_of_a_program(place: Place, settings: Settings) -> None:
    """CVE-2025-68143, CVE-2025-68144, CVE-2025-68145, CVE-2026-27735: it is a file's name, and nothing else happens."""
    names = ["--help", "-rf", "%2e%2e", "$(id)", "`id`", "a;id", "a|id", "-o ProxyCommand=id"]
    for name in names:
        assert not (await tool(place, "file_write", path=name, content="kept"))[0]
        assert (settings.files_root / name).read_text() == "kept"
        assert (await tool(place, "file_read", path=name)) == (False, "kept")
    assert sorted(os.listdir(settings.files_root)) == sorted(names)


def test_no_server_starts_programs() -> None:
    """CVE-2025-49596, CVE-2026-30623: a command that comes over the wire has nobody to run it."""
    starting = {"subprocess", "pty", "os.system", "os.popen", "os.spawnv", "os.execv", "asyncio.create_subprocess_exec"}
    starting |= {"asyncio.create_subprocess_shell", "eval", "exec", "compile"}
    allowed = {
        "mcpkit/client/transports/stdio.py",  # from the user's own configuration
        "mcpkit/client/transports/watchdog.py",  # a fixed script, which ends what stdio.py started
        "routers/database.py",  # this interpreter with sqlite_worker.py beside it; what a caller says goes to its stdin
    }
    found = [
        f"{path}:{node.lineno} {ast.unparse(node)}"
        for path in python_files("mcpkit", "routers", "mcp_server.py")
        for node in ast.walk(tree(path))
        if str(path) not in allowed
        and (
            (isinstance(node, ast.Import) and {alias.name for alias in node.names} & starting)
            or (isinstance(node, ast.ImportFrom) and node.module in starting)
            or (isinstance(node, ast.Call) and ast.unparse(node.func) in starting)
        )
    ]
    assert found == []


async def test_an_argument_stays_in_its_place_of_a_url(settings: Settings) -> None:
    """CVE-2026-32871: the host and the path are ours, whatever a caller writes."""
    cities = ["../../admin?x=", "a&latitude=0#", "http://169.254.169.254/", "a/../b"]
    with standing_in({"/v1/search": Reply({"results": []})}) as stand_in:
        weather: StandIn = stand_in
        app = MCPServer(settings=replace(settings, weather_url=weather.url)).app
        async with serving(app, settings) as place:
            assert all([(await tool(place, "get_weather", city=city))[0] for city in cities])
        assert [(asked.path, asked.query["name"]) for asked in weather.asked] == [
            ("/v1/search", city) for city in cities
        ]


EXPRESSIONS = [
    "__import__('os').system('id')",
    "().__class__",
    "eval('1')",
    "9**9**9**9",
    "(" * 2000,
    "1" * 5000,
    "e.real",
    "1if 1else 2",
]


async def test_a_calculator_is_no_interpreter(place: Place) -> None:
    """The tutorial's calculator: `eval` on what a stranger wrote."""
    for expression in EXPRESSIONS:
        failed, said = await tool(place, "calculate", expression=expression)
        assert failed
        assert len(said) < 400


STATEMENTS = [
    "DROP TABLE t",
    "INSERT INTO t VALUES (2)",
    "SELECT 1; DROP TABLE t",
    "ATTACH '/etc/passwd' AS a",
    "PRAGMA writable_schema=1",
    "SELECT load_extension('x')",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
]


async def test_a_query_only_reads(place: Place) -> None:
    """Read-only by the engine, and bounded in time, not by looking for words."""
    assert not (await tool(place, "database_execute", sql="CREATE TABLE t AS SELECT 1 AS n"))[0]
    for sql in STATEMENTS:
        assert (await tool(place, "database_query", sql=sql))[0], sql
    failed, said = await tool(place, "database_query", sql="SELECT count(*) AS n FROM t")
    assert (failed, json.loads(said)["rows"]) == (False, [[1]])


async def test_shutdown_ends_the_caller_s_session_only(place: Place) -> None:
    """The first sketch of such a server: anyone could end the process."""
    client = {"name": "c", "version": "1"}
    opening = {"protocolVersion": NEWEST_HANDSHAKE.name, "capabilities": {}, "clientInfo": client}
    sessions = []
    for _ in range(2):
        connection = await place.connect()
        connection.send(post(orjson.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening})))
        _, headers, _ = await connection.answer()
        sessions.append(f"Mcp-Session-Id: {headers['mcp-session-id']}")
    ping, end = (orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method}) for method in ("ping", "shutdown"))
    ready = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert [(await answer(place, ready, session))[0] for session in sessions] == [202, 202]
    assert (await answer(place, end, sessions[0]))[0] == 200
    assert [(await answer(place, ping, session))[0] for session in sessions] == [404, 200]
    assert (await answer(place, end))[0] == 200
    assert (await answer(place, ping))[0] == 200


@pytest.mark.parametrize("parser", PARSERS)
async def test_somebody_else_s_task(parser: str) -> None:
    """CVE-2026-52870, TKS-01, TKS-05, STEST-04: got, awaited, cancelled or listed, it is like one that never was."""
    server, release = Server("unit", "1"), asyncio.Event()
    server.install(Tasks(listing=True))

    @server.tool(task="optional")
    async def wait() -> str:
        await release.wait()
        return "done"

    def body(method: str, **params: Any) -> bytes:
        return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})

    async def opened(place: Place, user: str) -> tuple[str, str]:
        connection = await place.connect()
        who = f"Authorization: Bearer {user}"
        opening = {
            "protocolVersion": NEWEST_HANDSHAKE.name,
            "capabilities": {},
            "clientInfo": {"name": "c", "version": "1"},
        }
        connection.send(post(body("initialize", **opening), who))
        _, headers, _ = await connection.answer()
        fields = who, f"Mcp-Session-Id: {headers['mcp-session-id']}"
        ready = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert (await answer(place, ready, *fields))[0] == 202
        return fields

    async with serving(create_app(server, Settings(), authenticate=known), Settings(), http=parser) as place:
        alice, bob = await opened(place, "alice"), await opened(place, "bob")
        both = "Accept: application/json, text/event-stream"
        _, created = await answer(place, body("tools/call", name="wait", arguments={}, task={}), *alice, both)
        mine = orjson.loads(created)["result"]["task"]["taskId"]
        for method in ("tasks/get", "tasks/result", "tasks/cancel"):
            foreign = await answer(place, body(method, taskId=mine), *bob, both)
            unknown = await answer(place, body(method, taskId="0" * len(mine)), *bob, both)
            assert foreign == unknown
            assert orjson.loads(foreign[1])["error"]["code"] == -32602
        assert orjson.loads((await answer(place, body("tasks/list"), *bob))[1])["result"]["tasks"] == []
        status = orjson.loads((await answer(place, body("tasks/get", taskId=mine), *alice))[1])["result"]["status"]
        assert status == "working"
        release.set()
