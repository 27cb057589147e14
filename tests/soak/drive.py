"""What scripts/soak does: start the server, find its limit, then half of it for a while with chaos, and a verdict.

What must never stand here: what a client says (lanes.py, chaos.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.fixtures.started import environment
from tests.soak.chaos import MISDEEDS, Misdeed
from tests.soak.lanes import Lane, Stdio, lanes
from tests.soak.samples import Sample, gauges, look, percentile, slopes
from tests.soak.wire import SECONDS, Broken

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 2
"""Of each kind."""
STDIO_RATE = 50.0
"""Requests a second to the server behind pipes, which is another process than the one that is measured."""
CALIBRATION = 0.15
"""The part of the time that goes into finding the limit."""
CALM_SECONDS = 40.0
"""How long the server has to come to rest afterwards."""
PATIENCE = {
    "MCP_HEADER_SECONDS": 1,
    "MCP_BODY_SILENCE_SECONDS": 1,
    "MCP_SESSION_IDLE_SECONDS": 5,
    "MCP_STORED_SECONDS": 5,
    "MCP_SEND_SECONDS": 5,
    "MCP_KEEP_ALIVE_SECONDS": 5,
}
"""Shorter than by default, so that what is abandoned is let go within the run."""
NAMED = {misdeed.__name__: misdeed for misdeed in MISDEEDS}
MOST = {"RSS KiB": 2.0, "fds": 0.2, "threads": 0.2, "tasks": 0.2, "sessions": 1.0}
"""Per thousand requests; more is a leak."""


@dataclass(slots=True)
class Tally:
    """What has happened so far."""

    requests: int = 0
    misdeeds: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chaos:
    """Which part of the requests misbehaves, and in which ways."""

    part: float
    misdeeds: Sequence[Misdeed] = MISDEEDS
    seed: int = 1


@dataclass(slots=True)
class Pace:
    """When the next request is due, over all clients; without a rate at once. ``over`` when there is no next one."""

    rate: float = 0.0
    due: float = 0.0
    over: bool = False

    async def wait(self) -> None:
        """Until it is this client's turn."""
        if self.rate:
            self.due = max(self.due + 1 / self.rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, self.due - time.monotonic()))


# ── the server ───────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def probe(parser: str = "auto", patience: float = 1.0) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """The application as its own process: it, its port, and the file of what it writes to stderr."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "stderr").open("wb") as said:
        places = {"MCP_FILES_ROOT": f"{folder}/files", "MCP_DATABASE_PATH": f"{folder}/app.db"}
        command = [sys.executable, str(ROOT / "tests/fixtures/probe_server.py")]
        times = {name: f"{seconds * patience:g}" for name, seconds in PATIENCE.items()}
        env = environment(MCP_SERVER_PORT="0", MCP_HTTP_PARSER=parser, **times, **places)
        with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=said) as process:
            try:
                yield process, _port(process, Path(said.name)), Path(said.name)
            finally:
                process.kill()


def _port(process: subprocess.Popen[bytes], said: Path) -> int:
    until = time.monotonic() + 60
    while not (found := re.search(r"curl .*?127\.0\.0\.1:(\d+)", said.read_text(encoding="utf-8"))):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"tests/fixtures/probe_server.py did not start: {said.read_text(encoding='utf-8')}")
        time.sleep(0.05)
    return int(found[1])


# ── the load ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def work(name: str, lane: Lane, pace: Pace, tally: Tally) -> None:
    """One well-behaved client, until there is nothing more to do; then it leaves as it should."""
    number = 0
    while not pace.over:
        await pace.wait()
        began, number = time.perf_counter(), number + 1
        try:
            await lane.step(number)
        except (Broken, ConnectionError, KeyError, ValueError) as error:
            tally.faults.append(f"{name}: {type(error).__name__} {error}")
            with contextlib.suppress(Broken, ConnectionError):
                await lane.leave()
            await asyncio.sleep(0.1)
        tally.seconds[name].append(time.perf_counter() - began)
        tally.requests += name != "stdio"
    await lane.leave()


async def misbehave(port: int, pace: Pace, tally: Tally, chaos: Chaos) -> None:
    """Misdeeds one after the other, each in a task of its own."""
    chance = random.Random(chaos.seed)
    async with asyncio.TaskGroup() as group:
        while not pace.over:
            await pace.wait()
            group.create_task(_misdeed(port, chance.choice(chaos.misdeeds), tally, random.Random(chance.random())))


