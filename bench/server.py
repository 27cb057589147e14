"""The server that the benchmarks drive: five tools of nothing, default limits and checks on, logs off.

``BENCH_TOOLS=N`` adds N generated tools, ``BENCH_STDIO=1`` serves stdio; host and port as for ``mcp_server.py``.
What must never stand here: a switch that the product doesn't offer.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # a bare clone is measured from any directory

from mcpkit import Context, Server
from mcpkit.run import serve
from mcpkit.settings import Settings

BIG_TEXT = "x" * 20_000

server = Server("bench", "1.0.0", page_size=2_000)  # a list in one page, as other servers answer


@server.tool
async def echo(text: str) -> str:
    """Return the text."""
    return text


@server.tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool
async def big() -> str:
    """Return 20 KB of text."""
    return BIG_TEXT


@server.tool
async def stream(n: int, ctx: Context) -> str:
    """Report progress n times, then answer."""
    for step in range(n):
        await ctx.report_progress(step + 1, n)
    return "done"


@server.tool
async def broadcast(ctx: Context) -> str:
    """Tell every open stream that the tools have changed."""
    ctx.notify_tools_changed()
    return "told"


def generated(number: int) -> None:
    """Offer one more tool, of three properties."""

    async def tool(name: str, count: int = 1, flag: bool = False) -> str:
        return f"{name} {count} {flag}"

    server.add_tool(tool, name=f"tool_{number:03d}", description=f"Generated tool number {number}.")


def main() -> None:
    """Serve until told to stop."""
    logging.disable(logging.INFO)
    for number in range(int(os.environ.get("BENCH_TOOLS", "0"))):
        generated(number)
    serve(server, Settings.load(), stdio=os.environ.get("BENCH_STDIO") == "1")


if __name__ == "__main__":
    main()
