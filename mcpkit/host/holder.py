"""Which program listens on a port, where the system shows it: Linux, in /proc, of the user's own programs.

What must never stand here: ending it, running another program to find out.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from mcpkit.client.display import clean

LISTENS = "0A"
"""A listening socket's state in /proc/net/tcp."""


def holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """``python (process 4711)``; None where it can't be known."""
    wanted = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)}
    if not wanted:
        return None
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return f"{_name(process)} (process {process.name})"
    return None


def how_to_find(port: int) -> str:
    """The command that tells where /proc does not."""
    return f"netstat -ano | findstr :{port}" if sys.platform == "win32" else f"lsof -nP -i :{port}"


def _listening(table: Path, port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on it."""
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTENS and fields[1].endswith(f":{port:04X}"):
                yield fields[9]


def _name(process: Path) -> str:
    """Of a Python program its script too: that is what people know it by."""
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    name = Path(words[0]).name or (process / "comm").read_text().strip()
    script = next((Path(word).name for word in words[1:] if word.endswith(".py")), "")
    return clean(f"{name} {script}".strip(), 80)
