"""The ways to come by tokens."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth import (
    About,
    ClientCredentials,
    EnterpriseManaged,
    IdentityProvider,
    OAuth,
    Registration,
    WorkloadIdentity,
)
from mcpkit.client.oauth.grants import AuthorizationCode
from tests.client.oauth.realm import Realm, ask, claims
from tests.client.oauth.test_provider import realm
from tests.client.scripted import Asked, Reply, http_peer

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


async def test_a_secret_of_the_clients_own() -> None:
    """XAUTH-02: no user, no registration."""
    async with realm(challenge_scope="a") as r:
        assert (await ask(r.url, OAuth(ClientCredentials("id", secret="s")))).status == 200
        assert r.forms == [{"grant_type": "client_credentials", "resource": r.url, "scope": "a"}]
        assert r.token_headers[0]["authorization"].startswith("Basic ")
        assert (r.visits, r.registrations) == ([], [])


async def test_a_key_of_the_clients_own() -> None:
    """XAUTH-02: signed for the issuer, without a name in the form."""
    pytest.importorskip("jwt")
    from tests.client.oauth.test_crypto import pem

    async with realm() as r:
        grant = ClientCredentials("id", private_key=pem(), algorithm="ES256")
        assert (await ask(r.url, OAuth(grant))).status == 200
        form = r.forms[0]
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert claims(form["client_assertion"])["aud"] == r.issuer
        assert "client_id" not in form


@pytest.mark.parametrize("given", [{}, {"secret": "s", "private_key": "k"}])
def test_either_a_secret_or_a_key(given: dict[str, str]) -> None:
    """Said when the grant is made."""
    with pytest.raises(ValueError, match="either a secret or a private key"):
        ClientCredentials("id", **given)


async def test_a_programs_token_is_asked_anew() -> None:
    """There is nobody to bother, so there is nothing to refresh."""
    async with realm() as r:
        auth = OAuth(ClientCredentials("id", secret="s"))
        await ask(r.url, auth)
        r.valid.clear()
        assert (await ask(r.url, auth)).status == 200
        assert [form["grant_type"] for form in r.forms] == ["client_credentials"] * 2
    with pytest.raises(AuthorizationFailed):
        await ClientCredentials("id", secret="s").refresh(None, "r")  # type: ignore[arg-type]


async def later() -> str:
    return "platform-jwt"


@pytest.mark.parametrize("jwt", ["platform-jwt", lambda: "platform-jwt", later])
async def test_a_workloads_identity(jwt: Any) -> None:
    """XAUTH-08: the platform's token, read when it is needed; a public client; an error is final."""
    async with realm() as r:
        assert (await ask(r.url, OAuth(WorkloadIdentity("id", jwt)))).status == 200
        assert r.forms == [
            {"grant_type": JWT_BEARER, "assertion": "platform-jwt", "resource": r.url, "client_id": "id"}
        ]
        refusing = OAuth(WorkloadIdentity("id", jwt))
        r.valid.clear()
        r.token_error = "invalid_grant"
        with pytest.raises(AuthorizationFailed, match="invalid_grant"):
            await ask(r.url, refusing)
        assert len(r.forms) == 2


class Provider:
    """An enterprise's identity provider."""

    def __init__(self, answer: dict[str, Any] | None = None, status: int = 200) -> None:
        self.answer = answer or {"access_token": "id-jag", "issued_token_type": ID_JAG, "token_type": "N_A"}
        self.status = status
        self.forms: list[dict[str, str]] = []

    async def __call__(self, asked: Asked, reply: Reply) -> None:
        self.forms.append(asked.form)
        await reply.send(self.status, self.answer)


async def enterprise(r: Realm, provider: Provider, **options: Any) -> int:
    async with http_peer(provider) as peer:
        idp = IdentityProvider(peer.url, "idp-client", lambda: "id-token", options.get("secret"))
        return (await ask(r.url, OAuth(EnterpriseManaged("id", "s", idp)))).status


