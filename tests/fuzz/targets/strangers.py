"""What the client reads from servers it doesn't know: challenges, metadata, URLs, schemas.

What must never stand here: a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.challenge import Challenge, challenge_in, challenges
from mcpkit.client.oauth.discovery import find_ground
from mcpkit.client.oauth.exchange import Exchanges, Reply
from mcpkit.client.oauth.guard import Guard
from mcpkit.client.urls import is_loopback, origin_of, origin_text, resolve, same_origin, split_http
from mcpkit.features.schema import Schema, SchemaError
from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import ParseError
from mcpkit.security.bearer import challenge
from tests.fuzz.targets.target import Target, finish, parts

SERVER = "https://mcp.example.com/api"


def challenged(data: bytes) -> None:
    """Any header is read, in one pass; what our own servers say is read back."""
    text = data.decode("latin-1")
    found = challenges(text)
    assert sum(len(one.params) for one in found) <= len(text)
    assert all(one.scheme and one.scheme == one.scheme.lower() for one in found)
    best = challenge_in({"www-authenticate": text})
    assert best.scheme in {"bearer", "dpop"}
    plain = "".join(char for char in text if " " <= char <= "~")
    said = challenge(plain or None, scopes=plain.split(), description=plain)
    again = challenge_in({"www-authenticate": said})
    assert again.resource_metadata == (plain or None)
    assert sorted(set(again.scopes)) == sorted(set(plain.split()))


class Answering(Exchanges):
    """Every document that is asked for is one of two; the guard is the real one, without looking up names."""

    def __init__(self, resource: Any, server: Any) -> None:
        super().__init__(cast(Any, None), Guard(SERVER, inward=True))
        self._documents = {"resource": resource, "server": server}
        self.asked = 0

    async def _send(self, method: str, url: str, what: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        await self._guard.check(url, what)
        self.asked += 1
        document = self._documents["resource" if "oauth-protected-resource" in url else "server"]
        return Reply(200, {}, document if isinstance(document, dict) else {})


def metadata(data: bytes) -> None:
    """Whatever a server publishes of itself: ground to stand on, or one named refusal, after a few requests."""
    resource, server, header = parts(data, 3)
    exchanges = Answering(document(resource), document(server))
    named = challenge_in({"www-authenticate": header.decode("latin-1")}) if header else Challenge()
    for legacy in (False, True):
        try:
            ground = finish(find_ground(exchanges, SERVER, named, prefer=None, legacy=legacy))
        except AuthorizationFailed:
            continue
        assert same_origin(ground.resource, SERVER), "a token for somebody else (ADIS-02)"
        scheme, host, _ = origin_of(ground.server.issuer)
        assert scheme == "https" or is_loopback(host), "an issuer in clear (FLOW-11)"
        try:
            endpoint = finish(exchanges.allowed(ground.server.token_endpoint, "the token endpoint"))
        except AuthorizationFailed:
            continue
        assert urlsplit(endpoint).scheme.lower() in {"http", "https"}
    assert exchanges.asked <= 12


def document(data: bytes) -> Any:
    """What a body holds, as exchanges read it."""
    try:
        return load(data)
    except ParseError:
        return {}


def url(data: bytes) -> None:
    """A URL is refused by ValueError, or leads where the standard library says (HSSE-09, FLOW-13)."""
    text = data.decode("utf-8", "replace")
    origin_text(text)
    try:
        led = resolve(SERVER, text)
    except ValueError as error:
        assert len(text) < 20 or text in SERVER or text not in str(error), "a secret in it would be shown"
    else:
        assert origin_of(led) == ("https", "mcp.example.com", 443)
        assert urlsplit(led).hostname == "mcp.example.com"
        assert same_origin(led, SERVER)
    try:
        found = split_http(text)
    except ValueError:
        return
    assert found.hostname
    assert found.username is None
    assert same_origin(text, text)


def schema(data: bytes) -> None:
    """A schema of a stranger is compiled or refused by name; judging a value ends, and fetches nothing (STEST-06)."""
    described, value = (document(part) for part in parts(data, 2))
    if not isinstance(described, dict | bool):
        return
    try:
        compiled = Schema(described)
    except SchemaError as error:
        assert len(str(error)) < 2000
        return
    assert compiled.valid(value) == (not list(compiled.problems(value)))


def joined(*values: Any) -> bytes:
    """Documents as one input."""
    return b"\n\n".join(json.dumps(value).encode() for value in values)


RESOURCE = {"resource": SERVER, "authorization_servers": ["https://login.example.com/t"], "scopes_supported": ["a"]}
ISSUER = {
    "issuer": "https://login.example.com/t",
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://login.example.com/token",
    "code_challenge_methods_supported": ["S256"],
}
TARGETS = (
    Target(
        "challenge",
        challenged,
        (
            b'Bearer error="invalid_token", scope="a b", resource_metadata="https://x/y"',
            b'Negotiate a==, DPoP algs="ES256", Bearer',
            b'Basic realm="a\\"b, Bearer x=y", bearer scope=a',
            b'Bearer =,,= "',
        ),
        (b"Bearer ", b"DPoP ", b'="', b"scope=", b"resource_metadata=", b"\\"),
        600,
    ),
    Target(
        "metadata",
        metadata,
        (
            joined(RESOURCE, ISSUER),
            joined({}, {"issuer": "https://mcp.example.com", "token_endpoint": 7}),
            joined({**RESOURCE, "authorization_servers": ["https://[", "javascript:x"]}, ISSUER),
            joined(RESOURCE, ISSUER) + b'\n\nBearer resource_metadata="https://mcp.example.com/m"',
        ),
        (b'"resource":', b'"authorization_servers":["', b'"issuer":"', b"https://", b"http://127.0.0.1", b"//[", b"@"),
    ),
    Target(
        "url",
        url,
        (
            b"https://a:secret\xe2\x84\x80@b/",
            b"https://mcp.example.co",
            b"/api?session_id=x",
            b"https://mcp.example.com:443/x",
            b"//evil.example/x",
            b"https://a@b/",
            b"http://[::1",
            b"\\\\e",
        ),
        (b"https://", b"mcp.example.com", b"//", b"@", b"[", b":443", b"\t"),
        300,
    ),
    Target(
        "schema",
        schema,
        (
            joined(
                {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}, {"a": 0}
            ),
            joined({"$ref": "http://169.254.169.254/x"}, 1),
            joined({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, 1),
            joined({"pattern": "(a+)+$", "format": "email"}, "a" * 40 + "!"),
            joined({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"const": 1}], "enum": [[1]]}, [2]),
            joined({"anyOf": [{"multipleOf": 0.1}, {"type": ["string", "null"]}], "unevaluatedProperties": False}, {}),
        ),
        (b'"$ref":"#', b'"$defs":', b'"pattern":', b'"type":', b'"oneOf":', b'"$dynamicRef":', b'"$id":', b'"not":'),
    ),
)
