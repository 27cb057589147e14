"""API keys that all replicas know."""

from __future__ import annotations

import pytest

from mcpkit.security.bearer import InvalidToken
from mcpkit.security.keys import ApiKeys
from mcpkit.sessions.redis_keys import RedisKeys
from mcpkit.sessions.redis_replica import Replica
from tests.fixtures.redis_server import RedisServer

pytestmark = pytest.mark.redis


async def test_what_one_replica_adds_or_revokes_holds_for_all(two: tuple[Replica, Replica], redis: RedisServer) -> None:
    here, there = (ApiKeys(RedisKeys(replica.link)) for replica in two)
    key = await here.add("ci", scopes=["read"])
    assert (await there.verify(key)).scopes == {"read"}
    new = await there.rotate("ci")
    with pytest.raises(InvalidToken):
        await here.verify(key)
    assert (await here.verify(new)).client_id == "ci"
    await there.revoke("ci")
    with pytest.raises(InvalidToken):
        await here.verify(new)
    assert await here.list() == []
