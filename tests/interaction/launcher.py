"""Stands for a server process: hands its standard streams to the nursery and ends when that child does.

It is what a client starts, so it imports next to nothing. What must never stand here: anything of the protocol.
"""

import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    socket.send_fds(line, [b"x"], [0, 1, 2])
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    line.recv(1)
