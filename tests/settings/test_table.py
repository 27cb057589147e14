"""The table of settings: every one once, defaults within their own limits, secrets kept."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mcpkit.settings import Settings, SettingsError


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"caller_share": 0}, "Settings(caller_share=…) must be a whole number from 1 to 100, not 0"),
        ({"caller_share": 101}, "Settings(caller_share=…) must be a whole number from 1 to 100, not 101"),
        ({"port": 65536}, "Settings(port=…) must be a whole number from 0 to 65535, not 65536"),
        ({"port": True}, "Settings(port=…) must be a whole number, not bool"),
        ({"max_batch": -1}, "Settings(max_batch=…) must be a whole number from 1 to 10000, not -1"),
        ({"keep_alive_seconds": 0}, "Settings(keep_alive_seconds=…) must be a number of seconds from 0.05 to 3600"),
        ({"send_seconds": math.nan}, "Settings(send_seconds=…) must be a number of seconds from 0.1 to 3600, not nan"),
        ({"tool_seconds": math.inf}, "Settings(tool_seconds=…) must be a number of seconds from 0.01 to 86400"),
        ({"rate_per_second": -0.5}, "Settings(rate_per_second=…) must be a number from 0 to 1e+06, not -0.5"),
        ({"shutdown": "of"}, "Settings(shutdown=…) must be one of session, server, off, not 'of'"),
        ({"host": ""}, "Settings(host=…) must be a text that is not empty, or be left out, not ''"),
        ({"host": "http://x"}, "Settings(host=…) must be a host name or address such as 127.0.0.1"),
        ({"host": None}, "Settings(host=…) must be a str, not NoneType"),
        ({"weather_url": "ftp://x"}, "Settings(weather_url=…) must be a URL such as"),
        ({"redis_url": "localhost"}, "Settings(redis_url=…) must be a URL of one Redis"),
        ({"forwarded_allow_ips": ["proxy"]}, "Settings(forwarded_allow_ips=…) must be addresses or networks"),
        ({"server_urls": ("x",)}, "Settings(server_urls=…) must be URLs such as"),
    ],
)
def test_keywords_are_held_to_what_the_table_states(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(**given)
    assert str(refused.value).startswith(said)


def test_a_secret_given_by_keyword_is_not_shown() -> None:
    for name in ("state_key", "metrics_token", "redis_url"):
        with pytest.raises(SettingsError) as refused:
            Settings(**{name: "geheim"})
        assert "geheim" not in str(refused.value)


def test_keywords_become_what_a_variable_would_be() -> None:
    settings = Settings(weather_url="https://x.example/", log_level="INFO", files_root="data", allowed_hosts=["a"])
    assert (settings.weather_url, settings.log_level) == ("https://x.example", "info")
    assert (settings.files_root, settings.allowed_hosts) == (Path("data"), ("a",))
