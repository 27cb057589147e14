"""A misspelt variable is named, with what was probably meant: it would otherwise be a wall that isn't there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mcpkit import Server
from mcpkit.fastapi import create_app
from mcpkit.settings import Settings, know_variables


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("MCP_ALLOWD_HOSTS", "MCP_ALLOWED_HOSTS"),
        ("MCP_API_KEY_FILE", "MCP_API_KEYS_FILE"),
        ("MCP_SEVER_PORT", "MCP_SERVER_PORT"),
        ("mcp_allowed_hosts", "MCP_ALLOWED_HOSTS"),
        ("Mcp_Metrics_Token", "MCP_METRICS_TOKEN"),
        ("MCP_PROT", "MCP_SERVER_PORT"),
        ("MCP_PORT", "MCP_SERVER_PORT"),
        ("MCP_API_KEY", "MCP_API_KEYS_FILE"),
        ("MCP_FOO", None),
        ("MCP_QQQQ_QQQQQQQQ_QQQQQQQQQQQQQ", None),
    ],
)
def test_a_variable_that_looks_like_a_setting_is_named_once(
    name: str, near: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{name}=secret-value\n")
    assert Settings.unknown({name: "x"}, None) == Settings.unknown({}, file) == {name: near}
    for _ in range(2):
        Settings.load({name: "secret-value"}, None)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    hint = f"; did you mean {near}?" if near else ""
    assert said == [f"{name} is no setting, so it does nothing{hint}"]


def test_in_the_file_names_without_the_prefix_count_when_they_are_nearly_right(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MODEL_NAM=m\nAPIKEY=k\nBASE_URLS=u\nDATABASE_URL=d\nPORT=1\nDEBUG=1\nMODEL_NAME=m\n")
    near = {"MODEL_NAM": "MODEL_NAME", "APIKEY": "API_KEY", "BASE_URLS": "BASE_URL"}
    assert Settings.unknown({}, file) == near
    assert Settings.unknown(dict.fromkeys(near, "x"), None) == {}, "the environment is everybody's"


def test_every_setting_is_known_and_so_is_what_a_program_names() -> None:
    assert Settings.unknown({row.env: "1" for row in Settings.table()}, None) == {}
    assert set(Settings.unknown({"MCP_OF_THIS_TEST": "1"}, None)) == {"MCP_OF_THIS_TEST"}
    know_variables("MCP_OF_THIS_TEST")
    assert Settings.unknown({"MCP_OF_THIS_TEST": "1"}, None) == {}


def test_an_application_tells_at_start(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MCP_ALOWED_ORIGINS", "https://web.example")
    create_app(Server("s"))
    assert "MCP_ALOWED_ORIGINS is no setting, so it does nothing; did you mean MCP_ALLOWED_ORIGINS?" in caplog.text
