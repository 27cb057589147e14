"""Configuration files of every host are read by one loader, and what is wrong in one is told in one clear line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mcpkit.host.config import ConfigError, Entry, Input, entries_of, read_config

MATH = {"url": "http://127.0.0.1:18080/api"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def read(file: Path, config: Any, ask: Any = None, **environment: str) -> list[Entry]:
    file.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return read_config(file, environment, ask)


@pytest.mark.parametrize("root", ["mcpServers", "servers"])
def test_the_servers_come_in_the_order_of_the_file(file: Path, root: str) -> None:
    entries = read(file, {root: {"z": MATH, "a": {"command": "python", "args": ["a.py"], "cwd": "/x", "note": [1]}}})
    assert [entry.name for entry in entries] == ["z", "a"]
    assert entries[0] == Entry("z", {**MATH, "type": "http"}, MATH["url"])
    assert entries[1].target == {"type": "stdio", "command": "python", "args": ["a.py"], "cwd": "/x", "note": [1]}
    assert [entry.place for entry in entries] == ["http://127.0.0.1:18080/api", "python a.py"]


@pytest.mark.parametrize("below", ["", "src/deep"])
def test_servers_that_claude_code_keeps_for_the_folder_are_taken(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    """With those for all folders, which they come before; not those of other folders, be they around it."""
    folder = tmp_path / "work" / "mine"
    (folder / below).mkdir(parents=True)
    monkeypatch.chdir(folder / below)
    projects = {
        str(tmp_path): {"mcpServers": {"around": MATH}},
        str(folder): {"mcpServers": {"own": {"type": "stdio", "command": "python", "args": [], "env": {}}, "s": MATH}},
        str(tmp_path / "other"): {"mcpServers": {"other": MATH}},
        str(tmp_path / "none"): {"mcpServers": {}, "history": []},
    }
    common = {"s": {"url": "http://127.0.0.1:1/api"}, "all": MATH}
    entries = read(file, {"mcpServers": common, "projects": projects})
    assert [entry.name for entry in entries] == ["s", "all", "own"]
    assert entries[0].place == MATH["url"]
    assert isinstance(entries[2].target, Mapping)
    assert entries[2].target["cwd"] == str(folder)
    assert [entry.name for entry in read(file, {"projects": projects})] == ["own", "s"]


@pytest.mark.parametrize("common", [{}, {"mcpServers": {}}])
def test_servers_that_claude_code_keeps_for_other_folders_are_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, common: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {**common, "projects": {"/some/where": {"mcpServers": {"s": MATH}}, "/b": {"mcpServers": {}}}}
    with pytest.raises(ConfigError, match=r"^mcp.json names servers for other folders than .*: start in one of /some"):
        read(file, config)


@pytest.mark.parametrize("projects", [5, [], {"/a": 5}, {"/a": {"mcpServers": 5}}, {"/a": {}}])
def test_projects_without_servers_mean_nothing(file: Path, projects: Any) -> None:
    (entry,) = read(file, {"mcpServers": {"s": MATH}, "projects": projects})
    assert entry.name == "s"
    with pytest.raises(ConfigError, match="names no servers"):
        read(file, {"projects": projects})


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("http", "http"),
        ("streamable-http", "streamable-http"),
        ("streamableHttp", "streamable-http"),
        ("sse", "sse"),
        (None, "http"),
    ],
)
def test_every_spelling_of_a_type(file: Path, said: str | None, kind: str) -> None:
    (entry,) = read(file, {"mcpServers": {"s": {**MATH, **({"type": said} if said else {})}}})
    assert isinstance(entry.target, Mapping)
    assert entry.target["type"] == kind


def test_variables_are_filled_in_everywhere(file: Path) -> None:
    server = {
        "url": "${HOST:-http://localhost}/api",
        "headers": {"Authorization": "Bearer ${env:TOKEN}"},
        "deep": [{"x": "${EMPTY:-full}${TOKEN}"}],
        "folder": "${workspaceFolder}",
    }
    (entry,) = read(file, {"mcpServers": {"s": server}}, TOKEN="t", EMPTY="")
    assert isinstance(entry.target, Mapping)
    assert entry.target["url"] == "http://localhost/api"
    assert entry.target["headers"] == {"Authorization": "Bearer t"}
    assert entry.target["deep"] == [{"x": "fullt"}]
    assert entry.target["folder"] == str(file.parent)


def test_what_is_shown_of_a_server_holds_no_secret(file: Path) -> None:
    (entry,) = read(file, {"servers": {"s": {"command": "x", "args": ["--key", "${KEY}"]}}}, KEY="sk-secret")
    assert entry.place == "x --key ${KEY}"


def test_only_one_server_may_be_wanted(file: Path) -> None:
    file.write_text(json.dumps({"servers": {"a": {"url": "${NOT_SET}"}, "b": MATH}}))
    assert [entry.name for entry in read_config(file, {}, only="b")] == ["b"]


def test_inputs_are_asked_for_once_and_only_when_needed(file: Path) -> None:
    asked: list[Input] = []

    def ask(wanted: Input) -> str:
        asked.append(wanted)
        return "secret"

    config = {
        "inputs": [
            {"id": "key", "type": "promptString", "description": "The key", "password": True},
            {"id": "other", "type": "promptString"},
        ],
        "servers": {"s": {"command": "x", "env": {"A": "${input:key}", "B": "${input:key}"}}},
    }
    (entry,) = read(file, config, ask)
    assert isinstance(entry.target, Mapping)
    assert entry.target["env"] == {"A": "secret", "B": "secret"}
    assert asked == [Input("key", "The key", True)]
    with pytest.raises(ConfigError, match="no terminal to ask on"):
        read(file, config)


def test_a_choice_and_a_command_of_vs_code_are_asked_for_and_nothing_is_run(file: Path) -> None:
    """A file of strangers must not run anything by being read: what a command would give, the user types."""
    asked: list[Input] = []

    def ask(wanted: Input) -> str:
        asked.append(wanted)
        return wanted.default or "typed"

    config = {
        "inputs": [
            {"id": "where", "type": "pickString", "options": ["a", {"label": "B", "value": "b"}, {"label": "c"}]},
            {"id": "made", "type": "command", "command": "shellCommand.execute", "args": {"command": "touch /tmp/x"}},
        ],
        "servers": {"s": {"url": "http://h/${input:where}", "headers": {"K": "${input:made}"}}},
    }
    (entry,) = read(file, config, ask)
    assert isinstance(entry.target, Mapping)
    assert entry.target["headers"] == {"K": "typed"}
    assert asked[0] == Input("where", "where", options=("a", "b", "c"))
    assert (asked[1].id, asked[1].options) == ("made", ())
    assert "VS Code runs its command shellCommand.execute for it; nothing is run here" in asked[1].description


@pytest.mark.parametrize("folder", ["", ".vscode"])
def test_a_command_has_the_variables_of_its_file_and_the_projects_folder(tmp_path: Path, folder: str) -> None:
    """As in VS Code: ``env`` wins over ``envFile``, null takes a variable out, paths are the workspace's."""
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "server.env").write_text("\ufeff# keys\nexport A=1\nB='two words'\nC=${A}\nD=4\n", encoding="utf-8")
    server: dict[str, Any] = {"command": "x", "envFile": "${workspaceFolder}/server.env", "env": {"B": "2", "D": None}}
    places = {"BASE": "${workspaceFolderBasename}", "SIGN": "${pathSeparator}${/}"}
    servers = {
        "s": server,
        "t": {"command": "y", "cwd": "sub", "env": places},
        "u": {"url": "http://x", "envFile": "z"},
    }
    one, two, three = read(tmp_path / folder / "mcp.json", {"servers": servers})
    assert isinstance(one.target, Mapping)
    assert isinstance(two.target, Mapping)
    assert one.target["env"] == {"A": "1", "B": "2", "C": "${A}"}
    assert one.target.get("cwd") == (str(tmp_path) if folder else None)
    assert two.target["cwd"] == str(tmp_path / "sub")
    assert two.target["env"] == {"BASE": tmp_path.name, "SIGN": os.sep * 2}
    assert three.place == "http://x"


