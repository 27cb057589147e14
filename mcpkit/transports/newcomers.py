"""A listening socket that lets nobody in any more, and drops nobody who is in already.

Closing it at once would reset connections that the kernel has made and nobody has accepted yet, with the requests on
them. So first the kernel is told to ignore who knocks: clients knock again a second later, find the port closed, and a
proxy goes on to the next server, since it has sent nothing. What must never stand here: connections, HTTP.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from typing import Final

SO_ATTACH_FILTER: Final = 26
"""Linux's number on the usual machines; Python's socket has no name for it."""
_FLAGS: Final = 13
_SYN: Final = 0x02
_SYN_OR_ACK: Final = 0x12
_ONLY_KNOWN: Final = (
    (0x30, 0, 0, _FLAGS),  # load the byte of the TCP header that holds the flags
    (0x54, 0, 0, _SYN_OR_ACK),
    (0x15, 0, 1, _SYN),  # a connection is asked for
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # take
)
"""A classic BPF program over what arrives at the socket."""


def turn_away(listening: socket.socket) -> bool:
    """Ignore whoever asks for a connection from now on; False where the system can't."""
    if sys.platform != "linux":
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _ONLY_KNOWN)
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(_ONLY_KNOWN), ctypes.addressof(kept))
    try:
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True
