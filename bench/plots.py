"""Which measurements are plotted, and where the files stand: beside docs/performance.md.

What must never stand here: how a plot is drawn.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench import plot
from bench.servers import BENCH, PEERS_BY_NAME

FOLDER = BENCH.parent / "docs/plots"
ERAS = {"session": "sessions", "modern": "newest revision"}
LOADS = {"call": "µs", "list": "µs", "stream": "µs", "handshake": "µs"}
"""Scenarios that are plotted by era, and their unit."""
OTHERS = {
    "stdio, calls a second, one after the other": ("stdio", "/s", "longer is faster"),
    "stdio, first answer after start, ms": ("start", "ms", "shorter is sooner"),
    "resident memory, stdio, MiB": ("memory", "MiB", "shorter is smaller"),
}
"""Title of a table → the file's name, the unit, how to read it."""


def write(loads: list[dict[str, Any]], others: dict[str, Any]) -> dict[str, str]:
    """Write all plots that there are figures for; a table's title → the lines that show its plot."""
    FOLDER.mkdir(exist_ok=True)
    shown: dict[str, str] = {}
    for name, unit in LOADS.items():
        found = [one for one in loads if one["scenario"] == name]
        if found:
            title = found[0]["title"]
            groups = {ERAS[one["era"]]: _rows(one["micros"]) for one in found}
            note = "processor time of the server per request; shorter is cheaper, the scale is logarithmic"
            shown[title] = _written(name, plot.bars(title, note, groups, unit=unit), title)
    for title, (name, unit, note) in OTHERS.items():
        if title in others:
            drawn = plot.bars(title, f"{note}, the scale is logarithmic", {"": _rows(others[title])}, unit=unit)
            shown[title] = _written(name, drawn, title)
    return shown


def _rows(samples: dict[str, list[float]]) -> list[tuple[str, float, bool]]:
    return [
        (PEERS_BY_NAME[name].title.removesuffix(", metrics counted"), statistics.median(values), name == "ours")
        for name, values in samples.items()
    ]


def _written(name: str, drawn: str, title: str) -> str:
    file: Path = FOLDER / f"{name}.svg"
    file.write_text(drawn)
    return f"![{title}](plots/{file.name})"
