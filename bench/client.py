"""Compares clients: ``python -m bench.client`` measures what one call costs each, ``--write`` puts it on the page.

One server, ours; rounds are interleaved: each visits every client once, and a ratio compares two clients of one round.
What must never stand here: how a client calls (bench/peers/calling.py, calling.mjs).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import report
from bench.servers import BENCH, PEERS, plain_environment, running

WORDS = BENCH / "client_words.md"
ERAS = {"modern": "newest revision", "session": "sessions"}
IN_FLIGHT = ("1", "16")
REFERENCE = "sdk"
Found = dict[str, dict[str, list[float]]]
"""Client → calls in flight → µs, one of each round."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One client of the comparison."""

    name: str
    title: str
    command: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """Whether bench/setup has made what it needs."""
        script = self.command[0].endswith("node")
        needed = PEERS / "node_modules/@modelcontextprotocol/client" if script else Path(self.command[0])
        return needed.exists()


def _python(python: str, kind: str) -> tuple[str, ...]:
    return (python, str(PEERS / "calling.py"), kind)


def _in(environment: str, kind: str) -> tuple[str, ...]:
    return _python(str(BENCH / environment / "bin/python"), kind)


CALLERS = {
    caller.name: caller
    for caller in (
        Caller("httpx", "bare httpx, no MCP", _in(".venv-http", "bare_httpx")),
        Caller("aiohttp", "bare aiohttp, no MCP", _in(".venv-http", "bare_aiohttp")),
        Caller("ours-bare", "this client's connections, no MCP", _python(sys.executable, "bare_ours")),
        Caller("ours", "this client", _python(sys.executable, "ours")),
        Caller("ours-httpx", "this client over an `httpx.AsyncClient`", _python(sys.executable, "ours_httpx")),
        Caller("sdk", "Python SDK 2.3", _in(".venv-mcp", "sdk")),
        Caller("fastmcp", "FastMCP 4.1", _in(".venv-fastmcp", "fastmcp")),
        Caller("typescript", "TypeScript client 2.4", ("/usr/bin/node", str(PEERS / "calling.mjs"))),
    )
}


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", default=",".join(CALLERS), help="names, with commas between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="calls per measurement")
    parser.add_argument("--write", action="store_true", help="write the clients' part of docs/performance.md")
    asked = parser.parse_args(arguments)
    names = [name for name in asked.clients.split(",") if CALLERS[name].installed]
    found = {era: _rounds(era, names, asked.rounds, asked.seconds) for era in ERAS}
    command = f"python -m bench.client --rounds {asked.rounds} --seconds {asked.seconds:g}"
    tables = "\n\n".join(_table(era, found[era]) for era in ERAS)
    print(tables)
    if asked.write:
        made = f"Made by `{command} --write` on {platform.system()}, {os.cpu_count()} cores"
        section = WORDS.read_text().replace(report.MARK, f"{made}, Python {platform.python_version()}.\n\n{tables}")
        print(report.write_clients(section))


def _rounds(era: str, names: Sequence[str], rounds: int, seconds: float) -> Found:
    found: Found = {name: {} for name in names}
    with running("ours") as server:
        url = f"http://127.0.0.1:{server.port}/api"
        for _ in range(rounds):
            for name in tuple(found):
                try:
                    micros = _measured(CALLERS[name], era, url, seconds)
                except (subprocess.SubprocessError, ValueError) as failure:
                    print(f"{name} is left out of {era}: {failure}", file=sys.stderr)
                    del found[name]
                    continue
                for in_flight, each in micros.items():
                    found[name].setdefault(in_flight, []).append(each)
    return found


def _measured(caller: Caller, era: str, url: str, seconds: float) -> dict[str, float]:
    command = [*caller.command, era, url, f"{seconds:g}"]
    done = subprocess.run(
        command, env=plain_environment(), capture_output=True, text=True, timeout=60 + 20 * seconds, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr[-1000:] or f"exit code {done.returncode}")
    micros: dict[str, float] = json.loads(done.stdout)
    return micros


def _table(era: str, found: Found) -> str:
    lines = [
        f"**`tools/call` by a client**, {ERAS[era]}: CPU of the client per call, with so many in flight\n",
        "| client | µs, 1 | µs, 16 | Python SDK ÷ it, 1 (least-most) | Python SDK ÷ it, 16 (least-most) |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, samples in found.items():
        title = CALLERS[name].title
        cells = [f"{statistics.median(samples[in_flight]):,.0f}" for in_flight in IN_FLIGHT]
        cells += [_ratio(found.get(REFERENCE, {}).get(in_flight), samples[in_flight]) for in_flight in IN_FLIGHT]
        lines.append(f"| {f'**{title}**' if name == 'ours' else title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(reference: list[float] | None, mine: list[float]) -> str:
    if not reference or len(reference) != len(mine):
        return ""
    found = sorted(other / one for other, one in zip(reference, mine, strict=True))
    return f"{statistics.median(found):.1f} ({found[0]:.1f}-{found[-1]:.1f})"


if __name__ == "__main__":
    main()
