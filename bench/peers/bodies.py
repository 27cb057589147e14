"""What every peer of the benchmarks offers: the same tool bodies, and how it is told where to listen.

What must never stand here: a framework.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

HOST = os.environ.get("MCP_SERVER_HOST", "127.0.0.1")
PORT = int(os.environ.get("MCP_SERVER_PORT", "0"))
TOOLS = int(os.environ.get("BENCH_TOOLS", "0"))
STDIO = os.environ.get("BENCH_STDIO") == "1"
BIG_TEXT = "x" * 20_000
UVICORN = {"host": HOST, "port": PORT, "log_level": "error", "access_log": False, "server_header": False}


def generated_name(number: int) -> str:
    return f"tool_{number:03d}"


async def echo(text: str) -> str:
    """Return the text."""
    return text


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def big() -> str:
    """Return 20 KB of text."""
    return BIG_TEXT


async def generated(name: str, count: int = 1, flag: bool = False) -> str:
    """A generated tool."""
    return f"{name} {count} {flag}"


async def stream(n: int, report: Callable[[float, float], Awaitable[None]]) -> str:
    """Report progress n times, then answer."""
    for step in range(n):
        await report(step + 1, n)
    return "done"
