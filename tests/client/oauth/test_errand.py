"""One errand to a token endpoint."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.discovery import Ground
from mcpkit.client.oauth.errand import Errand, Proofs, authentication
from mcpkit.client.oauth.exchange import Reply
from mcpkit.client.oauth.metadata import ServerMetadata
from mcpkit.client.oauth.tokens import MemoryStore, Registration, Vault
from tests.client.scripted import soon

TOKEN = "https://a.example/token"


class Endpoint:
    """A token endpoint: one reply after the other."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[dict[str, str], dict[str, str]]] = []

    async def allowed(self, url: Any, what: str) -> str:
        if not isinstance(url, str):
            raise AuthorizationFailed(f"{what} is missing")
        return url

    async def post_form(self, url: str, what: str, form: dict[str, str], headers: dict[str, str]) -> Reply:
        self.asked.append((form, headers))
        return self.replies.pop(0)


class Key:
    """Signs nothing, but says what it would."""

    def proof(self, method: str, url: str, *, token: str | None, nonce: str | None, body: bytes | None) -> str:
        return f"{method} {url} {token} {nonce} {body!r}"


def errand(endpoint: Endpoint, scopes: tuple[str, ...] = ("a",), *, key: Any = None, **members: Any) -> Errand:
    ground = Ground(ServerMetadata("https://a.example", token_endpoint=TOKEN, **members), "https://h/mcp")
    return Errand(endpoint, Vault(MemoryStore(), "s"), ground, scopes, Proofs(key))  # type: ignore[arg-type]


GOOD = Reply(200, {}, {"access_token": "t"})


async def test_the_form_and_who_asks() -> None:
    """FLOW-02, REG-08."""
    endpoint = Endpoint(GOOD)
    made = errand(endpoint)
    assert made.about_access() == {"resource": "https://h/mcp", "scope": "a"}
    assert errand(endpoint, ()).about_access() == {"resource": "https://h/mcp"}
    tokens = await soon(made.tokens_for({"grant_type": "x"}, Registration("id")))
    assert tokens.access_token == "t"
    assert endpoint.asked == [({"grant_type": "x", "client_id": "id"}, {})]


@pytest.mark.parametrize(
    ("methods", "who", "header"),
    [
        (("client_secret_basic",), {}, "Basic " + base64.b64encode(b"a%20b:s%3A").decode()),
        (("client_secret_post",), {"client_id": "a b", "client_secret": "s:"}, None),
        (("none",), {"client_id": "a b"}, None),
    ],
)
def test_ways_to_authenticate(methods: tuple[str, ...], who: dict[str, str], header: str | None) -> None:
    """REG-08: a public client never shows a secret, though it may have been given one."""
    ground = Ground(ServerMetadata("https://a.example", auth_methods=methods), "r")
    form, headers = authentication(ground, Registration("a b", "s:"))
    assert (form, headers.get("Authorization")) == (who, header)


async def test_a_nonce_is_taken_up_once() -> None:
    """XAUTH-07: the request is made again with it; a server that asks twice is refused."""
    wants = Reply(400, {"dpop-nonce": "n1"}, {"error": "use_dpop_nonce"})
    endpoint = Endpoint(wants, Reply(200, {"dpop-nonce": "n2"}, {"access_token": "t"}))
    made = errand(endpoint, key=Key())
    await soon(made.tokens({}, {}, {}))
    assert [headers["DPoP"] for _, headers in endpoint.asked] == [f"POST {TOKEN} None {n} None" for n in (None, "n1")]
    assert made.proofs.nonces == {"https://a.example": "n2"}
    with pytest.raises(AuthorizationFailed, match="use_dpop_nonce"):
        await soon(errand(Endpoint(wants, wants), key=Key()).tokens({}, {}, {}))


async def test_refusals() -> None:
    """With the server's code, never its words."""
    refused = Reply(400, {}, {"error": "invalid_grant", "error_description": "secret"})
    with pytest.raises(AuthorizationFailed, match=r"a\.example gave no token: invalid_grant") as caught:
        await soon(errand(Endpoint(refused)).tokens({}, {}, {}))
    assert "secret" not in str(caught.value)
    with pytest.raises(AuthorizationFailed, match="missing"):
        await soon(Errand(Endpoint(), None, Ground(ServerMetadata("i"), "r"), (), Proofs()).tokens({}, {}, {}))  # type: ignore[arg-type]


def test_nonces_by_origin() -> None:
    """One server's nonce is not another's; the same one twice brings nothing new."""
    proofs = Proofs(Key())  # type: ignore[arg-type]
    assert proofs.heard("https://a/x", {"dpop-nonce": "n"})
    assert not proofs.heard("https://a/y", {"dpop-nonce": "n"})
    assert not proofs.heard("https://a/y", {"dpop-nonce": "\x00"})
    assert not proofs.heard("https://a/y", {})
    assert proofs.header("POST", "https://b/x", "t", b"x") == {"DPoP": "POST https://b/x t None b'x'"}
    assert proofs.header("POST", "https://a/x", "t", None) == {"DPoP": "POST https://a/x t n None"}
    assert Proofs().header("POST", "https://a/x", "t", None) == {}