@pytest.mark.parametrize(("data", "why"), [(None, "No such file or directory"), (b"A=\xff", "it is not UTF-8 text")])
def test_an_env_file_that_can_not_be_read_is_named(file: Path, data: bytes | None, why: str) -> None:
    place = file.parent / "keys.env"
    if data is not None:
        place.write_bytes(data)
    with pytest.raises(ConfigError) as wrong:
        read(file, {"servers": {"s": {"command": "x", "envFile": "keys.env"}}})
    assert str(wrong.value) == f"mcp.json: server s: the envFile {place} can't be read: {why}"


def test_comments_and_last_commas_are_allowed(file: Path) -> None:
    config = """{ // servers
      "servers": {"s": {"url": "http://127.0.0.1/api", /* "not": "this" */ "x": "a, } // b"}, // last
      }, }"""
    (entry,) = read(file, config)
    assert entry.target == {"url": "http://127.0.0.1/api", "x": "a, } // b", "type": "http"}


def test_a_disabled_server_is_left_out(file: Path) -> None:
    assert [e.name for e in read(file, {"mcpServers": {"a": {**MATH, "disabled": True}, "b": MATH}})] == ["b"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "mcp.json is no JSON: "),
        ('{"servers": {"a": {"url": "http://x"}, "a": {"url": "http://y"}}}', "mcp.json is no JSON: "),
        ([], "mcp.json must be an object"),
        ({}, 'mcp.json names no servers: it needs an object "mcpServers" or "servers"'),
        ({"servers": []}, 'mcp.json names no servers: it needs an object "mcpServers" or "servers"'),
        ({"servers": {"a": 1}}, "mcp.json: server a must be an object"),
        ({"servers": {"a": {}}}, 'mcp.json: server a: a server of type stdio needs a "command"'),
        ({"servers": {"a": {"url": 5}}}, 'mcp.json: server a: a server of type http needs a "url"'),
        (
            {"servers": {"a": {**MATH, "type": "ftp"}}},
            "mcp.json: server a: type must be one of http, streamable-http, sse and stdio, not 'ftp'",
        ),
        ({"servers": {"a": {"command": "x", "args": "y"}}}, 'mcp.json: server a: "args" must be a list'),
        ({"servers": {"a": {**MATH, "headers": [1]}}}, 'mcp.json: server a: "headers" must be an object'),
        (
            {"servers": {"a": {"url": "${NOT_SET}"}}},
            "mcp.json: server a: the variable NOT_SET is not set; set it, or write ${NOT_SET:-default}",
        ),
        ({"servers": {"a": {"url": "${input:x}"}}}, 'mcp.json: server a: ${input:x} is not among the "inputs"'),
        ({"servers": {}, "inputs": 5}, 'mcp.json: "inputs" must be a list'),
        ({"servers": {}, "inputs": [{}]}, 'mcp.json: each of the inputs needs an "id"'),
        (
            {"servers": {}, "inputs": [{"id": "x", "type": "shell"}]},
            "mcp.json: input x is of type shell; there are promptString, pickString and command",
        ),
        ({"servers": {}, "inputs": [{"id": "x", "type": "pickString"}]}, 'mcp.json: input x needs a list of "options"'),
        (
            {"servers": {"a": {"url": "http://${command:pick.port}"}}},
            "mcp.json: server a: ${command:pick.port} is known to VS Code alone; write its value or a variable",
        ),
        ({"servers": {"a": {"command": "x", "envFile": 5}}}, 'mcp.json: server a: "envFile" must be a path'),
        ({"servers": {"a": {"command": "x", "cwd": ""}}}, 'mcp.json: server a: "cwd" must be a path'),
    ],
)
def test_what_is_wrong_is_one_clear_line(file: Path, config: Any, said: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(file, config)
    assert str(wrong.value).startswith(said)
    assert "\n" not in str(wrong.value)


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"mcp\.json can't be read: No such file"):
        read_config(file, {})


