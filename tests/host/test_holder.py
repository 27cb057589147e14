"""Who holds a port."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from mcpkit.host.holder import holder, how_to_find


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_program_that_listens_is_named(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        taken = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("this machine has no such address")
    with taken:
        port = taken.getsockname()[1]
        found = holder(port)
    assert found is not None
    assert found.endswith(f"(process {os.getpid()})")
    assert found.startswith("python")


def test_nothing_is_said_where_nothing_is_known(tmp_path: Path) -> None:
    assert holder(1, tmp_path) is None
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("  sl\n   0: 0100007F:0001 00000000:0000 0A 0:0 0:0 0 0 0 77\n\nbroken\n")
    assert holder(1, tmp_path) is None
    assert holder(2, tmp_path) is None
    (tmp_path / "12" / "fd").mkdir(parents=True)
    (tmp_path / "12" / "fd" / "3").symlink_to("socket:[77]")
    (tmp_path / "13").mkdir()
    assert holder(1, tmp_path) is None
    (tmp_path / "12" / "cmdline").write_bytes(b"/usr/bin/python3\0-u\0/x/math\x1b[31m_server.py\0--port\0001")
    assert holder(1, tmp_path) == "python3 math[31m_server.py (process 12)"
    (tmp_path / "12" / "cmdline").write_bytes(b"")
    (tmp_path / "12" / "comm").write_text("nginx\n")
    assert holder(1, tmp_path) == "nginx (process 12)"


def test_the_command_that_tells_is_the_systems_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert how_to_find(80) == "lsof -nP -i :80"
    monkeypatch.setattr(sys, "platform", "win32")
    assert how_to_find(80) == "netstat -ano | findstr :80"
