"""Who the client is to an authorization server."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.discovery import Ground
from mcpkit.client.oauth.exchange import Reply
from mcpkit.client.oauth.metadata import ServerMetadata
from mcpkit.client.oauth.registration import About, chosen_method, registered
from mcpkit.client.oauth.tokens import MemoryStore, Registration, Vault
from tests.client.scripted import soon

ISSUER = "https://a.example"
REDIRECT = "http://127.0.0.1:1/cb"
CIMD = "https://app.example/client.json"


class Registrar:
    """A registration endpoint."""

    def __init__(self, answer: dict[str, Any] | None = None, status: int = 201) -> None:
        self.answer = answer if answer is not None else {"client_id": "new"}
        self.status = status
        self.asked: list[dict[str, Any]] = []

    async def post_json(self, url: str, what: str, value: dict[str, Any]) -> Reply:
        self.asked.append(value)
        return Reply(self.status, {}, self.answer)


def ground(**members: Any) -> Ground:
    return Ground(ServerMetadata(ISSUER, registration_endpoint=f"{ISSUER}/register", **members), "r")


async def who(
    registrar: Registrar, about: About, at: Ground | None = None, vault: Vault | None = None, redirect: str = REDIRECT
) -> Registration:
    found = registered(registrar, vault or Vault(MemoryStore(), "s"), at or ground(), about, redirect)  # type: ignore[arg-type]
    return await soon(found)


async def test_the_order_of_ways() -> None:
    """REG-01, REG-02: known beforehand, else by a document, else registered now."""
    registrar = Registrar()
    known = Registration("known", "s", issuer=ISSUER)
    both = About(known=known, metadata_url=CIMD)
    takes = ground(takes_metadata_documents=True)
    assert await who(registrar, both, takes) is known
    assert await who(registrar, About(metadata_url=CIMD), takes) == Registration(CIMD, auth_method="none")
    assert registrar.asked == []
    assert (await who(registrar, About(metadata_url=CIMD))).client_id == "new"
    assert (await who(registrar, About(), takes)).client_id == "new"
    with pytest.raises(AuthorizationFailed, match="give the client a client_id"):
        await who(registrar, About(), Ground(ServerMetadata(ISSUER), "r"))


async def test_what_is_registered() -> None:
    """REG-04, REG-05: the kind of application, the grants, what the application adds."""
    registrar = Registrar()
    await who(registrar, About("App", application_type="web", extra={"logo_uri": "https://app.example/l.png"}))
    assert registrar.asked == [
        {
            "client_name": "App",
            "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "application_type": "web",
            "logo_uri": "https://app.example/l.png",
        }
    ]


async def test_a_registration_is_kept_by_issuer() -> None:
    """REG-06: used again at the same issuer with the same redirect, and nowhere else."""
    store = MemoryStore()
    registrar = Registrar({"client_id": "new", "client_secret": "s", "token_endpoint_auth_method": "none"})
    first = await who(registrar, About(), vault=Vault(store, "s"))
    assert first == Registration("new", "s", "none", ISSUER, REDIRECT)
    assert await who(registrar, About(), vault=Vault(store, "s")) == first
    assert len(registrar.asked) == 1
    await who(registrar, About(), vault=Vault(store, "s"), redirect="http://127.0.0.1:2/other")
    assert len(registrar.asked) == 2
    other = Ground(ServerMetadata("https://b.example", registration_endpoint="https://b.example/r"), "r")
    await who(registrar, About(), other, vault=Vault(store, "s"))
    assert len(registrar.asked) == 3


@pytest.mark.parametrize(
    ("answer", "status", "shown"),
    [
        ({"error": "invalid_redirect_uri"}, 400, "invalid_redirect_uri"),
        ({}, 201, "HTTP 201"),
        ({"client_id": 5}, 201, "201"),
    ],
)
async def test_a_refused_registration(answer: dict[str, Any], status: int, shown: str) -> None:
    """REG-04: with a useful error."""
    with pytest.raises(AuthorizationFailed, match=shown):
        await who(Registrar(answer, status), About())


async def test_known_at_another_issuer() -> None:
    """REG-06."""
    with pytest.raises(AuthorizationFailed, match="now trusts"):
        await who(Registrar(), About(known=Registration("id", issuer="https://b.example")))


@pytest.mark.parametrize("url", ["http://app.example/client.json", "https://app.example", "https://app.example/"])
def test_a_document_has_a_place(url: str) -> None:
    """REG-02: https, with a path."""
    with pytest.raises(ValueError, match="must be https and have a path"):
        About(metadata_url=url)


@pytest.mark.parametrize(
    ("offered", "agreed", "has_secret", "chosen"),
    [
        ((), None, True, "client_secret_basic"),
        ((), None, False, "none"),
        (("client_secret_post",), None, True, "client_secret_post"),
        (("none",), "client_secret_basic", True, "none"),
        (("client_secret_basic", "client_secret_post"), "client_secret_post", True, "client_secret_post"),
        (("client_secret_post", "client_secret_basic"), "private_key_jwt", True, "client_secret_basic"),
        (("client_secret_basic",), "client_secret_basic", False, "none"),
    ],
)
def test_how_it_authenticates(offered: tuple[str, ...], agreed: str | None, has_secret: bool, chosen: str) -> None:
    """REG-08: as agreed, if the server lists that; a client without a secret has only its name."""
    server = ServerMetadata(ISSUER, auth_methods=offered)
    assert chosen_method(server, Registration("id", auth_method=agreed), has_secret=has_secret) == chosen


def test_no_common_way() -> None:
    """Said, with the issuer."""
    with pytest.raises(AuthorizationFailed, match=r"a\.example"):
        chosen_method(ServerMetadata(ISSUER, auth_methods=("tls_client_auth",)), None, has_secret=True)
