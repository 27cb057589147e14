"""How our server grows: with sessions, with tools, beside open streams, with a second worker.

What must never stand here: other servers (their tables are elsewhere), a table.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable

from bench import crowds, load, wire
from bench.servers import Running, cpu_of, running

OURS = "ours"
SESSIONS = 9_990
"""Beside the few that measuring needs: 10,000 are served by default."""
MANY_SESSIONS = 50_000
TOOLS = 2_000
SECONDS = 2.0
PATIENCE = 90.0

Figures = dict[str, float]
"""What was measured → the figure."""


def sessions() -> Figures:
    """What ten thousand sessions cost, and what is left of them once they are deleted or given up."""
    with running(OURS) as server:
        per_call = _call(server, "session")
        one, before = per_call(), server.rss_kib()
        line = wire.Line(server.port)
        known = _opened(line)
        full, many = server.rss_kib(), per_call()
        _deleted(line, known)
        empty = server.rss_kib()
        _opened(line)
        again = server.rss_kib()
        line.close()
    return {
        "KiB per session": (full - before) / SESSIONS,
        "MiB with one session": before / 1024,
        "MiB with 10,000": full / 1024,
        "MiB once they are deleted": empty / 1024,
        "MiB with 10,000 others": again / 1024,
        "µs CPU per call, one session": one,
        "µs CPU per call, 10,000 sessions": many,
        "their ratio (sessions)": many / one,
        **_given_up(),
        **_returned(),
    }


def _returned() -> Figures:
    """What is left of many more, once they are deleted."""
    with running(OURS, MCP_MAX_SESSIONS=str(MANY_SESSIONS)) as server:
        line = wire.Line(server.port)
        before = server.rss_kib()
        known = _opened(line, MANY_SESSIONS)
        full = server.rss_kib()
        _deleted(line, known)
        left = server.rss_kib()
        line.close()
    return {
        "MiB that 50,000 sessions take": (full - before) / 1024,
        "MiB of it once they are deleted": (left - before) / 1024,
    }


def _deleted(line: wire.Line, known: list[str]) -> None:
    for session in known:
        headers = {"MCP-Protocol-Version": wire.SESSION_REVISION, "Mcp-Session-Id": session}
        line.send(wire.Request({}, headers, "DELETE"))


def _given_up() -> Figures:
    """Sessions that nobody ends."""
    with running(OURS, MCP_SESSION_IDLE_SECONDS="5") as server:
        _gauge(server.port, "mcp_server_sessions")  # the first scrape loads what is shown by
        before = server.rss_kib()
        line = wire.Line(server.port)
        _opened(line)
        line.close()
        until = time.monotonic() + PATIENCE
        while _gauge(server.port, "mcp_server_sessions"):
            if time.monotonic() > until:
                raise RuntimeError("sessions that nobody uses are still there")
            time.sleep(0.5)
        left = server.rss_kib()
        line = wire.Line(server.port)
        _opened(line)
        line.close()
        return {
            "MiB before 10,000 that are given up": before / 1024,
            "MiB once these have ended by themselves": left / 1024,
            "MiB with 10,000 after them": server.rss_kib() / 1024,
        }


def tools() -> Figures:
    """A call beside five tools, and beside two thousand."""
    found: Figures = {}
    for era in ("session", "modern"):
        micros = []
        for count in (0, TOOLS):
            with running(OURS, tools=count) as server:
                micros.append(_call(server, era)())
        found[f"µs CPU per call beside 5 tools ({era})"] = micros[0]
        found[f"µs CPU per call beside 2,005 tools ({era})"] = micros[1]
        found[f"their ratio (tools, {era})"] = micros[1] / micros[0]
    return found


def beside_streams() -> Figures:
    """Calls while four thousand streams are open, as a share of what was done before and after."""
    found: Figures = {}
    for era in ("session", "modern"):
        with running(OURS) as server:
            each = _both(server, era)
            each()
            micros, rate = zip(each(), crowds.beside(server, era, each), _settled(each), strict=True)
        found[f"calls beside 4,000 streams, share of the rate without ({era})"] = rate[1] * 2 / (rate[0] + rate[2])
        found[f"their µs CPU, times those without ({era})"] = micros[1] * 2 / (micros[0] + micros[2])
    return found


def _settled(measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    time.sleep(1.0)  # until the streams have been seen off
    return measure()


def _both(server: Running, era: str) -> Callable[[], tuple[float, float]]:
    """Measures µs of CPU per call, and calls a second."""
    script = _script(server, era)

    def measure() -> tuple[float, float]:
        before = server.cpu_seconds()
        done, rate = load.wrk(server.port, script, SECONDS)
        return (server.cpu_seconds() - before) / done * 1e6, rate

    return measure


def workers() -> Figures:
    """What a second worker adds: by the processor time of each, for the driver needs a core of the two itself."""
    found: dict[int, tuple[float, float, float]] = {}
    for count in (1, 2):
        with running(OURS, MCP_SERVER_WORKERS=str(count)) as server:
            script = _script(server, "modern")
            load.wrk(server.port, script, load.WARM_SECONDS)
            before = {pid: cpu_of(pid) for pid in server.pids()}
            done, rate = load.wrk(server.port, script, 2 * SECONDS, connections=64)
            used = sorted(cpu_of(pid) - spent for pid, spent in before.items())
            found[count] = sum(used) / done * 1e6, used[-1] / sum(used), rate
    (one, _, rate_of_one), (two, share, rate_of_two) = found[1], found[2]
    return {
        "µs CPU per call, one worker": one,
        "µs CPU per call, two workers": two,
        "the busier worker's share of the two": share,
        "two workers with a core each, times one": one / (two * share),
        "two workers, times the rate of one, the driver on the same two cores": rate_of_two / rate_of_one,
    }


MEASURES: dict[str, Callable[[], Figures]] = {
    "sessions": sessions,
    "tools": tools,
    "beside streams": beside_streams,
    "workers": workers,
}


def _opened(line: wire.Line, count: int = SESSIONS) -> list[str]:
    return [line.send(wire.initialize())[1]["mcp-session-id"] for _ in range(count)]


def _script(server: Running, era: str) -> str:
    session = wire.open_session(server.port) if era == "session" else None
    asked = wire.call(era, "echo", {"text": "hello"}, session)
    wire.check(server.port, asked, "hello")
    return asked.lua()


def _call(server: Running, era: str) -> Callable[[], float]:
    """Measures µs of CPU per call, once warm."""
    measure = _both(server, era)

    def micros() -> float:
        measure()
        return measure()[0]

    return micros


def _gauge(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{name} is not shown")
    return float(found[1])
