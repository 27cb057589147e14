"""Scenarios under load: what one request costs a server in processor time, by wrk at 16 connections.

What must never stand here: tables, how a server is started.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import wire
from bench.servers import Running, running

CONNECTIONS = 16
WARM_SECONDS = 1
LISTED_TOOLS = 200

Make = Callable[[Running, str], str]
"""A server that is up, and an era → the wrk script; checks an answer first."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One table: a kind of request, sent to every server that can take it."""

    name: str
    title: str
    make: Make
    eras: tuple[str, ...] = ("session", "modern")
    tools: int = 0
    requests_per_unit: int = 1
    leave_out: frozenset[str] = frozenset()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement."""

    micros: float
    """Processor time of the server per request (per handshake), in microseconds."""
    rate: float
    """Requests a second, on whatever the machine had left."""


def _of(tool: str, arguments: dict[str, Any], text: str) -> Make:
    def make(server: Running, era: str) -> str:
        session = _session(server, era)
        asked = wire.call(era, tool, arguments, session)
        wire.check(server.port, asked, text)
        return asked.lua()

    return make


def _list(server: Running, era: str) -> str:
    session = _session(server, era)
    asked = wire.request(era, "tools/list", {}, session)
    wire.check(server.port, asked, LISTED_TOOLS)
    return asked.lua()


def _handshake(server: Running, era: str) -> str:
    wire.open_session(server.port)
    script = """
local opening
local fresh, told = {}, {}  -- a session is ended only when its notification must long have been answered
request = function()
  local step
  if #fresh > 0 then
    step = {"told", table.remove(fresh)}
    table.insert(told, step[2])
  elseif #told > 64 then
    step = {"ended", table.remove(told, 1)}
  else
    opening = opening or wrk.format("POST", nil, wrk.headers, [=[%s]=])
    return opening
  end
  wrk.headers["Mcp-Session-Id"] = step[2]
  wrk.headers["MCP-Protocol-Version"] = "%s"
  local text
  if step[1] == "told" then text = wrk.format("POST", nil, wrk.headers, [=[%s]=])
  else text = wrk.format("DELETE", nil, wrk.headers, "") end
  wrk.headers["Mcp-Session-Id"] = nil
  wrk.headers["MCP-Protocol-Version"] = nil
  return text
end
response = function(status, headers, body)
  local id
  for name, value in pairs(headers) do if name:lower() == "mcp-session-id" then id = value end end
  if status == 200 and id ~= nil and body:find("protocolVersion", 1, true) then
    table.insert(fresh, id)
  end
end
"""
    body, told = wire.initialize().data.decode(), wire.initialized("x").data.decode()
    headers = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in wire.USUAL.items())
    return headers + script % (body, wire.SESSION_REVISION, told)


def _session(server: Running, era: str) -> str | None:
    return wire.open_session(server.port) if era == "session" and server.peer.sessions else None


_NO_LISTS = frozenset({"fastapi"})
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("call", "tools/call: echo", _of("echo", {"text": "hello"}, "hello")),
        Scenario("list", f"tools/list with {LISTED_TOOLS} tools", _list, tools=LISTED_TOOLS),
        Scenario(
            "beside",
            f"tools/call beside {LISTED_TOOLS} tools",
            _of("echo", {"text": "hello"}, "hello"),
            tools=LISTED_TOOLS,
            leave_out=_NO_LISTS,
        ),
        Scenario(
            "handshake",
            "initialize + initialized + DELETE",
            _handshake,
            eras=("session",),
            requests_per_unit=3,
            leave_out=_NO_LISTS,
        ),
        Scenario(
            "stream",
            f"tools/call that sends {wire.NOTIFICATIONS} progress notifications",
            _of("stream", {"n": wire.NOTIFICATIONS}, "done"),
            leave_out=_NO_LISTS | {"sdk-low", "sdk-high"},
            environment=(("BENCH_STREAMING", "1"),),
        ),
        Scenario("big", "tools/call with a result of 20 KB", _of("big", {}, "x" * 20_000)),
    )
}


def measure(scenario: Scenario, era: str, name: str, seconds: float) -> Sample:
    """Start the server, warm it, load it."""
    with running(name, tools=scenario.tools, **dict(scenario.environment)) as server:
        script = scenario.make(server, era)
        wrk(server.port, script, WARM_SECONDS)
        before = server.cpu_seconds()
        done, rate = wrk(server.port, script, seconds)
        used = server.cpu_seconds() - before
    if not done:
        raise RuntimeError("nothing was answered in time")
    return Sample(used / done * scenario.requests_per_unit * 1e6, rate)


def wrk(port: int, script: str, seconds: float, *, connections: int = CONNECTIONS) -> tuple[int, float]:
    """Load a server: requests done, and the rate a second.

    Raises: RuntimeError when answers failed.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "20s", "-s", file.name]
        url = f"http://127.0.0.1:{port}/api"
        shown = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=120).stdout
    failed = re.search(r"Non-2xx.*|Socket errors: (?!connect 0, read 0, write 0, timeout 0).*", shown)
    if failed:
        raise RuntimeError(f"wrk: {failed[0]}")
    count = re.search(r"(\d+) requests in", shown)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", shown)
    assert count is not None, shown
    assert rate is not None, shown
    return int(count[1]), float(rate[1])