async def _misdeed(port: int, misdeed: Misdeed, tally: Tally, chance: random.Random) -> None:
    try:
        await misdeed(port, chance)
    except (Broken, ConnectionError, EOFError, KeyError, ValueError) as error:
        tally.faults.append(f"{misdeed.__name__}: {type(error).__name__} {error}")
    tally.misdeeds[misdeed.__name__] += 1
    tally.requests += 1


@asynccontextmanager
async def load(port: int, rate: float, chaos: Chaos, tally: Tally) -> AsyncIterator[None]:
    """All clients at work, and gone afterwards; ``rate`` in requests a second, 0 for as many as they can."""
    crowd = [pair for _ in range(CLIENTS) for pair in lanes(port).items()]
    good, bad, piped = Pace(rate * (1 - chaos.part)), Pace(rate * chaos.part), Pace(STDIO_RATE)
    tasks = [asyncio.create_task(work(name, lane, good, tally)) for name, lane in crowd if good.rate or not rate]
    if good.rate:
        tasks.append(asyncio.create_task(work("stdio", Stdio(environment()), piped, tally)))
    if bad.rate:
        tasks.append(asyncio.create_task(misbehave(port, bad, tally, chaos)))
    try:
        yield
    finally:
        good.over = bad.over = piped.over = True
        done, late = await asyncio.wait(tasks, timeout=2 * SECONDS)
        for task in late:
            task.cancel()
        tally.faults += [f"a client hangs: {task.get_coro()}" for task in late]
        tally.faults += [f"a client failed: {task.exception()!r}" for task in done if task.exception()]


async def limit(port: int, seconds: float) -> float:
    """Requests a second that the clients get through when nobody holds them back."""
    tally = Tally()
    async with load(port, 0, Chaos(0.0), tally):
        await asyncio.sleep(seconds / 3)  # the first ones pay for what is loaded late
        begun, began = tally.requests, time.monotonic()
        await asyncio.sleep(seconds)
        return (tally.requests - begun) / (time.monotonic() - began)


# ── the verdict ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Report:
    """A run, measured."""

    seconds: float
    limit: float
    rate: float
    requests: int
    misdeeds: dict[str, int]
    cpu: float
    first: Sample
    last: Sample
    rested: Sample
    slopes: dict[str, float]
    percentiles: dict[str, tuple[float, float, float]]
    faults: list[str]

    def verdict(self, slack: float) -> list[str]:
        """What is too much, or wrong; nothing when all is well. ``slack`` widens the bounds of slopes."""
        told = [fault for fault, _ in Counter(fault[:150] for fault in self.faults).most_common(5)]
        wrong = [f"{len(self.faults)} unexpected answers, such as:", *told] if self.faults else []
        for name, most in MOST.items():
            if self.slopes[name] > most * slack:
                wrong.append(
                    f"{name} rises by {self.slopes[name]:.2f} per 1,000 requests; the bound is {most * slack:g}"
                )
        held = {name: count for name, count in self.rested.gauges.items() if count and name != "tasks"}
        if held:
            wrong.append(f"still held after {CALM_SECONDS:g} s of rest: {held}")
        if self.rested.gauges.get("tasks", 0) > self.first.gauges.get("tasks", 0) + 2:
            wrong.append(f"{self.rested.gauges['tasks']:g} tasks at rest, {self.first.gauges['tasks']:g} at the start")
        if self.rested.fds > self.first.fds + 2:
            wrong.append(f"{self.rested.fds - self.first.fds} descriptors more than at the start")
        return wrong


async def soak(process: subprocess.Popen[bytes], port: int, asked: argparse.Namespace) -> Report:
    """Calibrate, load, rest."""
    await asyncio.sleep(0.5)
    first = replace(look(process.pid, 0), gauges=await gauges(port))
    most = await limit(port, max(1.0, asked.seconds * CALIBRATION))
    await rest(process.pid, port, first, 0)
    rate, tally, samples = most * asked.load, Tally(), []
    began, before = time.monotonic(), look(process.pid, 0)
    async with load(port, rate, Chaos(asked.chaos, asked.misdeed or MISDEEDS, asked.seed), tally):
        pause = max(0.5, asked.seconds / 200)
        while (left := asked.seconds - (time.monotonic() - began)) > 0:
            await asyncio.sleep(min(pause, left))
            samples.append(replace(look(process.pid, tally.requests), gauges=await gauges(port)))
    lasted = time.monotonic() - began
    rested = await rest(process.pid, port, first, tally.requests)
    shares = {
        name: (percentile(each, 0.5), percentile(each, 0.99), max(each)) for name, each in sorted(tally.seconds.items())
    }
    cpu = (samples[-1].cpu_seconds - before.cpu_seconds) / lasted
    moved = slopes(samples)
    done = tally.requests, dict(tally.misdeeds)
    return Report(lasted, most, rate, *done, cpu, first, samples[-1], rested, moved, shares, tally.faults)


