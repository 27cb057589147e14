"""Taking a bearer token out of a header, and challenging for one."""

from __future__ import annotations

import pytest

from mcpkit.security.bearer import (
    MAX_TOKEN,
    AnyOf,
    InvalidToken,
    MalformedCredentials,
    VerifierUnavailable,
    bearer_token,
    challenge,
)
from mcpkit.security.principal import Principal


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("Basic YTpi", None),
        ("Bearer abc.def-_~+/=", "abc.def-_~+/="),
        ("bearer abc", "abc"),
        ("  BEARER   abc ", "abc"),
    ],
)
def test_a_token_is_read_whatever_the_case_of_its_scheme(header: str | None, token: str | None) -> None:
    """TOK-01."""
    assert bearer_token(header) == token


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,b",
        'Bearer "a"',
        "Bearer ü",
        "Bearer =",
        "Bearer " + "a" * (MAX_TOKEN + 1),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(header: str) -> None:
    """RS-07: malformed is another fault than invalid."""
    with pytest.raises(MalformedCredentials):
        bearer_token(header)


def test_a_challenge_says_what_is_missing() -> None:
    """RS-02, RS-05, RS-08, STEP-01."""
    assert challenge() == "Bearer"
    assert challenge("https://h/x", scopes=["b", "a"]) == 'Bearer scope="a b", resource_metadata="https://h/x"'
    said = challenge("https://h/x", error="invalid_token", description='a "quoted"\r\n\\ text')
    assert said == (
        'Bearer error="invalid_token", error_description="a \\"quoted\\"??\\\\ text", resource_metadata="https://h/x"'
    )


class Knows:
    def __init__(self, token: str | None, error: Exception | None = None) -> None:
        self._token, self._error = token, error

    async def verify(self, token: str) -> Principal:
        if token == self._token:
            return Principal(token)
        raise self._error or InvalidToken("not mine")


async def test_several_verifiers_are_tried_in_order() -> None:
    anyone = AnyOf([Knows("a"), Knows("b")])
    assert (await anyone.verify("b")).id == "b"
    with pytest.raises(InvalidToken):
        await anyone.verify("c")
    with pytest.raises(VerifierUnavailable):
        await AnyOf([Knows(None, VerifierUnavailable("away")), Knows("b")]).verify("c")
