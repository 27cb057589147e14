"""Requests to one endpoint: authorized, redirected at home, refused in words."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from mcpkit.client.endpoint import Bearer, Endpoint
from mcpkit.client.errors import AuthorizationFailed, HttpRefused
from mcpkit.client.http import HttpAnswer, HttpRequest
from tests.client.scripted import soon

URL = "http://h.example:1/mcp"


class Answer:
    """An answer without a body."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield b""

    async def close(self) -> None:
        self.closed = True


class Carrier:
    """Answers one after the other."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.given: list[Answer] = []
        self.requests: list[HttpRequest] = []
        self.closed = False

    async def send(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        self.given.append(self.answers.pop(0))
        return self.given[-1]

    async def close(self) -> None:
        self.closed = True


async def post(endpoint: Endpoint, bodies: list[bytes] | None = None) -> HttpAnswer:
    queue = list(bodies or [b"1", b"2", b"3", b"4"])
    return await soon(endpoint.send("POST", {"X-Call": "1"}, lambda: queue.pop(0)))


async def test_headers_of_application_call_and_token() -> None:
    """FLOW-08: the token on every request; the body is never compressed on the way back."""
    carrier = Carrier(Answer(200))
    await post(Endpoint(URL, carrier, headers={"X-App": "a"}, auth=Bearer("t")))
    sent = carrier.requests[0].headers
    assert sent == {"Accept-Encoding": "identity", "X-App": "a", "X-Call": "1", "Authorization": "Bearer t"}
    assert "t" not in repr(Bearer("t")).replace("Bearer", ""), "TOK-11"


async def test_a_field_is_said_once_however_it_is_spelled() -> None:
    """Repeated, a Content-Type or an Authorization would read as neither (RFC 9110 §5.3)."""
    carrier = Carrier(Answer(200))
    own = {"accept-encoding": "gzip", "x-call": "0", "authorization": "none"}
    await post(Endpoint(URL, carrier, headers=own, auth=Bearer("t")))
    assert carrier.requests[0].headers == {"accept-encoding": "gzip", "X-Call": "1", "Authorization": "Bearer t"}


@pytest.mark.parametrize("status", [307, 308])
async def test_redirects_at_home_are_followed(status: int) -> None:
    """TCLI-03: within the origin, method and body kept, the token too."""
    carrier = Carrier(Answer(status, location="/api/"), Answer(200))
    await post(Endpoint(URL, carrier, auth=Bearer("t")))
    assert [(r.method, r.url, r.body) for r in carrier.requests] == [
        ("POST", URL, b"1"),
        ("POST", "http://h.example:1/api/", b"1"),
    ]
    assert carrier.given[0].closed


@pytest.mark.parametrize(
    ("status", "location"),
    [(307, "http://evil.example/"), (307, "https://h.example:1/mcp"), (308, ""), (302, "/api/"), (303, "/api/")],
)
async def test_other_redirects_are_refused(status: int, location: str) -> None:
    """FLOW-13, TCLI-03: no request, with a token or not, goes to another origin; none loses its body."""
    carrier = Carrier(Answer(status, location=location), Answer(302, location="/again"), Answer(200))
    if location == "":
        carrier.answers = [Answer(308, location="") for _ in range(5)]
    with pytest.raises(HttpRefused):
        await post(Endpoint(URL, carrier, auth=Bearer("t")))
    assert all(request.url == URL for request in carrier.requests)
    assert all(answer.closed for answer in carrier.given)


async def test_a_stream_may_be_moved() -> None:
    """A GET has no body to lose."""
    carrier = Carrier(Answer(302, location="/other"), Answer(200))
    assert (await soon(Endpoint(URL, carrier).send("GET", {}))).status == 200
    assert carrier.requests[1].url == "http://h.example:1/other"


class Stubborn:
    """Tries again as often as it was told to."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.seen: list[tuple[int, str | None, int]] = []

    async def headers(self, request: HttpRequest) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {len(self.seen)}"}

    async def challenged(self, request: HttpRequest, answer: HttpAnswer, attempt: int) -> bool:
        self.seen.append((answer.status, request.headers.get("Authorization"), attempt))
        return attempt < self.times

    def context(self) -> str | None:
        return None


async def test_a_refusal_is_met_with_a_new_request() -> None:
    """FLOW-12: the body is made anew, so that it has a new id; the authorizer sees what was refused."""
    carrier = Carrier(Answer(401), Answer(403), Answer(200))
    auth = Stubborn(5)
    assert (await post(Endpoint(URL, carrier, auth=auth))).status == 200
    assert [request.body for request in carrier.requests] == [b"1", b"2", b"3"]
    assert auth.seen == [(401, "Bearer 0", 0), (403, "Bearer 1", 1)]


@pytest.mark.parametrize(
    ("status", "auth", "words"),
    [(401, None, "wants authorization"), (403, None, "refuses this client"), (401, Bearer("t"), "these credentials")],
)
async def test_refusals_in_words(status: int, auth: Any, words: str) -> None:
    """SHC-17: what to do is said, the token is not."""
    carrier = Carrier(Answer(status))
    with pytest.raises(AuthorizationFailed, match=words):
        await post(Endpoint(URL, carrier, auth=auth))
    assert carrier.given[0].closed


async def test_close_closes() -> None:
    """The carrier is the endpoint's."""
    carrier = Carrier()
    await Endpoint(URL, carrier).close()
    assert carrier.closed
    assert await Bearer("t").challenged(HttpRequest("GET", URL, {}), Answer(401), 0) is False
    assert Bearer("t").context() == "t"
