"""The application as a newcomer meets it: started as a process, asked as curl asks, ended by a signal.

Then its pieces: the subclass hook, the app for other ASGI servers, and stdio without a web framework.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import mcp_server
from mcp_server import MCPServer, main
from mcpkit import MCPClient, Settings, SettingsError
from mcpkit.protocol.revisions.registry import NEWEST, NEWEST_HANDSHAKE, SUPPORTED
from mcpkit.testing import connect
from tests.fixtures.started import ROOT, Started, environment, run, started


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to start in: the files and the database of the examples are made there."""
    return tmp_path_factory.mktemp("started")


@pytest.fixture(scope="module")
def running(here: Path) -> Iterator[Started]:
    with started("mcp_server.py", "--port", "0", cwd=here) as program:
        yield program


# ── started ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_prints_three_lines_and_the_last_can_be_run(running: Started) -> None:
    assert len(running.said) == 3
    info, mcp, line = running.said
    assert f"{running.url}/" in info
    assert f"{running.url}/api" in mcp
    assert line.strip().replace(running.url, "http://127.0.0.1:12000") in (ROOT / "README.md").read_text()
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=20, check=True)
    assert "calculate" in [tool["name"] for tool in json.loads(done.stdout)["result"]["tools"]]


def test_the_root_says_what_this_is_with_an_example_that_works(running: Started) -> None:
    told = httpx.get(running.url, timeout=10).json()
    assert told["protocolVersions"] == list(SUPPORTED)
    assert told["endpoints"] == {
        "mcp": f"{running.url}/api",
        "sse": f"{running.url}/sse",
        "info": f"{running.url}/",
    }
    done = subprocess.run(shlex.split(told["example"]), capture_output=True, text=True, timeout=20, check=True)
    assert len(json.loads(done.stdout)["result"]["tools"]) == told["tools"]
    kinds = ("resources/list", "resources"), ("resources/templates/list", "resourceTemplates")
    assert sum(len(running.ask(method)["result"][key]) for method, key in kinds) == told["resources"]
    assert len(running.ask("prompts/list")["result"]["prompts"]) == told["prompts"]
    assert {"sample", "shutdown"} <= set(told["methods"])


@pytest.mark.parametrize("path", ["/api", "/api/"])
def test_plain_json_rpc_is_answered_with_and_without_the_slash(running: Started, path: str) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": "a",
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 5, "b": 3}},
    }
    answer = httpx.post(f"{running.url}{path}", json=body, timeout=10, follow_redirects=False)
    assert answer.status_code == 200
    assert answer.json()["id"] == "a"
    assert answer.json()["result"]["content"] == [{"type": "text", "text": "8"}]


