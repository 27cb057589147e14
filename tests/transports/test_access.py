"""What the settings say of authentication: none, keys, an issuer, both; and what does not make a whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mcpkit.security.bearer import AnyOf
from mcpkit.security.introspection import IntrospectionVerifier
from mcpkit.security.jwt import JwtVerifier
from mcpkit.security.keys import ApiKeys, KeyFile
from mcpkit.settings import Settings, SettingsError
from mcpkit.transports.access import authentication_of

ISSUER: dict[str, Any] = {"auth_issuer": "https://login.example.com", "auth_resource": "https://mcp.example.com/api"}
JWKS = {**ISSUER, "auth_jwks_url": "https://login.example.com/jwks"}
ASKED = {**ISSUER, "auth_introspection_url": "https://login.example.com/introspect"}


def test_nothing_is_asked_of_callers_by_default() -> None:
    assert authentication_of(Settings()) is None


def test_each_way_has_its_verifier(tmp_path: Path) -> None:
    keys = {"api_keys_file": tmp_path / "keys.json"}
    named = {"auth_client_id": "me", "auth_client_secret": "secret"}
    for given, verifier in (
        (keys, ApiKeys),
        (JWKS, JwtVerifier),
        ({**ASKED, **named}, IntrospectionVerifier),
        ({**keys, **JWKS}, AnyOf),
    ):
        settings = Settings(auth_scopes=("read",), auth_stream_seconds=9, **given)
        authentication = authentication_of(settings)
        assert authentication is not None
        assert isinstance(authentication._verifier, verifier)
        assert authentication.stream_seconds == 9
        assert settings.authenticated
        assert (authentication.resource is None) is (given is keys)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"auth_issuer": "https://login.example.com"}, "MCP_AUTH_RESOURCE"),
        (ISSUER, "MCP_AUTH_JWKS_URL"),
        (ASKED, "MCP_AUTH_CLIENT_ID"),
    ],
)
def test_half_a_setting_stops_the_start(given: dict[str, Any], named: str) -> None:
    """A server that should ask for tokens never starts without asking."""
    with pytest.raises(SettingsError, match=named):
        authentication_of(Settings(**given))


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(SettingsError, match=r"mcpkit\[auth\]"):
        authentication_of(Settings(**JWKS))


async def test_a_key_of_the_file_lets_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = await ApiKeys(KeyFile(path)).add("alice", scopes=["read"])
    authentication = authentication_of(Settings(api_keys_file=path))
    assert authentication is not None
    principal = await authentication({"authorization": f"Bearer {key}"})
    assert (principal.client_id, principal.scopes) == ("alice", {"read"})
