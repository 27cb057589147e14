"""From a refusal to the server that gives out tokens."""

from __future__ import annotations

from typing import Any

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.challenge import Challenge
from mcpkit.client.oauth.discovery import Ground, find_ground, server_metadata
from mcpkit.client.oauth.exchange import Reply
from mcpkit.client.oauth.metadata import ServerMetadata
from tests.client.scripted import soon

URL = "https://h.example/public/mcp?k=1"
PRM = "https://h.example/.well-known/oauth-protected-resource"


class Web:
    """Documents by URL; what is not there is 404."""

    def __init__(self, **documents: Any) -> None:
        self.documents: dict[str, Any] = {}
        self.asked: list[str] = []

    def __getitem__(self, url: str) -> Any:
        return self.documents[url]

    def __setitem__(self, url: str, document: Any) -> None:
        self.documents[url] = document

    async def get(self, url: str, what: str) -> Reply:
        self.asked.append(url)
        found = self.documents.get(url, 404)
        return Reply(found, {}, {}) if isinstance(found, int) else Reply(200, {}, found)


def published(
    web: Web, place: str, issuer: str = "https://a.example", resource: str = "https://h.example/public/mcp"
) -> None:
    web[place] = {"resource": resource, "authorization_servers": [issuer], "scopes_supported": ["s"]}


async def ground(web: Web, challenge: Challenge | None = None, **options: Any) -> Ground:
    given = {"prefer": None, "legacy": True, **options}
    return await soon(find_ground(web, URL, challenge or Challenge(), **given))  # type: ignore[arg-type]


ISSUERS: list[tuple[str, list[str]]] = [
    (
        "https://a.example",
        [
            "https://a.example/.well-known/oauth-authorization-server",
            "https://a.example/.well-known/openid-configuration",
        ],
    ),
    (
        "https://a.example/t1",
        [
            "https://a.example/.well-known/oauth-authorization-server/t1",
            "https://a.example/.well-known/openid-configuration/t1",
            "https://a.example/t1/.well-known/openid-configuration",
        ],
    ),
]


@pytest.mark.parametrize(("issuer", "places"), ISSUERS)
async def test_where_an_issuer_publishes(issuer: str, places: list[str]) -> None:
    """ADIS-03: in this order, and nowhere else; a missing document leads to the next place."""
    for last in range(len(places)):
        web = Web()
        web[places[last]] = {"issuer": issuer}
        assert (await soon(server_metadata(web, issuer))).issuer == issuer  # type: ignore[arg-type]
        assert web.asked == places[: last + 1]
    web = Web()
    with pytest.raises(AuthorizationFailed, match="publishes no metadata"):
        await soon(server_metadata(web, issuer))  # type: ignore[arg-type]
    assert web.asked == places


