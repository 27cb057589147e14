"""The application as real clients meet it: the probe with one tool more, which reports progress.

What must never stand here: a change of the application.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # it is run by its path, from a bare clone

from mcp_server import main
from mcpkit import Context
from tests.fixtures.probe_server import ProbeServer


class RealServer(ProbeServer):
    """Offers `count` besides the probe's tools."""

    def _register_methods(self) -> None:
        super()._register_methods()

        @self.router.tool
        async def count(to: int, ctx: Context) -> dict[str, int]:
            """Count, and say so each time."""
            for number in range(1, to + 1):
                await ctx.report_progress(number, to, f"number {number}")
                await asyncio.sleep(0.02)  # the TypeScript clients lose progress that is read together with the result
            return {"counted": to}


if __name__ == "__main__":
    main(server_class=RealServer)
