"""The authorization code flow."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth.code_flow import Attempt, require_pkce
from mcpkit.client.oauth.discovery import Ground
from mcpkit.client.oauth.metadata import ServerMetadata

SERVER = ServerMetadata("https://a.example", "https://a.example/authorize?tenant=1#x", challenge_methods=("S256",))
GROUND = Ground(SERVER, "https://h.example/mcp")
REDIRECT = "http://127.0.0.1:1/cb"


def attempt(names_issuer: bool = False) -> Attempt:
    return replace(Attempt.new(SERVER), server=replace(SERVER, names_issuer=names_issuer))


def back(made: Attempt, **members: str) -> str:
    return f"{REDIRECT}?{urlencode({'code': 'c', 'state': made.state, **members})}"


def test_where_the_user_is_sent() -> None:
    """FLOW-01, FLOW-02: with what the endpoint's own query says, without its fragment; secrets are new each time."""
    made = attempt()
    parts = urlsplit(made.url(GROUND, "id", REDIRECT, ("a", "b")))
    query = dict(parse_qsl(parts.query))
    assert (query["tenant"], query["scope"], query["resource"]) == ("1", "a b", "https://h.example/mcp")
    assert parts.fragment == ""
    assert "scope" not in made.url(GROUND, "id", REDIRECT, ())
    assert len({Attempt.new(SERVER).verifier for _ in range(100)}) == 100
    assert len({Attempt.new(SERVER).state for _ in range(100)}) == 100


def test_the_code_comes_back() -> None:
    """As a URL, or as its query."""
    made = attempt()
    assert made.code_from(back(made)) == "c"
    assert made.code_from(urlsplit(back(made)).query) == "c"


@pytest.mark.parametrize("state", ["", "other", "é"])
def test_another_attempts_answer(state: str) -> None:
    """FLOW-03: mismatch or absence is discarded."""
    made = attempt()
    with pytest.raises(AuthorizationFailed, match="another attempt"):
        made.code_from(back(made, state=state))
    with pytest.raises(AuthorizationFailed, match="another attempt"):
        made.code_from(f"{REDIRECT}?code=c")


@pytest.mark.parametrize(
    ("names_issuer", "issuer", "fine"),
    [
        (True, "https://a.example", True),
        (True, None, False),
        (False, "https://a.example", True),
        (False, None, True),
        (False, "https://evil.example", False),
        (True, "https://a.example/", False),
        (True, "https://A.example", False),
        (True, "https://a.example:443", False),
        (True, "", False),
    ],
)
def test_who_answers(names_issuer: bool, issuer: str | None, fine: bool) -> None:
    """FLOW-05, FLOW-06: the table of the specification; plain strings."""
    made = attempt(names_issuer)
    returned = back(made) if issuer is None else back(made, iss=issuer)
    if fine:
        assert made.code_from(returned) == "c"
    else:
        with pytest.raises(AuthorizationFailed, match="does not come from"):
            made.code_from(returned)


def test_an_error_of_a_stranger_is_not_shown() -> None:
    """FLOW-07; and of the right server only a code that is known."""
    made = attempt(names_issuer=True)
    stranger = {"error": "access_denied", "error_description": "visit evil.example", "iss": "https://evil.example"}
    with pytest.raises(AuthorizationFailed) as caught:
        made.code_from(back(made, **stranger))
    assert "denied" not in str(caught.value)
    for error, shown in (("access_denied", "access_denied"), ("\x1b[2Jx", "an unknown error")):
        with pytest.raises(AuthorizationFailed, match=f"did not authorize: {shown}"):
            made.code_from(back(made, error=error, iss="https://a.example"))


def test_answers_that_are_none() -> None:
    """Twice the same parameter is somebody's trick; without a code there is nothing to exchange."""
    made = attempt()
    with pytest.raises(AuthorizationFailed, match="twice"):
        made.code_from(back(made) + "&code=d")
    with pytest.raises(AuthorizationFailed, match="no code"):
        made.code_from(f"{REDIRECT}?state={made.state}&code=")


@pytest.mark.parametrize(
    ("methods", "legacy", "fine"),
    [(("S256",), False, True), (None, False, False), (("plain",), False, False), ((), True, False), (None, True, True)],
)
def test_no_flow_without_pkce(methods: tuple[str, ...] | None, legacy: bool, fine: bool) -> None:
    """ADIS-05: refused where it is not announced; only servers that announce nothing at all are exempt."""
    ground = Ground(replace(SERVER, challenge_methods=methods), "r", legacy=legacy)
    if fine:
        require_pkce(ground)
    else:
        with pytest.raises(AuthorizationFailed, match="PKCE"):
            require_pkce(ground)