def test_a_file_that_is_no_text_is_named(file: Path) -> None:
    file.write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        read_config(file, {})


def test_servers_named_on_the_command_line_are_numbered() -> None:
    entries = entries_of(["http://127.0.0.1:18080", "https://x.example/mcp", "python a.py", ["node", "b.js"]])
    assert [entry.name for entry in entries] == ["server0", "server1", "server2", "server3"]
    assert [entry.place for entry in entries] == [
        "http://127.0.0.1:18080/api",
        "https://x.example/mcp",
        "python a.py",
        "node b.js",
    ]


def test_a_url_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match="is no URL"):
        entries_of(["http://[::1"])


@pytest.mark.parametrize(
    ("server", "target", "place"),
    [
        ({"httpUrl": "http://h/mcp"}, {"type": "http", "url": "http://h/mcp"}, "http://h/mcp"),
        ({"serverUrl": "http://h/mcp", "headers": None}, {"type": "http", "url": "http://h/mcp"}, "http://h/mcp"),
        (
            {"command": ["npx", "-y", "s"], "env": None},
            {"type": "stdio", "command": "npx", "args": ["-y", "s"]},
            "npx -y s",
        ),
        ({"transport": {"type": "sse", "url": "http://h/"}}, {"type": "sse", "url": "http://h/"}, "http://h/"),
        ({"type": "remote", "url": "${U}"}, {"type": "http", "url": "http://u/"}, "${U}"),
        (
            {"url": "http://h/", "headers": {"X": "1", "Y": None}},
            {"type": "http", "url": "http://h/", "headers": {"X": "1"}},
            "http://h/",
        ),
        ({"command": {"path": "p", "args": ["q"]}}, {"type": "stdio", "command": "p", "args": ["q"]}, "p q"),
    ],
)
def test_entries_as_every_host_writes_them(file: Path, server: Any, target: Any, place: str) -> None:
    (entry,) = read(file, {"mcpServers": {"s": server}}, U="http://u/")
    assert (entry.target, entry.place) == (target, place)


