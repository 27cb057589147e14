"""A door that is shut behind those who are in: who knocked before is let in, who knocks later hears nothing."""

from __future__ import annotations

import socket
import sys

import pytest

from mcpkit.transports.newcomers import turn_away

SECONDS = 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can do it")
def test_who_is_in_stays_and_nobody_else_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        address = listening.getsockname()
        with socket.create_connection(address, SECONDS) as early:
            early.sendall(b"before")
            assert turn_away(listening)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, 0.2)
            early.sendall(b" and after")
            early.shutdown(socket.SHUT_WR)
            accepted, _ = listening.accept()
            with accepted:
                accepted.settimeout(SECONDS)
                assert accepted.makefile("rb").read() == b"before and after"
                accepted.sendall(b"answered")
            assert early.makefile("rb").read() == b"answered"


def test_elsewhere_it_says_that_it_can_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert turn_away(listening) is False
        socket.create_connection(listening.getsockname(), SECONDS).close()


def test_what_is_no_socket_any_more_is_left_alone() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.close()
    assert turn_away(listening) is False