async def rest(pid: int, port: int, first: Sample, requests: int) -> Sample:
    """Wait until nothing is held any more, not for ever; what there is then."""
    until = time.monotonic() + CALM_SECONDS
    while True:
        sample = replace(look(pid, requests), gauges=await gauges(port))
        held = any(count for name, count in sample.gauges.items() if name != "tasks")
        if time.monotonic() > until or not (held or sample.fds > first.fds + 2):
            return sample
        await asyncio.sleep(0.5)


def end(process: subprocess.Popen[bytes], said: Path) -> list[str]:
    """SIGTERM; what is wrong with how it ended."""
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(15)
    except subprocess.TimeoutExpired:
        return ["it does not end within 15 s of SIGTERM"]
    wrong = [f"it ended with {code}"] if code else []
    text = said.read_text(encoding="utf-8", errors="replace")
    if "Traceback" in text:
        wrong.append("a traceback on stderr:\n" + text[text.index("Traceback") :][:2000])
    return wrong


def show(report: Report) -> None:
    """The table."""
    print(f"limit {report.limit:,.0f} requests/s; held at {report.rate:,.0f}/s for {report.seconds:.0f} s")
    print(f"{report.requests:,} requests, {sum(report.misdeeds.values()):,} of them misdeeds: {report.misdeeds}")
    print(f"server: {100 * report.cpu:.0f} % of one core")
    for name, sample in (("start", report.first), ("under load", report.last), ("at rest", report.rested)):
        rest = ", ".join(f"{key} {value:g}" for key, value in sample.gauges.items())
        print(f"  {name:10} RSS {sample.rss_kib:,} KiB, {sample.fds} fds, {sample.threads} threads; {rest}")
    print("per 1,000 requests: " + ", ".join(f"{name} {value:+.2f}" for name, value in report.slopes.items()))
    print(f"  {'latency, ms':24} {'p50':>8} {'p99':>8} {'max':>8}")
    for name, times in report.percentiles.items():
        print(f"  {name:24} " + " ".join(f"{1000 * seconds:8.1f}" for seconds in times))


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Load the server, misbehave, and look for leaks.")
    parser.add_argument("--minutes", type=float, default=5.0, help="of load (5)")
    parser.add_argument("--load", type=float, default=0.5, help="part of what the clients can get through (0.5)")
    parser.add_argument("--chaos", type=float, default=0.01, help="part of the requests that misbehave (0.01)")
    parser.add_argument("--misdeed", action="append", metavar="NAME", help=f"only these: {', '.join(sorted(NAMED))}")
    parser.add_argument("--parser", default="auto", choices=("auto", "httptools", "h11"), help="of HTTP (auto)")
    parser.add_argument("--seed", type=int, default=1, help="of the chaos (1)")
    parser.add_argument("--patience", type=float, default=1.0, help="of the server with slow clients, times 1 s (1)")
    parser.add_argument("--slack", type=float, default=1.0, help="how much wider the bounds of slopes are (1)")
    parser.add_argument("--json", type=Path, help="also write the report there")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.misdeed or ()) - NAMED.keys():
        parser.error(f"unknown misdeed {', '.join(sorted(unknown))}; there are {', '.join(sorted(NAMED))}")
    asked.misdeed = [NAMED[name] for name in asked.misdeed or ()]
    asked.seconds = 60 * asked.minutes
    return asked


def main(arguments: list[str] | None = None) -> int:
    """0 when nothing leaks and every answer was right, else 1."""
    asked = _asked(arguments)
    if not os.path.isdir("/proc/self/fd"):
        raise SystemExit("scripts/soak reads /proc: it needs Linux")
    with probe(asked.parser, asked.patience) as (process, port, said):
        report = asyncio.run(soak(process, port, asked))
        wrong = report.verdict(asked.slack) + end(process, said)
    show(report)
    if asked.json:
        asked.json.write_text(json.dumps({**asdict(report), "wrong": wrong}, indent=1), encoding="utf-8")
    print("\n".join(["verdict: " + ("sound" if not wrong else "NOT SOUND"), *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
