"""What else replicas share: API keys, and how fast a caller may go.

What must never stand here: sessions (test_routing.py), faults (test_replicas.py).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.replicas.place import Place, place

pytestmark = [pytest.mark.redis, pytest.mark.slow]
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def keys(two: Place, *words: str) -> str:
    """The first line that the command says."""
    env = {**two.replicas[0].env, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mcpkit", "keys", *words]
    done = subprocess.run(command, cwd=two.folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]


async def statuses(two: Place, key: str) -> list[int]:
    """What each replica answers who brings that key."""
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(timeout=10) as http:
        return [(await http.post(f"{one.url}/api", json=PING, headers=headers)).status_code for one in two.replicas]


async def until(two: Place, key: str, wanted: list[int]) -> None:
    async with asyncio.timeout(10):
        while await statuses(two, key) != wanted:  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.1)


async def test_a_key_opens_every_replica_until_it_is_revoked(tmp_path: Path) -> None:
    with place(tmp_path, count=2, MCP_API_KEYS_REDIS="1") as two:
        assert await statuses(two, "mcpk_0_0") == [401, 401]
        key = keys(two, "add", "ci")
        await until(two, key, [200, 200])
        assert keys(two, "revoke", "ci") == "ci is revoked"
        await until(two, key, [401, 401])


async def test_a_caller_goes_at_one_pace_wherever_its_requests_come(tmp_path: Path) -> None:
    """AVAIL-03: a burst of four at two replicas, then 429; without Redis each replica counts for itself."""
    with place(tmp_path, count=2, MCP_RATE_PER_SECOND="0.001", MCP_RATE_BURST="4") as two:
        found = [status for _ in range(4) for status in await statuses(two, "none")]
        assert found == [200] * 4 + [429] * 4
        two.redis.kill()
        async with asyncio.timeout(20):
            while 200 not in await statuses(two, "none"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)
