"""An issuer's keys: fetched once, rotated, and kept while the issuer is away."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

import pytest

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.introspection import asking
from mcpkit.security.jwks import LIFETIME, PAUSE, STALE_SECONDS, KeySet, fetch_json, parse_object


class Issuer:
    def __init__(self, *ids: str) -> None:
        self.ids, self.asked, self.away, self.now = list(ids), 0, False, 1000.0

    async def fetch(self, url: str) -> Mapping[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise VerifierUnavailable("away")
        return {"keys": [{"kid": id, "kty": "RSA"} for id in self.ids] + [{"kid": "enc", "use": "enc"}, "rubbish"]}

    def keys(self) -> KeySet:
        return KeySet("https://issuer/jwks", fetch=self.fetch, now=lambda: self.now)


async def test_keys_are_fetched_once_and_shared() -> None:
    """TOK-07: cached, and one fetch for many that wait."""
    issuer = Issuer("a", "b")
    keys = issuer.keys()
    found = await asyncio.gather(*(keys.key("a") for _ in range(20)))
    assert (issuer.asked, found[0]["kid"]) == (1, "a")
    issuer.now += LIFETIME + 1
    await keys.key("b")
    assert issuer.asked == 2


async def test_a_new_key_id_is_looked_for_but_not_at_every_call() -> None:
    """TOK-07: rotation, with a rate-limited refetch."""
    issuer = Issuer("a")
    keys = issuer.keys()
    await keys.key("a")
    for _ in range(5):
        with pytest.raises(InvalidToken):
            await keys.key("invented")
    assert issuer.asked == 1
    issuer.ids.append("new")
    issuer.now += PAUSE + 1
    assert (await keys.key("new"))["kid"] == "new"
    assert issuer.asked == 2


async def test_known_keys_serve_on_while_the_issuer_is_away() -> None:
    issuer = Issuer("a")
    keys = issuer.keys()
    await keys.key("a")
    issuer.away, issuer.now = True, issuer.now + LIFETIME + 1
    assert (await keys.key("a"))["kid"] == "a"
    assert issuer.asked == 2
    with pytest.raises(VerifierUnavailable):
        await Issuer.keys(issuer).key("a")


async def test_while_the_issuer_is_away_no_token_is_called_invalid() -> None:
    """An unknown key may be a new one; nobody can tell until the issuer answers again."""
    issuer = Issuer("a")
    issuer.away = True
    keys = issuer.keys()
    for wanted in ("a", None, "a", "invented"):
        with pytest.raises(VerifierUnavailable):
            await keys.key(wanted)
    assert issuer.asked == 1
    issuer.away, issuer.now = False, issuer.now + PAUSE
    assert (await keys.key("a"))["kid"] == "a"
    with pytest.raises(InvalidToken):
        await keys.key("invented")
    issuer.away, issuer.now = True, issuer.now + PAUSE
    with pytest.raises(VerifierUnavailable):
        await keys.key("new")
    with pytest.raises(VerifierUnavailable):
        await keys.key("new")
    assert (await keys.key("a"))["kid"] == "a"


async def test_stale_keys_are_trusted_for_a_bounded_time() -> None:
    issuer = Issuer("a")
    keys = issuer.keys()
    await keys.key("a")
    issuer.away = True
    end = issuer.now + STALE_SECONDS
    while issuer.now + LIFETIME < end:
        issuer.now += LIFETIME
        assert (await keys.key("a"))["kid"] == "a"
    issuer.now = end
    for wanted in ("a", None):
        with pytest.raises(VerifierUnavailable):
            await keys.key(wanted)
    issuer.away, issuer.ids, issuer.now = False, ["b"], end + PAUSE
    with pytest.raises(InvalidToken):
        await keys.key("a")


async def test_a_fetch_that_was_cut_off_says_nothing_of_the_issuer() -> None:
    """The client whose request began it went away."""
    issuer = Issuer("a")
    keys = issuer.keys()
    first = asyncio.create_task(keys.key("a"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert (await keys.key("a"))["kid"] == "a"


async def test_a_token_without_key_id_needs_a_single_key() -> None:
    assert (await Issuer("only").keys().key(None))["kid"] == "only"
    with pytest.raises(InvalidToken):
        await Issuer("a", "b").keys().key(None)
    with pytest.raises(InvalidToken):
        await Issuer("a").keys().key("enc")


async def test_an_issuer_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(VerifierUnavailable):
        await fetch_json("http://127.0.0.1:9/jwks")
    for body in (b"", b"[]", b"{", b"3"):
        with pytest.raises(VerifierUnavailable):
            parse_object(body)


@pytest.mark.parametrize("introspected", [False, True])
async def test_a_document_is_never_unpacked(introspected: bool) -> None:
    """A bound on bytes that were unpacked would be looked at too late: 60 KiB of gzip become 60 MiB at once."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).lower())
        body = gzip.compress(b'{"active":false,"keys":[]}')
        fields = b"Content-Encoding: gzip\r\nContent-Length: %d\r\nConnection: close" % len(body)
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(VerifierUnavailable, match="compressed"):
            await (asking(url, "name", "secret")("token") if introspected else fetch_json(url))
    assert b"accept-encoding: identity\r\n" in asked[0]


@pytest.mark.parametrize("keys", [[], [None, ["a"]], [{"kid": ["a"]}], [{"kid": {}}]])
async def test_a_document_without_keys_in_it_lets_nobody_in(keys: Any) -> None:
    """Found by fuzzing: a ``kid`` that is no text ended in a 500."""

    async def fetch(url: str) -> Mapping[str, Any]:
        return {"keys": keys}

    for wanted in ("a", None):
        with pytest.raises(InvalidToken):
            await KeySet("https://issuer/jwks", fetch=fetch).key(wanted)


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": 7}, {"keys": {"kid": "a"}}, {"error": "repairs"}])
async def test_a_document_that_is_no_set_of_keys_withdraws_none(document: Mapping[str, Any]) -> None:
    issuer = Issuer("a")
    answers = [await issuer.fetch(""), document]

    async def fetch(url: str) -> Mapping[str, Any]:
        return answers.pop(0)

    keys = KeySet("https://issuer/jwks", fetch=fetch, now=lambda: issuer.now)
    await keys.key("a")
    issuer.now += LIFETIME
    assert (await keys.key("a"))["kid"] == "a"
    assert answers == []
    with pytest.raises(VerifierUnavailable):
        await keys.key("b")
