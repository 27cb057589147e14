"""Several workers of one machine over a local Redis: sessions belong to all of them.

What must never stand here: workers without Redis (tests/transports/test_workers.py).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.fixtures.redis_server import redis_server
from tests.fixtures.started import environment, started
from tests.replicas.conftest import CALLS, load
from tests.transports.test_workers import children, until_there_are

pytestmark = [pytest.mark.redis, pytest.mark.slow]


async def test_sessions_belong_to_all_workers_and_outlive_one(tmp_path: Path) -> None:
    """Calls of one session meet whichever worker takes the connection, also after one has died."""
    with redis_server(tmp_path) as redis:
        env = environment(MCP_SERVER_REDIS_URL=redis.url)
        with started(
            "tests/fixtures/probe_server.py", "--port", "0", "--workers", "3", cwd=tmp_path, env=env
        ) as program:
            workers = until_there_are(3, program)

            async def kill() -> None:
                os.kill(min(workers), signal.SIGKILL)

            books = await load(program.url, CALLS // 25, kill())
            books.check()
            assert len(children(program.process.pid) & workers) == 2
            assert program.end() == 0
