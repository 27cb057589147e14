"""Settings come from the environment over .env, and a bad value is one clear line that names its variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpkit.settings import Settings, SettingsError


def load(**env: str) -> Settings:
    return Settings.load(env, dotenv=None)


def test_defaults_listen_on_loopback_port_12000() -> None:
    """NET-03: nothing is configured, so only this machine may connect."""
    settings = load()
    assert (settings.host, settings.port, settings.shutdown) == ("127.0.0.1", 12000, "session")
    assert settings.max_body_bytes == 4 * 1024 * 1024
    assert settings == Settings()


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        'MCP_SERVER_PORT=1234\nexport MCP_SERVER_HOST="0.0.0.0"  # comment\nUNRELATED=x\n', encoding="utf-8"
    )
    settings = Settings.load({"MCP_SERVER_PORT": "99"}, dotenv=file)
    assert (settings.port, settings.host) == (99, "0.0.0.0")


def test_an_empty_value_counts_as_unset() -> None:
    assert load(MCP_SERVER_PORT="", API_KEY=" ").port == 12000


def test_lists_drop_blanks() -> None:
    assert load(MCP_ALLOWED_HOSTS=" a.example , ,b.example:81,").allowed_hosts == ("a.example", "b.example:81")


@pytest.mark.parametrize(
    ("env", "value", "accepted"),
    [
        ("MCP_SERVER_PORT", "65536", "a whole number from 0 to 65535"),
        ("MCP_SERVER_PORT", "12k", "a whole number from 0 to 65535"),
        ("MCP_SERVER_PORT", "-1", "a whole number from 0 to 65535"),
        ("MCP_SERVER_PORT", "١٢", "a whole number from 0 to 65535"),
        ("MCP_SERVER_PORT", "9" * 5000, "a whole number from 0 to 65535"),
        ("MCP_SERVER_HOST", "http://x", "a host name or address such as 127.0.0.1, ::1 or 0.0.0.0"),
        ("MCP_SERVER_SHUTDOWN", "process", "one of session, server, off"),
        ("MCP_KEEP_ALIVE_SECONDS", "nan", "a number of seconds from 0.05 to 3600"),
        ("BASE_URL", "localhost:11434", "a URL such as http://127.0.0.1:12000"),
        ("BASE_URL", "http://[::1", "a URL such as http://127.0.0.1:12000"),
        ("MCP_SAMPLE_AUTODETECT", "maybe", "1 or 0"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_it_accepts(env: str, value: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{env: value})
    assert str(caught.value) == f"{env} must be {accepted}, not {value[:60]!r}"


def test_a_bad_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load(MCP_STATE_KEY="hunter2")
    assert str(caught.value) == "MCP_STATE_KEY must be a secret of at least 32 characters"


def test_secrets_stay_out_of_repr() -> None:
    assert "sk-secret" not in repr(load(API_KEY="sk-secret"))


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


def test_the_table_has_every_setting_once() -> None:
    table = Settings.table()
    assert len({row.env for row in table}) == len(table) == len(Settings.__slots__)
    assert all(row.meaning and not row.meaning.endswith(".") for row in table)


def test_every_default_would_be_accepted() -> None:
    """A default out of its own range would be a setting that can't be written down."""
    shown = {row.env: row.default for row in Settings.table() if row.default not in (None, ())}
    assert (
        Settings.load({env: str(int(v) if isinstance(v, bool) else v) for env, v in shown.items()}, None) == Settings()
    )