@pytest.mark.parametrize(
    ("named", "listed"),
    [
        ("https://A.example", "https://a.example"),
        ("https://evil.example", "https://a.example"),
        ("", "https://a.example"),
        ("https://a.example//", "https://a.example"),
        ("https://a.example/t", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example", "https://a.example"),
        ("https://a.example?", "https://a.example"),
    ],
)
async def test_an_issuer_is_who_it_says(named: str, listed: str) -> None:
    """ADIS-04, FLOW-06: identical but for a final slash, or not used at all."""
    web = Web()
    web["https://a.example/.well-known/oauth-authorization-server"] = {"issuer": named, "token_endpoint": "https://x"}
    with pytest.raises(AuthorizationFailed, match="another issuer"):
        await soon(server_metadata(web, listed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("named", "listed"),
    [("https://a.example/", "https://a.example"), ("https://a.example", "https://a.example/")],
)
async def test_a_final_slash_makes_no_other_issuer(named: str, listed: str) -> None:
    """Auth0 and others publish one form and are named by the other; the one that was remembered is found again."""
    web = Web()
    web["https://a.example/.well-known/oauth-authorization-server"] = {"issuer": named, "token_endpoint": "https://x"}
    assert (await soon(server_metadata(web, listed))).issuer == named  # type: ignore[arg-type]
    web[PRM] = {"resource": "https://h.example/public/mcp", "authorization_servers": ["https://b.example", listed]}
    assert (await ground(web, prefer=named)).server.issuer == named


async def test_no_silent_step_down() -> None:
    """ADIS-06: trouble is no sign that there is nothing."""
    web = Web()
    web["https://a.example/.well-known/oauth-authorization-server"] = 500
    with pytest.raises(AuthorizationFailed, match="HTTP 500"):
        await soon(server_metadata(web, "https://a.example"))  # type: ignore[arg-type]
    web[f"{PRM}/public/mcp"] = 503
    with pytest.raises(AuthorizationFailed, match="HTTP 503"):
        await ground(web)


@pytest.mark.parametrize(
    ("place", "challenge", "asked"),
    [
        ("https://h.example/custom", "https://h.example/custom", ["https://h.example/custom"]),
        (f"{PRM}/public/mcp", None, [f"{PRM}/public/mcp"]),
        (PRM, None, [f"{PRM}/public/mcp", PRM]),
        (PRM, "https://h.example/gone", ["https://h.example/gone", f"{PRM}/public/mcp", PRM]),
    ],
)
async def test_where_a_resource_publishes(place: str, challenge: str | None, asked: list[str]) -> None:
    """ADIS-01, RS-03: where the challenge says, else for the path, else for the origin; the first found is taken."""
    web = Web()
    published(web, place)
    web["https://a.example/.well-known/oauth-authorization-server"] = {"issuer": "https://a.example"}
    found = await ground(web, Challenge(params={"resource_metadata": challenge}) if challenge else None)
    assert (found.server.issuer, found.resource, found.scopes, found.legacy) == (
        "https://a.example",
        "https://h.example/public/mcp",
        ("s",),
        False,
    )
    assert web.asked[: len(asked)] == asked


async def test_metadata_of_another_resource() -> None:
    """ADIS-02: no token is asked for in its name."""
    web = Web()
    published(web, PRM, resource="https://evil.example/mcp")
    with pytest.raises(AuthorizationFailed, match="another resource"):
        await ground(web)


async def test_a_preferred_issuer() -> None:
    """ADIS-02: of several the one whose tokens we have; one that is not listed is not preferred."""
    web = Web()
    published(web, PRM)
    web[PRM]["authorization_servers"] = ["https://a.example", "https://b.example"]
    for issuer in "ab":
        place = f"https://{issuer}.example/.well-known/oauth-authorization-server"
        web[place] = {"issuer": f"https://{issuer}.example"}
    assert (await ground(web, prefer="https://b.example")).server.issuer == "https://b.example"
    assert (await ground(web, prefer="https://c.example")).server.issuer == "https://a.example"


async def test_servers_of_2025_03_26() -> None:
    """AUTHB-02, AUTHB-05: their own origin, with metadata or at the default places; only where that is allowed."""
    web = Web()
    found = await ground(web)
    assert found == Ground(
        ServerMetadata(
            "https://h.example", "https://h.example/authorize", "https://h.example/token", "https://h.example/register"
        ),
        URL,
        legacy=True,
    )
    with pytest.raises(AuthorizationFailed, match="does not say who"):
        await ground(web, legacy=False)
    place = "https://h.example/.well-known/oauth-authorization-server"
    web[place] = {"issuer": "https://h.example/oauth", "token_endpoint": "https://h.example/t"}
    assert (await ground(web)).server.token_endpoint == "https://h.example/t"
    web[place] = {"issuer": "https://evil.example", "token_endpoint": "https://evil.example/t"}
    with pytest.raises(AuthorizationFailed, match="another issuer"):
        await ground(web)


@pytest.mark.parametrize("issuer", ["https://[", "https://a:b/", "javascript:alert(1)", "//a.example", "", "\n"])
async def test_an_issuer_that_is_no_url(issuer: str) -> None:
    """Found by fuzzing: a resource that names such an issuer ended in a bare ValueError (STEST-07)."""
    web = Web()
    published(web, PRM, issuer)
    with pytest.raises(AuthorizationFailed, match="authorization server is refused"):
        await ground(web)
    assert web.asked[-1] == PRM, "nobody was asked"
