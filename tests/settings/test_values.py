"""A bad value is one clear line that names its variable and what it accepts."""

from __future__ import annotations

import pytest

from mcpkit.settings import Settings, SettingsError


def load(**env: str) -> Settings:
    return Settings.load(env, dotenv=None)


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


@pytest.mark.parametrize("url", ["redis+sentinel://a:26379/mymaster", "http://127.0.0.1", "127.0.0.1:7000"])
def test_what_is_no_single_redis_is_told_what_to_do_instead(url: str) -> None:
    with pytest.raises(SettingsError, match=r"one Redis.*Sentinel and Cluster are not supported") as caught:
        load(MCP_SERVER_REDIS_URL=url)
    assert url not in str(caught.value)
