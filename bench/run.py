"""Compares servers: ``python -m bench.run`` measures, prints medians and paired ratios, writes docs/performance.md.

Rounds are interleaved: each visits every server once, and a ratio compares two servers of one round, so that a noisy
minute harms both. What must never stand here: how something is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

from bench.load import SCENARIOS, Sample, Scenario, measure
from bench.servers import PEERS_BY_NAME

LIMIT = "limit"


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", default=",".join(PEERS_BY_NAME), help="names, with commas between")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--eras", default="session,modern")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="load per measurement")
    parser.add_argument("--save", type=Path, help="append the samples to this file, as JSON")
    asked = parser.parse_args(arguments)
    names = [name for name in asked.servers.split(",") if PEERS_BY_NAME[name].installed]
    found = []
    for scenario in (SCENARIOS[name] for name in asked.scenarios.split(",")):
        for era in (era for era in asked.eras.split(",") if era in scenario.eras):
            rounds = measured(scenario, era, names, asked.rounds, asked.seconds)
            show(scenario, era, rounds)
            micros = {name: [sample.micros for sample in samples] for name, samples in rounds.items()}
            found.append({"scenario": scenario.name, "era": era, "micros": micros})
            if asked.save:
                asked.save.write_text(json.dumps(found, indent=1))


def measured(scenario: Scenario, era: str, names: list[str], rounds: int, seconds: float) -> dict[str, list[Sample]]:
    """Samples by server, one of each round."""
    samples: dict[str, list[Sample]] = {name: [] for name in names if name not in scenario.leave_out}
    for _ in range(rounds):
        for name in tuple(samples):
            try:
                samples[name].append(measure(scenario, era, name, seconds))
            except RuntimeError as failure:
                print(f"{name} is left out of {scenario.name} ({era}): {failure}", file=sys.stderr)
                del samples[name]
    return samples


def ratios(samples: list[Sample], limits: list[Sample]) -> list[float]:
    """How a server compares with the limit, round by round."""
    return [mine.micros / limit.micros for mine, limit in zip(samples, limits, strict=True)]


def show(scenario: Scenario, era: str, rounds: dict[str, list[Sample]]) -> None:
    """Print one table."""
    print(f"\n{scenario.title} ({era})")
    limits = rounds.get(LIMIT, [])
    for name, samples in rounds.items():
        micros = statistics.median(sample.micros for sample in samples)
        spread = sorted(ratios(samples, limits)) if limits else []
        shown = f"{statistics.median(spread):7.2f} x  ({spread[0]:.2f}-{spread[-1]:.2f})" if spread else ""
        print(f"  {PEERS_BY_NAME[name].title:40} {micros:9.0f} µs {shown}", flush=True)


if __name__ == "__main__":
    main()
