"""A few seconds of scripts/soak: it runs, finds nothing, and would find something; the long form is the script.

What must never stand here: a bound on time, or on memory in so short a run.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.conftest import ROOT, require
from tests.soak.chaos import MISDEEDS
from tests.soak.drive import Report
from tests.soak.samples import Sample, percentile, settled, slope, slopes

QUICK = [misdeed.__name__ for misdeed in MISDEEDS if misdeed.__name__.partition("_")[0] not in {"abandoned", "slow"}]
"""Misdeeds that no deadline has to end."""


@pytest.mark.slow
def test_a_few_seconds_over_every_transport(tmp_path: Path) -> None:
    """STEST-09, AVAIL-03 to 06: every answer right, nothing held at rest, no traceback, SIGTERM ends it with 0."""
    require(Path("/proc/self/fd").is_dir(), "scripts/soak reads /proc: it needs Linux")
    command = [sys.executable, "-m", "tests.soak.drive", "--minutes", "0.08", "--chaos", "0.05", "--patience", "30"]
    command += ["--slack", "100000", "--json", str(tmp_path / "report")]
    command += [word for name in sorted(set(QUICK)) for word in ("--misdeed", name)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = orjson.loads((tmp_path / "report").read_bytes())
    assert report["wrong"] == []
    assert len(report["percentiles"]) == 7, "every way to talk was taken"
    assert report["misdeeds"]
    assert report["requests"] > sum(report["misdeeds"].values())


def test_slopes_are_per_thousand_after_the_warm_part() -> None:
    warm = [Sample(n, 50_000 + 100 * n, 10, 1) for n in range(0, 400, 50)]
    late = [Sample(n, 90_000 + n // 100, 10 + n // 500, 1, 0, {"sessions": 3}) for n in range(400, 1001, 50)]
    found = slopes([*warm, *late])
    assert list(settled([*warm, *late])) == late
    assert found["RSS KiB"] == pytest.approx(10, rel=0.1)
    assert found["fds"] > 1
    assert found["threads"] == found["sessions"] == 0
    assert slope([]) == slope([(1, 1), (2, 2)]) == slope([(5, 1), (5, 9), (5, 2)]) == 0


def test_percentiles() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([], 0.5) == 0


def test_the_verdict_names_what_is_wrong() -> None:
    """It can fail: a leak, an answer that was wrong, something that is held at rest."""
    calm = Sample(0, 60_000, 14, 1, 0, {"active_calls": 0, "tasks": 4})
    flat = dict.fromkeys(("RSS KiB", "fds", "threads", "tasks", "sessions"), 0.0)
    sound = Report(60, 100, 50, 3000, {}, 0.5, calm, calm, calm, flat, {}, [])
    assert sound.verdict(1) == []
    assert "RSS KiB rises by 9.00" in replace(sound, slopes={**flat, "RSS KiB": 9.0}).verdict(1)[0]
    assert replace(sound, slopes={**flat, "RSS KiB": 9.0}).verdict(10) == []
    assert "1 unexpected" in replace(sound, faults=["echo: 500"]).verdict(1)[0]
    assert "still held" in replace(sound, rested=replace(calm, gauges={"active_calls": 1})).verdict(1)[0]
    assert "5 descriptors" in replace(sound, rested=replace(calm, fds=19)).verdict(1)[0]
    assert "9 tasks" in replace(sound, rested=replace(calm, gauges={"tasks": 9})).verdict(1)[0]