async def test_an_enterprises_identity() -> None:
    """XAUTH-04, XAUTH-05: vouched for at the provider, for this issuer and resource; then shown to the issuer."""
    async with realm(challenge_scope="a") as r:
        provider = Provider()
        assert await enterprise(r, provider, secret="idp-secret") == 200
        assert provider.forms == [
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                "requested_token_type": ID_JAG,
                "audience": r.issuer,
                "resource": r.url,
                "scope": "a",
                "subject_token": "id-token",
                "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
                "client_id": "idp-client",
                "client_secret": "idp-secret",
            }
        ]
        assert r.forms == [{"grant_type": JWT_BEARER, "assertion": "id-jag", "scope": "a"}]
        assert r.token_headers[0]["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        (Provider({"error": "access_denied"}, 403), "does not vouch for the user: access_denied"),
        (Provider({"access_token": "x", "issued_token_type": "other"}), "another kind of token"),
        (Provider({"access_token": 5}), "does not vouch"),
    ],
)
async def test_a_provider_that_refuses(provider: Provider, words: str) -> None:
    """Nothing is then asked of the issuer."""
    async with realm() as r:
        with pytest.raises(AuthorizationFailed, match=words):
            await enterprise(r, provider)
        assert r.forms == []


async def test_a_failed_exchange_forgets_the_registration() -> None:
    """It may be what is wrong: the next attempt registers anew."""
    async with realm() as r:
        auth = OAuth(r.grant())
        r.token_error = "invalid_client"
        with pytest.raises(AuthorizationFailed, match="invalid_client"):
            await ask(r.url, auth)
        r.token_error = None
        assert (await ask(r.url, auth)).status == 200
        assert len(r.registrations) == 2


async def test_a_client_known_by_its_document() -> None:
    """REG-02: its URL is its name, at every issuer; it refreshes under that name."""
    async with realm(server={"client_id_metadata_document_supported": True}) as r:
        auth = OAuth(r.grant(metadata_url="https://app.example/client.json"))
        await ask(r.url, auth)
        r.valid.clear()
        await ask(r.url, auth)
        assert [form["client_id"] for form in r.forms] == ["https://app.example/client.json"] * 2
        assert r.registrations == []


async def test_endpoints_that_must_not_be_opened() -> None:
    """OCLI-07, STEST-07: no browser sees another scheme."""
    async with realm(server={"authorization_endpoint": "javascript:alert(1)"}) as r:
        with pytest.raises(AuthorizationFailed, match="authorization endpoint is refused"):
            await ask(r.url, OAuth(r.grant()))
        assert r.visits == []
    async with realm(server={"token_endpoint": None}) as r:
        with pytest.raises(AuthorizationFailed, match=r"token endpoint .* is missing"):
            await ask(r.url, OAuth(ClientCredentials("id", secret="s")))


def test_which_issuer_and_how_long() -> None:
    """What each grant wants of an issuer."""
    assert AuthorizationCode().issuer is None
    assert AuthorizationCode(About(known=Registration("id", issuer="i"))).issuer == "i"
    assert AuthorizationCode().keeps_access
    idp = IdentityProvider("https://idp.example", "c", "t")
    for grant in (ClientCredentials("id", secret="s", issuer="i"), EnterpriseManaged("id", None, idp, issuer="i")):
        assert (grant.issuer, grant.keeps_access) == ("i", False)
    assert WorkloadIdentity("id", "t").issuer is None


async def test_a_refresh_at_a_strange_issuer() -> None:
    """FLOW-09: a registration is not shown where it does not belong."""
    async with realm() as r:
        auth = OAuth(r.grant())
        await ask(r.url, auth)
        assert auth._state is not None
        await auth._state.vault.forget_registration(r.issuer)
        r.valid.clear()
        assert (await ask(r.url, auth)).status == 200
        assert [form["grant_type"] for form in r.forms] == ["authorization_code"] * 2
