"""Compares servers: ``python -m bench.run`` measures, prints medians and paired ratios, writes docs/performance.md.

Rounds are interleaved: each visits every server once, and a ratio compares two servers of one round, so that a noisy
minute harms both. What must never stand here: how something is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import crowds, growth, load, pipes, report
from bench.servers import PEERS_BY_NAME

LIMIT = "limit"
CROWDED = ("limit", "ours", "typescript", "sdk")
Rounds = dict[str, list[float]]


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(PEERS_BY_NAME), help="names, with commas between")
    parser.add_argument("--scenarios", default=",".join([*load.SCENARIOS, "pipes", "crowds", "growth"]))
    parser.add_argument("--eras", default="session,modern")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="load per measurement")
    parser.add_argument("--samples", type=Path, help="keep the numbers in this file, and go on with what is there")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    asked = parser.parse_args(arguments)
    found = _kept(asked.samples)
    names = [name for name in asked.servers.split(",") if PEERS_BY_NAME[name].installed]
    for name in asked.scenarios.split(","):
        _measure(name, names, asked, found)
        if asked.samples:
            asked.samples.write_text(json.dumps(found, indent=1))
    if asked.write:
        print(report.write(f"python -m bench.run --rounds {asked.rounds} --seconds {asked.seconds:g} --write", **found))


def _kept(file: Path | None) -> dict[str, Any]:
    if file is not None and file.exists():
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept
    return {"loads": [], "others": {}, "growth": {}}


def _measure(name: str, names: list[str], asked: argparse.Namespace, found: dict[str, Any]) -> None:
    if name == "pipes":
        for title, (measure, able) in pipes.MEASURES.items():
            found["others"][title] = _rounds(title, measure, [one for one in names if one in able], asked.rounds)
    elif name == "crowds":
        for era in asked.eras.split(","):
            _streams(era, [one for one in names if one in CROWDED], asked.rounds, found["others"])
    elif name == "growth":
        found["growth"] = _growth(asked.rounds)
    elif name:
        scenario = load.SCENARIOS[name]
        for era in (era for era in asked.eras.split(",") if era in scenario.eras):
            _load(scenario, era, names, asked, found["loads"])


def _load(
    scenario: load.Scenario, era: str, names: list[str], asked: argparse.Namespace, loads: list[dict[str, Any]]
) -> None:
    def measure(name: str) -> float:
        return load.measure(scenario, era, name, asked.seconds).micros

    able = [name for name in names if name not in scenario.leave_out]
    micros = _rounds(f"{scenario.title} ({era}), µs CPU", measure, able, asked.rounds)
    loads[:] = [one for one in loads if (one["scenario"], one["era"]) != (scenario.name, era)]
    loads.append({"scenario": scenario.name, "title": scenario.title, "era": era, "micros": micros})


def _growth(rounds: int) -> Rounds:
    """Of ours alone."""
    samples: Rounds = {}
    for _ in range(rounds):
        for name, measure in growth.MEASURES.items():
            try:
                for what, figure in measure().items():
                    samples.setdefault(what, []).append(figure)
            except (RuntimeError, TimeoutError, OSError) as failure:
                print(f"{name} is left out: {failure}", file=sys.stderr)
    for what, figures in samples.items():
        print(f"  {what:80} {statistics.median(figures):10,.2f}", flush=True)
    return samples


def _streams(era: str, names: list[str], rounds: int, others: dict[str, Any]) -> None:
    pairs: dict[str, list[tuple[float, float]]] = {}

    def measure(name: str) -> float:
        pair = crowds.streams(name, era)
        pairs.setdefault(name, []).append(pair)
        return pair[0]

    title = f"{crowds.STREAMS:,} open streams ({era})"
    others[f"{title}, KiB per stream"] = _rounds(f"{title}, KiB per stream", measure, names, rounds)
    others[f"{title}, last notified after, ms"] = {name: [last for _, last in found] for name, found in pairs.items()}


def _rounds(title: str, measure: Callable[[str], float], names: list[str], rounds: int) -> Rounds:
    """Samples by server, one of each round; printed."""
    samples: Rounds = {name: [] for name in names}
    for _ in range(rounds):
        for name in tuple(samples):
            try:
                samples[name].append(measure(name))
            except (RuntimeError, TimeoutError, OSError, AssertionError) as failure:
                print(f"{name} is left out of {title}: {failure}", file=sys.stderr)
                del samples[name]
    print(f"\n{title}")
    for name, found in samples.items():
        print(
            f"  {PEERS_BY_NAME[name].title:40} {statistics.median(found):10,.1f} {_spread(found, samples)}", flush=True
        )
    return samples


def _spread(found: list[float], samples: Rounds) -> str:
    if LIMIT not in samples:
        return ""
    ratios = sorted(mine / limit for mine, limit in zip(found, samples[LIMIT], strict=True))
    return f"{statistics.median(ratios):7.2f} x the limit ({ratios[0]:.2f}-{ratios[-1]:.2f})"


if __name__ == "__main__":
    main()