def test_a_session_is_opened_used_and_ended(running: Started) -> None:
    opening = {
        "protocolVersion": NEWEST_HANDSHAKE.name,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    with httpx.Client(
        base_url=running.url, timeout=10, headers={"Accept": "application/json, text/event-stream"}
    ) as http:

        def post(message: dict[str, Any]) -> httpx.Response:
            return http.post("/api", json={"jsonrpc": "2.0", **message})

        opened = post({"id": 1, "method": "initialize", "params": opening})
        assert opened.json()["result"]["serverInfo"]["name"] == "mcp-server"
        http.headers["Mcp-Session-Id"] = opened.headers["Mcp-Session-Id"]
        http.headers["MCP-Protocol-Version"] = NEWEST_HANDSHAKE.name
        assert post({"method": "notifications/initialized"}).status_code == 202
        call = {"name": "modulo", "arguments": {"a": 10, "b": 3}}
        assert post({"id": 2, "method": "tools/call", "params": call}).json()["result"]["content"][0]["text"] == "1"
        assert post({"id": 3, "method": "shutdown"}).json()["result"] == {"status": "shutting_down"}
        assert post({"id": 4, "method": "ping"}).status_code == 404, "`shutdown` ended the caller's session"
    assert running.ask("ping")["result"] == {}, "and nobody else's"


def test_the_newest_revision_is_answered_without_a_session(running: Started) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": NEWEST.name,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": NEWEST.name,
        "Mcp-Method": "server/discover",
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
    answer = httpx.post(f"{running.url}/api", json=body, headers=headers, timeout=10)
    assert answer.status_code == 200
    assert answer.json()["result"]["supportedVersions"] == list(SUPPORTED)


def test_the_first_event_of_the_old_stream_names_where_to_post(running: Started) -> None:
    """HSSE-01, HSSE-17, TR-06."""
    with httpx.stream("GET", f"{running.url}/sse", timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: endpoint"
        assert next(lines).startswith("data: /api?session_id=")


def test_an_unconfigured_model_names_the_three_variables(running: Started) -> None:
    error = running.ask("sample", prompt="hello")["error"]
    assert all(name in error["message"] for name in ("BASE_URL", "API_KEY", "MODEL_NAME"))


def test_files_and_database_are_made_where_the_settings_say(running: Started, here: Path) -> None:
    running.ask("tools/call", name="file_write", arguments={"path": "a.txt", "content": "hi"})
    running.ask("tools/call", name="database_execute", arguments={"sql": "CREATE TABLE t (x)"})
    assert (here / "data/files/a.txt").read_text() == "hi"
    assert (here / "data/app.db").exists()


# ── ended ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_quietly_even_with_a_stream_open(tmp_path: Path, number: signal.Signals) -> None:
    with started("mcp_server.py", "--port", "0", cwd=tmp_path) as program:
        with httpx.stream("GET", f"{program.url}/sse", timeout=10) as stream:
            next(stream.iter_lines())
            assert program.end(number) == 0
        assert len(program.said) == 3, program.said


def test_shutdown_ends_the_server_where_that_is_set(tmp_path: Path) -> None:
    env = environment(MCP_SERVER_SHUTDOWN="server")
    with started("mcp_server.py", "--port", "0", cwd=tmp_path, env=env) as program:
        assert program.ask("shutdown")["result"] == {"status": "shutting_down"}
        assert program.ended() == 0
        assert len(program.said) == 3, program.said


# ── not started ─────────────────────────────────────────────────────────────────────────────────────────────────────


def undecodable(folder: Path) -> None:
    (folder / ".env").write_bytes(b"MCP_SERVER_PORT=\xff\n")


def misspelt(folder: Path) -> None:
    (folder / ".env").write_text("this is no setting = at all\n")


def a_folder(folder: Path) -> None:
    (folder / ".env").mkdir()


@pytest.mark.parametrize(
    ("arguments", "env", "prepare", "said"),
    [
        (["--port", "abc"], {}, None, "--port"),
        (["--port", "65536"], {}, None, "0 to 65535"),
        (["--port", "-1"], {}, None, "--port"),
        (["--nonsense"], {}, None, "--nonsense"),
        (["--host", "no such host"], {}, None, "no such host"),
        (["--host", ""], {}, None, "--host"),
        (["--host", "name.invalid"], {}, None, "name.invalid"),
        ([], {"MCP_SERVER_PORT": "99999"}, None, "MCP_SERVER_PORT"),
        (["--port", "0"], {"MCP_SERVER_SHUTDOWN": "perhaps"}, None, "MCP_SERVER_SHUTDOWN"),
        (["--port", "0"], {"MCP_ALLOWED_HOSTS": "a b"}, None, "MCP_ALLOWED_HOSTS"),
        (["--port", "0"], {"MCP_ALLOWED_ORIGINS": "example.com/path"}, None, "MCP_ALLOWED_ORIGINS"),
        (["--stdio"], {"MCP_LOG_LEVEL": "loud"}, None, "MCP_LOG_LEVEL"),
        (["--port", "0"], {}, undecodable, ".env"),
        (["--port", "0"], {}, misspelt, ".env"),
        (["--port", "0"], {}, a_folder, ".env"),
    ],
)
def test_what_can_not_start_says_why_in_one_line(
    tmp_path: Path, arguments: list[str], env: dict[str, str], prepare: Callable[[Path], None] | None, said: str
) -> None:
    if prepare is not None:
        prepare(tmp_path)
    done = run("mcp_server.py", *arguments, cwd=tmp_path, env=environment(**env))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""


def test_a_taken_port_is_told_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("mcp_server.py", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_help_lists_every_setting_with_its_default(tmp_path: Path) -> None:
    done = run("mcp_server.py", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for row in Settings.table():
        assert row.env in done.stdout
    assert "12000" in done.stdout


# ── over stdin and stdout ───────────────────────────────────────────────────────────────────────────────────────────


def test_stdio_answers_on_stdout_alone_and_ends_with_its_input(tmp_path: Path) -> None:
    opening = {
        "protocolVersion": NEWEST_HANDSHAKE.name,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    call = {"name": "divide", "arguments": {"a": 7, "b": 0}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ]
    said = "".join(json.dumps(message) + "\n" for message in messages)
    done = run("mcp_server.py", "--stdio", cwd=tmp_path, stdin=said)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["result"]["protocolVersion"] == NEWEST_HANDSHAKE.name
    assert second["result"]["content"][0]["text"] == "Division by zero is not allowed"
    assert second["result"]["isError"] is True
    assert (done.returncode, done.stderr) == (0, "")


def test_stdio_loads_no_web_framework_and_no_http_client(tmp_path: Path) -> None:
    code = "import sys; import mcp_server; mcp_server.MCPServer(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout.split()
    assert "routers.tool_router" in loaded
    assert not {"fastapi", "starlette", "uvicorn", "httpx", "httpx2", "sse_starlette"} & set(loaded)


# ── with the tools of the tests ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_probe_is_the_application_with_six_tools_more(tmp_path: Path) -> None:
    with started("tests/fixtures/probe_server.py", "--port", "0", cwd=tmp_path) as program:

        async def agree(*asked: Any) -> dict[str, Any]:
            return {"value": "blue"}

        async with MCPClient(f"{program.url}/api", elicitation_handler=agree) as client:
            tools = [tool.name for tool in await client.list_tools()]
            assert {"echo", "sleep", "ask", "announce", "touch", "shout", "add", "calculate"} <= set(tools)
            assert len(tools) == len(set(tools))
            assert (await client.call_tool("echo", {"text": "你好"})).data == "你好"
            assert (await client.call_tool("sleep", {"seconds": 0})).data == "slept 0 seconds"
            assert (await client.call_tool("ask", {"question": "Which colour?"})).data == "blue"


# ── its pieces ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(files_root=tmp_path / "files", database_path=tmp_path / "app.db")


class Greeting(MCPServer):
    """What a cloner writes: the hook, and a method in it."""

    def _register_methods(self) -> None:
        super()._register_methods()
        self.router.register_method("test/hello", self.hello)

        @self.router.tool
        def shout_of_the_test(text: str) -> str:
            """Say it loudly."""
            return text.upper()

    async def hello(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"hello": params.get("name", "world")}


@pytest.mark.parametrize(
    ("client", "servers"), [("claude", "mcpServers"), ("cursor", "mcpServers"), ("vscode", "servers")]
)
def test_a_client_is_told_how_to_find_it(client: str, servers: str, tmp_path: Path) -> None:
    """As JSON, in the words of that client, with this program's own address and path, and the folder of its `.env`."""
    done = run("mcp_server.py", "--port", "25001", "--print-config", client, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    [found] = json.loads(done.stdout)[servers].values()
    if client == "claude":
        program = {"command": sys.executable, "args": [str(ROOT / "mcp_server.py"), "--stdio"]}
        assert found == {**program, "cwd": str(tmp_path)}
    else:
        assert found["url"] == "http://127.0.0.1:25001/api"


async def test_what_any_client_is_told_opens_the_server(running: Started, here: Path) -> None:
    """Both doors of the printed configuration lead in."""
    port = running.url.rpartition(":")[2]
    done = run("mcp_server.py", "--port", port, "--print-config", "json", cwd=here)
    for entry in json.loads(done.stdout)["mcpServers"].values():
        async with MCPClient(entry) as client:
            assert (await client.call_tool("add", {"a": 2, "b": 3})).data == 5


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The application in a folder of its own, with nothing beside it yet."""
    (tmp_path / "clone").mkdir()
    shutil.copy(ROOT / "mcp_server.py", tmp_path / "clone")
    shutil.copytree(ROOT / "routers", tmp_path / "clone/routers")
    (tmp_path / "clone/mcpkit").symlink_to(ROOT / "mcpkit")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "clone"


def configured(clone: Path, cwd: Path, **variables: str) -> dict[str, Any]:
    """The entries that the program prints when it is started in ``cwd``."""
    command = [sys.executable, str(clone / "mcp_server.py"), "--print-config", "json"]
    env = environment(**variables)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=30, check=True)
    entries: dict[str, Any] = json.loads(done.stdout)["mcpServers"]
    return entries


async def use(entry: dict[str, Any]) -> None:
    """Write a file and the database."""
    async with MCPClient(entry) as client:
        await client.call_tool("file_write", {"path": "a.txt", "content": "hi"})
        await client.call_tool("database_execute", {"sql": "CREATE TABLE t (x)"})


async def test_what_a_client_starts_elsewhere_finds_its_settings_and_data(clone: Path) -> None:
    """Clients start a server in a folder of their own."""
    elsewhere = clone.parent / "elsewhere"
    (clone / ".env").write_text("MCP_SERVER_PORT=25017\nMCP_FILES_ROOT=mine\n")
    entries = configured(clone, elsewhere)
    assert entries == configured(clone, clone)
    assert entries["mcpkit"]["url"] == "http://127.0.0.1:25017/api"
    await use({**entries["mcpkit-stdio"], "cwd": str(elsewhere), "env": {}})
    assert (clone / "mine/a.txt").read_text() == "hi", "a relative path in .env is one beside it"
    assert (clone / "data/app.db").exists()
    assert list(elsewhere.iterdir()) == []


async def test_settings_of_the_folder_it_was_configured_in_come_first(clone: Path) -> None:
    elsewhere = clone.parent / "elsewhere"
    (clone / ".env").write_text("MCP_SERVER_PORT=25017\n")
    (elsewhere / ".env").write_text("MCP_SERVER_PORT=25018\nMCP_FILES_ROOT=theirs\n")
    entries = configured(clone, elsewhere)
    assert entries["mcpkit"]["url"] == "http://127.0.0.1:25018/api"
    assert entries["mcpkit-stdio"]["cwd"] == str(elsewhere)
    await use(entries["mcpkit-stdio"])
    assert (elsewhere / "theirs/a.txt").exists()
    assert (clone / "data/app.db").exists(), "what no setting names lies beside the program"


async def test_a_relative_path_in_the_environment_starts_where_the_program_does(clone: Path) -> None:
    elsewhere = clone.parent / "elsewhere"
    entry = configured(clone, elsewhere)["mcpkit-stdio"]
    await use({**entry, "cwd": str(elsewhere), "env": {"MCP_FILES_ROOT": ".", "MCP_DATABASE_PATH": "x/app.db"}})
    assert sorted(str(path.relative_to(elsewhere)) for path in elsewhere.rglob("*.*")) == ["a.txt", "x/app.db"]


async def test_a_subclass_registers_its_own(settings: Settings) -> None:
    server = Greeting(settings=settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://localhost") as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": "test/hello", "params": {"name": "Ada"}}
        assert (await http.post("/api", json=body)).json()["result"] == {"hello": "Ada"}
        assert "test/hello" in (await http.get("/")).json()["methods"]
    async with connect(server.server) as client:
        assert (await client.call_tool("shout_of_the_test", {"text": "hi"})).data == "HI"
        assert (await client.call_tool("add", {"a": 1, "b": 2})).data == 3


def test_host_and_port_win_over_the_settings() -> None:
    server = MCPServer("0.0.0.0", 0, Settings(port=5000))
    assert (server.settings.host, server.settings.port) == ("0.0.0.0", 0)
    assert MCPServer(settings=Settings(port=5000)).settings.port == 5000
    assert server.app is server.app


def test_settings_come_from_the_environment_when_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_SERVER_PORT", "4321")
    assert MCPServer().settings.port == 4321
    monkeypatch.setenv("MCP_SERVER_PORT", "many")
    with pytest.raises(SettingsError):
        MCPServer()


def test_main_hands_the_choice_of_door_to_the_server(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    served: list[tuple[Any, bool]] = []
    monkeypatch.setattr(
        mcp_server, "serve", lambda target, settings, stdio: served.append((type(target).__name__, stdio))
    )
    main(["--stdio"], Greeting)
    main(["--port", "0"])
    assert served == [("Server", True), ("McpApp", False)]
