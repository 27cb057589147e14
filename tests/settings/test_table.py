"""The table of settings: every one once, defaults within their own limits, secrets kept."""

from __future__ import annotations

from dataclasses import fields

from mcpkit.settings import Settings


def load(**env: str) -> Settings:
    return Settings.load(env, dotenv=None)


def test_defaults_listen_on_loopback_port_12000() -> None:
    """SHC-05, HSSE-06, NET-03: nothing is configured, so only this machine may connect."""
    settings = load()
    assert (settings.host, settings.port, settings.shutdown) == ("127.0.0.1", 12000, "session")
    assert settings.max_body_bytes == 4 * 1024 * 1024
    assert settings == Settings()


def test_secrets_stay_out_of_repr() -> None:
    assert "sk-secret" not in repr(load(API_KEY="sk-secret"))


def test_the_table_has_every_setting_once() -> None:
    table = Settings.table()
    assert len({row.env for row in table}) == len(table) == len(fields(Settings))
    assert all(row.meaning and not row.meaning.endswith(".") for row in table)


def test_every_default_would_be_accepted() -> None:
    """A default out of its own range would be a setting that can't be written down."""
    shown = {row.env: row.default for row in Settings.table() if row.default not in (None, ())}
    assert (
        Settings.load({env: str(int(v) if isinstance(v, bool) else v) for env, v in shown.items()}, None) == Settings()
    )