@pytest.mark.parametrize("wrap", ["mcp", "context_servers", "mcp.servers"])
def test_where_other_hosts_keep_their_servers(file: Path, wrap: str) -> None:
    config: Any = {"a": MATH, "b": {**MATH, "enabled": False}}
    for name in reversed(wrap.split(".")):
        config = {name: config}
    assert [entry.name for entry in read(file, config)] == ["a"]


@pytest.mark.parametrize(
    "config",
    [
        {"mcp.servers": {"a": {"command": "x"}}},
        {"mcpServers": [{"name": "a", "command": "x"}]},
        {"a": {"command": "x"}},
    ],
)
def test_other_shapes_of_a_file(file: Path, config: Any) -> None:
    file.write_text(json.dumps(config))
    (entry,) = read_config(file, {})
    assert (entry.name, entry.place) == ("a", "x")


def test_the_file_of_codex_is_read(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        'model = "x"\n[mcp_servers.a]\ncommand = "x"\nargs = ["y"]\n'
        '[mcp_servers.b]\nurl = "https://b.test/mcp"\nbearer_token_env_var = "TOKEN"\n'
    )
    first, second = read_config(file, {"TOKEN": "secret"})
    assert first.place == "x y"
    assert isinstance(second.target, dict)
    assert second.target["headers"] == {"Authorization": "Bearer secret"}
    assert "secret" not in second.place


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "a = ", "a.toml is no TOML: "),
        ("a.yaml", "a: 1", "write the servers as JSON or TOML"),
        ("a.json", " ", "but empty"),
    ],
)
def test_a_file_of_another_format_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_config(tmp_path / name, {})


def test_an_address_without_a_scheme_is_told_what_it_lacks(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"mcp\.json: server a: localhost:1 is an address.*write http://localhost:1"):
        read(file, {"mcpServers": {"a": {"url": "localhost:1"}}})
    with pytest.raises(ConfigError, match="write http://localhost:1/mcp"):
        entries_of(["localhost:1/mcp"])
