"""`mcpkit keys`: a key is seen once, works until it ends, and is nowhere in clear."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from mcpkit.host.keys import add_arguments, expiry, run
from mcpkit.security.bearer import InvalidToken
from mcpkit.security.keys import ApiKeys, KeyFile
from mcpkit.settings import Settings
from tests.fixtures.redis_server import free_port, redis_server

NOW = 1_800_000_000.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "keys.json"


async def keys(file: Path, *words: str) -> list[str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return await run(parser.parse_args(words), Settings(api_keys_file=file), lambda: NOW)


async def shared_keys(url: str | None, *words: str) -> list[str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return await run(parser.parse_args(words), Settings(api_keys_redis=True, redis_url=url), lambda: NOW)


def at(file: Path, now: float = NOW) -> ApiKeys:
    return ApiKeys(KeyFile(file), now=lambda: now)


def kept(file: Path) -> str:
    assert file.stat().st_mode & 0o077 == 0, "others may read it"
    return file.read_text()


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_key_is_shown_once_and_lets_in_until_it_ends(file: Path) -> None:
    key, said = await keys(file, "add", "alice", "--scope", "read,write", "--scope", "run", "--expires", "2d")
    assert "only time" in said
    principal = await at(file).verify(key)
    assert (principal.client_id, principal.scopes) == ("alice", {"read", "write", "run"})
    assert principal.expires == NOW + 2 * 86_400
    with pytest.raises(InvalidToken):
        await at(file, NOW + 3 * 86_400).verify(key)
    listed = await keys(file, "list")
    assert len(listed) == 1
    assert "read run write" in listed[0]
    assert key.rpartition("_")[2] not in kept(file) + listed[0]


async def test_rotating_and_revoking(file: Path) -> None:
    first = (await keys(file, "add", "bob"))[0]
    second = (await keys(file, "rotate", "bob"))[0]
    with pytest.raises(InvalidToken):
        await at(file).verify(first)
    await at(file).verify(second)
    assert await keys(file, "revoke", "bob") == ["bob is revoked"]
    with pytest.raises(InvalidToken):
        await at(file).verify(second)
    assert await keys(file, "list") == ["no keys"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add"], "needs the name"),
        (["list", "alice"], "takes no name"),
        (["revoke", "nobody"], "no key named"),
        (["add", "x", "--expires", "soon"], "--expires takes"),
        (["add", "x", "--expires", "2001-01-01"], "in the past"),
        (["add", "x", "--scope", 'a"b'], "printable ASCII"),
    ],
)
async def test_what_can_not_be_done_is_said_in_one_line(file: Path, words: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await keys(file, *words)


async def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="can't be used"):
        await keys(tmp_path / "file" / "keys.json", "add", "x")


async def test_without_a_setting_it_says_where_the_keys_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    lines = await run(parser.parse_args(["add", "x"]), Settings())
    assert "MCP_API_KEYS_FILE=data/keys.json" in lines[-1]


@pytest.mark.redis
async def test_keys_of_all_replicas_are_kept_in_their_redis(tmp_path: Path) -> None:
    """Only the hash: what is in Redis lets nobody in."""
    with redis_server(tmp_path) as redis:
        key, _ = await shared_keys(redis.url, "add", "alice", "--scope", "read")
        assert "alice" in (await shared_keys(redis.url, "list"))[0]
        redis.end()
        written = everything_in(tmp_path)
        assert b"alice" in written
        assert key.rpartition("_")[2].encode() not in written


async def test_keys_of_all_replicas_need_their_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="MCP_SERVER_REDIS_URL"):
        await shared_keys(None, "list")
    with pytest.raises(ValueError, match="Redis can't be reached"):
        await shared_keys(f"redis://127.0.0.1:{free_port()}", "list")
    monkeypatch.setitem(sys.modules, "mcpkit.sessions.redis_keys", None)
    with pytest.raises(ValueError, match=r"mcpkit\[redis\]"):
        await shared_keys("redis://127.0.0.1", "list")


def test_spans_and_dates() -> None:
    assert expiry(None, NOW) is None
    assert expiry("12h", NOW) == NOW + 43_200
    assert expiry("2027-06-30T00:00:00+02:00", NOW) == expiry("2027-06-29T22:00:00", NOW)
