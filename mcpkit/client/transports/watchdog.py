"""Ends a child process, and all that it has started, when this process ends without having done so itself.

However this process ends, SIGKILL included, the system closes its end of a pipe; a small shell at the other end then
ends the child's process group: after a second with SIGTERM, two seconds later with SIGKILL. What must never stand here:
the orderly end of a child (stdio.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from typing import Final

from mcpkit.client.background import log

_SHELL: Final = "/bin/sh"
_SCRIPT: Final = """
trap '' HUP INT TERM
read -r word
[ "$word" = done ] && exit
sleep 1
kill -s TERM -- "-$1" 2>/dev/null || exit 0
sleep 2
kill -s KILL -- "-$1" 2>/dev/null
"""
_SECONDS: Final = 5.0


class Watchdog:
    """Watches over one process group for as long as this process lives."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def over(cls, group: int) -> Watchdog | None:
        """A watchdog over that process group; None where the system has no shell, as on Windows."""
        if os.name != "posix":
            return None
        try:
            process = await asyncio.create_subprocess_exec(
                *(_SHELL, "-c", _SCRIPT, "mcpkit-watchdog", str(group)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                cwd="/",
                env={"PATH": os.defpath},
                start_new_session=True,  # what is sent to our process group must not end it
            )
        except OSError as error:
            _tell_once(str(error))
            return None
        return cls(process)

    async def dismiss(self) -> None:
        """The child has ended: there is nothing to watch over any more."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(b"done\n")
            await self._process.stdin.drain()
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await self._process.wait()


@functools.cache
def _tell_once(why: str) -> None:
    log.warning("servers started as commands may go on when this process is killed: %s", why)
