"""API keys: shown once, kept as hashes, ended at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable, bearer_token
from mcpkit.security.keys import ApiKeys, KeyFile

# ruff: noqa: ASYNC240 - a test may wait for a small file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


async def test_a_key_opens_the_door_and_is_nowhere_in_clear(path: Path) -> None:
    keys = ApiKeys(KeyFile(path))
    made = await keys.add("ci", scopes=["write", "read"])
    assert bearer_token(f"Bearer {made}") == made
    principal = await ApiKeys(KeyFile(path)).verify(made)
    assert (set(principal.scopes), principal.client_id) == ({"read", "write"}, "ci")
    secret = made.split("_", 2)[2]
    assert secret not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0, "only its owner may read it"


async def test_rotating_and_revoking_take_effect_at_once(path: Path) -> None:
    server, owner = ApiKeys(KeyFile(path)), ApiKeys(KeyFile(path))
    first = await owner.add("ci")
    await server.verify(first)
    second = await owner.rotate("ci")
    with pytest.raises(InvalidToken):
        await server.verify(first)
    assert (await server.verify(second)).client_id == "ci"
    await owner.revoke("ci")
    with pytest.raises(InvalidToken):
        await server.verify(second)
    for act in (owner.rotate, owner.revoke):
        with pytest.raises(LookupError, match="ci"):
            await act("ci")


async def test_a_key_ends_at_its_time(path: Path) -> None:
    now = [100.0]
    keys = ApiKeys(KeyFile(path), now=lambda: now[0])
    made = await keys.add("short", expires=160)
    await keys.verify(made)
    now[0] = 160
    with pytest.raises(InvalidToken):
        await keys.verify(made)
    assert [(key.name, key.live(now[0])) for key in await keys.list()] == [("short", False)]


async def test_names_are_unique(path: Path) -> None:
    keys = ApiKeys(KeyFile(path))
    await keys.add("b")
    await keys.add("a")
    assert [key.name for key in await keys.list()] == ["a", "b"]
    with pytest.raises(ValueError, match="rotate"):
        await keys.add("a")


async def test_near_misses_and_rubbish_are_refused(path: Path) -> None:
    keys = ApiKeys(KeyFile(path))
    made = await keys.add("ci")
    for wrong in ("", "mcpk", "mcpk__", made[:-1], made + "x", made.replace("mcpk", "mcpx"), made.swapcase(), "a_b_c"):
        with pytest.raises(InvalidToken):
            await keys.verify(wrong)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": [{"id": 1}]}', '{"keys": 3}'])
async def test_a_file_that_is_not_ours_is_named(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"keys\.json is not a file of API keys"):
        await ApiKeys(KeyFile(path)).list()


async def test_keys_that_can_not_be_read_let_nobody_in(tmp_path: Path) -> None:
    """And nobody is told that theirs is bad."""
    path = tmp_path / "keys.json"
    path.write_text("rubbish")
    with pytest.raises(VerifierUnavailable):
        await ApiKeys(KeyFile(path)).verify("mcpk_a_b")
