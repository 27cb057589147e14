"""What holds for every test: a time limit, and no silent skip in CI.

``require`` is the only way to leave a test out because a machine lacks something. What must never stand here:
a fixture that only one folder needs (its own conftest.py), a clock that a test could depend on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import settings

from mcpkit.settings import sources

ROOT = Path(__file__).resolve().parent.parent
OURS = ("MCP_CONFORMANCE_",)
"""Variables that tell the tests something, not the product."""
SECONDS = 60
SECONDS_WHEN_SLOW = 300

settings.register_profile("unhurried", settings(), deadline=None)  # a busy machine is no failure
settings.register_profile("ci", settings(), deadline=None, derandomize=True, database=None)  # the same ones each time
settings.register_profile("nightly", settings(), deadline=None, derandomize=False, max_examples=500)
settings.load_profile("ci" if os.environ.get("CI") else "unhurried")


def require(condition: object, reason: str) -> None:
    """Go on only when ``condition`` holds: skip at a desk, fail in CI, where scripts/test installs everything."""
    __tracebackhide__ = True
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this test, not leave it out: {reason}", pytrace=False)
    pytest.skip(reason)


def peer(name: str) -> Path:
    """The Python of one of the environments that tests/peers/*.txt describe: ``mcp1``, ``mcp2`` or ``fastmcp``."""
    __tracebackhide__ = True
    folder = ROOT / ".venv-peers" / name
    found = [python for python in (folder / "bin/python", folder / "Scripts/python.exe") if python.exists()]
    require(found, f"the peer {name} is not installed; run: scripts/install peers")
    return found[0]


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """No test reads what the shell or the checkout's own .env happens to set: an application reads both by default."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("MCP_") and not name.startswith(OURS):
                patch.delenv(name)
        read = sources._dotenv
        own = ROOT / ".env"
        patch.setattr(sources, "_dotenv", lambda path: {} if path and path.absolute() == own else read(path))
        yield


def pytest_sessionstart() -> None:
    """A shell that starts something in the background lets it ignore Ctrl-C, and so would every program under test."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a test (with its fixtures) that hangs, in the main thread, so that the rest still runs."""
    if not hasattr(signal, "SIGALRM"):  # Windows: faulthandler_timeout alone stands guard
        return (yield)
    slow = item.get_closest_marker("slow")
    seconds = slow.kwargs.get("seconds", SECONDS_WHEN_SLOW) if slow else SECONDS

    def expire(signum: int, frame: FrameType | None) -> None:
        pytest.fail(f"still running after {seconds} seconds; every wait in a test must have its own, shorter limit")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)  # again and again: a background task may swallow the first
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
