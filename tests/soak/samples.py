"""What a process holds at a moment, what that comes to per thousand requests, and whether that is too much.

What must never stand here: load.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.wire import Wire, get

GAUGE = re.compile(r"^mcp_server_(active_calls|sessions|streams|tasks) ([0-9.e+]+)$", re.MULTILINE)
WARM = 0.4
"""The part of a run that fills caches and pools, and tells nothing of a leak."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server."""

    requests: int
    rss_kib: int
    fds: int
    threads: int
    cpu_seconds: float = 0.0
    gauges: dict[str, float] = field(default_factory=dict)


def look(pid: int, requests: int) -> Sample:
    """What Linux says of the process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    known = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
    times = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    spent = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    return Sample(requests, int(known["VmRSS"]), len(os.listdir(f"/proc/{pid}/fd")), int(known["Threads"]), spent)


async def gauges(port: int) -> dict[str, float]:
    """What the server says of itself on /metrics."""
    async with await Wire.open(port) as wire:
        answer = await wire.ask(get("/metrics"))
    return {name: float(value) for name, value in GAUGE.findall(answer.body.decode())}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The rise per thousand by least squares; 0 of fewer than three points, or when nothing moved."""
    count = len(points)
    mean_x, mean_y = (sum(values) / max(count, 1) for values in zip(*points, strict=True)) if points else (0.0, 0.0)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if count < 3 or not spread:
        return 0.0
    return 1000 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples after the warm part, by requests."""
    most = samples[-1].requests if samples else 0
    return [sample for sample in samples if sample.requests >= WARM * most]


def slopes(samples: Sequence[Sample]) -> dict[str, float]:
    """Per thousand requests: KiB of memory, descriptors, threads, tasks, sessions."""
    late = settled(samples)
    return {
        "RSS KiB": slope([(sample.requests, sample.rss_kib) for sample in late]),
        "fds": slope([(sample.requests, sample.fds) for sample in late]),
        "threads": slope([(sample.requests, sample.threads) for sample in late]),
        "tasks": slope([(sample.requests, sample.gauges.get("tasks", 0.0)) for sample in late]),
        "sessions": slope([(sample.requests, sample.gauges.get("sessions", 0.0)) for sample in late]),
    }


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which that part of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
