"""Settings come from the environment over .env; a file that can't be read is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpkit.settings import Settings, SettingsError


def load(**env: str) -> Settings:
    return Settings.load(env, dotenv=None)


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'MCP_SERVER_PORT=1234\nexport MCP_SERVER_HOST="0.0.0.0"  # comment\nUNRELATED=x\n', encoding="utf-8"
    )
    settings = Settings.load({"MCP_SERVER_PORT": "99"}, dotenv=file)
    assert (settings.port, settings.host) == (99, "0.0.0.0")


def test_an_empty_value_counts_as_unset() -> None:
    assert load(MCP_SERVER_PORT="", API_KEY=" ").port == 12000


def test_a_missing_file_is_fine(tmp_path: Path) -> None:
    assert Settings.load({}, dotenv=tmp_path / "none") == Settings()


def test_an_unreadable_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"can't be read: Is a directory$"):
        Settings.load({}, dotenv=tmp_path)


def test_a_file_that_is_no_text_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"A=\xff\xfe")
    with pytest.raises(SettingsError, match=r"it is not UTF-8 text$"):
        Settings.load({}, dotenv=file)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=1\n='\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"line 2 is not of the form NAME=value$"):
        Settings.load({}, dotenv=file)
