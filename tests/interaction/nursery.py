"""Server processes without the wait for Python's imports: one process that has done them forks a child per client.

``python nursery.py SOCKET`` listens there; launcher.py is what a client starts. The child is an ordinary stdio server
with the client's own pipes. What must never stand here: a shortcut that an ordinary child process would not have.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # it is run by its path, from a bare clone

from mcpkit import Server
from mcpkit.run import serve
from tests.interaction.offers import SETTINGS, Board, build


def main(path: str) -> None:
    """Fork for everyone who comes, until the end of input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = build(Board())
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                become(server, door, line)
            line.close()


def become(server: Server, door: socket.socket, line: socket.socket) -> None:
    """Be the server of one client; never returns."""
    door.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        _, streams, _, _ = socket.recv_fds(line, 1, 3)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        serve(server, SETTINGS, stdio=True)
    finally:
        os._exit(0)  # the line to the launcher closes with the process


if __name__ == "__main__":
    main(sys.argv[1])
