"""What is set to no effect beside the rest is named at start; what leaves a server open by half is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcpkit import Server
from mcpkit.fastapi import create_app, mcp_router
from mcpkit.settings import Settings, SettingsError
from mcpkit.settings.contradictions import HTTP_ONLY, without_effect

OAUTH: dict[str, Any] = {
    "auth_issuer": "https://login.example",
    "auth_resource": "https://mcp.example/api",
    "auth_introspection_url": "https://login.example/ask",
    "auth_client_id": "me",
    "auth_client_secret": "secret",
}
KEYS = Path("keys.json")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, []),
        (OAUTH, []),
        ({**OAUTH, "auth_jwks_url": "https://login.example/keys"}, ["MCP_AUTH_JWKS_URL does nothing beside"]),
        ({"auth_scopes": ("read",)}, ["MCP_AUTH_SCOPES does nothing without MCP_AUTH_ISSUER or API keys"]),
        ({"auth_scopes": ("read",), "api_keys_file": KEYS}, []),
        ({"auth_stream_seconds": 5}, ["MCP_AUTH_STREAM_SECONDS does nothing"]),
        ({"rate_burst": 7}, ["MCP_RATE_BURST does nothing without MCP_RATE_PER_SECOND"]),
        ({"rate_burst": 7, "rate_per_second": 1}, []),
        ({"workers": 2}, ["MCP_SERVER_WORKERS without MCP_SERVER_REDIS_URL"]),
        ({"workers": 2, "redis_url": "redis://127.0.0.1:1"}, []),
    ],
)
def test_what_does_nothing_is_told_when_an_application_is_made(
    given: dict[str, Any], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for make in (create_app, mcp_router):
        caplog.clear()
        make(Server("s"), Settings(**given))
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == len(said)
        assert all(line.startswith(beginning) for line, beginning in zip(lines, said, strict=True))


def test_a_token_for_metrics_that_nobody_serves_is_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(metrics_token="m" * 32)
    create_app(Server("s"), settings)
    assert caplog.records == []
    mcp_router(Server("s"), settings)
    assert "MCP_METRICS_TOKEN does nothing here" in caplog.text


@pytest.mark.parametrize(
    "name", ["auth_resource", "auth_jwks_url", "auth_introspection_url", "auth_client_id", "auth_client_secret"]
)
def test_half_of_oauth_is_refused_for_it_would_let_everybody_in(name: str) -> None:
    for more in ({}, {"api_keys_file": KEYS}):
        for make in (create_app, mcp_router):
            with pytest.raises(SettingsError, match=f"MCP_{name.upper()} without MCP_AUTH_ISSUER"):
                make(Server("s"), Settings(**{name: "https://login.example/x"}, **more))


def test_what_is_for_http_is_told_over_stdio() -> None:
    settings = Settings(allowed_hosts=("mcp.example",), api_keys_file=KEYS, max_calls=5)
    [line] = without_effect(settings, stdio=True)
    assert line.startswith("MCP_ALLOWED_HOSTS, MCP_API_KEYS_FILE: over stdio this does nothing")
    assert list(without_effect(Settings(max_calls=5), stdio=True)) == []
    assert {row.name for row in Settings.table()} > HTTP_ONLY


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("allowed_hosts", ("mcp.example", b"mcp.example", 5, (5,), {"mcp.example": 1}), "a tuple of texts"),
        ("port", ("80", 80.0, True, None, -1), "a whole number"),
        ("tool_seconds", ("5", -1, float("nan"), float("inf"), True, None), "a number"),
        ("api_keys_redis", (1, "yes", None), "a bool"),
        ("host", (5, None, b"x"), "a str"),
        ("metrics_token", (b"m" * 32, 5), "a str"),
        ("log_format", (5,), "a Literal"),
        ("files_root", (5, None), "a Path"),
    ],
)
def test_settings_that_a_program_makes_are_of_their_types(name: str, values: tuple[Any, ...], wanted: str) -> None:
    """A text for a tuple would be read letter by letter: ten hosts of one letter."""
    for value in values:
        with pytest.raises(SettingsError, match=rf"Settings\({name}=…\) must be {wanted}"):
            Settings(**{name: value})


def test_lists_and_texts_are_taken_for_what_they_mean() -> None:
    settings = Settings(allowed_hosts=["mcp.example"], api_keys_file="keys.json", tool_seconds=5)  # type: ignore[arg-type]  # what is forgiven
    assert settings.allowed_hosts == ("mcp.example",)
    assert settings.api_keys_file == KEYS
