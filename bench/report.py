"""docs/performance.md from what was measured: tables, the command that made them, and the words around them.

What must never stand here: measuring.
"""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path
from typing import Any

from bench import plots
from bench.servers import BENCH, PEERS_BY_NAME

PAGE = BENCH.parent / "docs/performance.md"
WORDS = BENCH / "words.md"
"""What no measurement says: how to read the tables, where the time goes, what is not reached."""
MARK = "<!-- tables -->"
CLIENTS = "<!-- clients -->\n"
"""From here on the page is about clients, and bench/client.py writes it."""
OURS = "ours"


def page(command: str, loads: list[dict[str, Any]], others: dict[str, Any], growth: dict[str, Any]) -> str:
    """The whole page; ``loads`` as run.py gathers them, ``others`` the tables of pipes and crowds, ``growth`` ours."""
    made = f"`{command}` on {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    shown = plots.write(loads, others)
    tables = [_before(shown, one["title"]) + _load(one) for one in loads]
    tables += [_before(shown, title) + _other(title, rows) for title, rows in others.items()]
    if growth:
        tables.append(_growth(growth))
    return WORDS.read_text().replace(MARK, "\n\n".join([f"Made by {made}.", *tables]))


def _before(shown: dict[str, str], title: str) -> str:
    """The plot of a table, where it is the first of that title."""
    return f"{plot}\n\n" if (plot := shown.pop(title, "")) else ""


def _growth(growth: dict[str, list[float]]) -> str:
    lines = ["**how this framework grows**\n", "| what | median | least-most |", "|---|--:|--:|"]
    for what, values in growth.items():
        lines.append(f"| {what} | {statistics.median(values):,.2f} | {min(values):,.2f}-{max(values):,.2f} |")
    return "\n".join(lines)


def write(command: str, loads: list[dict[str, Any]], others: dict[str, Any], growth: dict[str, Any]) -> Path:
    """Write the page, but for what is said of clients, and tell where it is."""
    clients = "".join(PAGE.read_text().partition(CLIENTS)[1:])
    PAGE.write_text(page(command, loads, others, growth) + clients)
    return PAGE


def write_clients(section: str) -> Path:
    """Write what is said of clients, and leave the rest of the page."""
    PAGE.write_text(PAGE.read_text().partition(CLIENTS)[0] + CLIENTS + section)
    return PAGE


def _load(one: dict[str, Any]) -> str:
    limits, ours = one["micros"].get("limit"), one["micros"].get("ours")
    lines = [
        f"**{one['title']}**, {'sessions' if one['era'] == 'session' else 'newest revision'}: CPU of the server\n",
        "| server | µs | × the limit (least-most) | × ours |",
        "|---|--:|--:|--:|",
    ]
    for name, micros in one["micros"].items():
        title = PEERS_BY_NAME[name].title
        title = f"**{title}**" if name == OURS else title
        cells = [f"{statistics.median(micros):,.0f}", _ratio(micros, limits), _ratio(micros, ours, spread=False)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(micros: list[float], others: list[float] | None, *, spread: bool = True) -> str:
    if not others or len(others) != len(micros):
        return ""
    found = sorted(mine / other for mine, other in zip(micros, others, strict=True))
    shown = f"{statistics.median(found):.2f}"
    return f"{shown} ({found[0]:.2f}-{found[-1]:.2f})" if spread else shown


def _other(title: str, rows: dict[str, list[float]]) -> str:
    lines = [f"**{title}**\n", "| server | median | least-most |", "|---|--:|--:|"]
    for name, values in rows.items():
        shown = PEERS_BY_NAME[name].title
        shown = f"**{shown}**" if name == OURS else shown
        lines.append(f"| {shown} | {statistics.median(values):,.1f} | {min(values):,.1f}-{max(values):,.1f} |")
    return "\n".join(lines)
