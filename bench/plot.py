"""Plots as small SVG files, readable on light and dark pages: bars by server, the longest at the right edge.

What must never stand here: what is plotted, a library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

WIDTH, ROW, BAR = 760, 24, 15
LABELS, FIGURES = 290, 110
"""How much of the width names and figures take."""
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .note { fill: #59636e; font-size: 12px }
  .bar { fill: #8c959f }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .bar { fill: #6e7681 }
    .ours { fill: #4493f8 }
  }
"""


def bars(title: str, note: str, groups: Mapping[str, Sequence[tuple[str, float, bool]]], *, unit: str) -> str:
    """A plot of named groups of ``(server, figure, whether it is ours)``; the scale is logarithmic.

    The shortest bar is not nothing: bars begin a little below the least figure.
    """
    figures = [figure for rows in groups.values() for _, figure, _ in rows]
    least, most = log10(min(figures)) - 0.25, log10(max(figures))
    lines = [f'<text class="title" x="0" y="16">{escape(title)}</text>']
    lines.append(f'<text class="note" x="0" y="34">{escape(note)}</text>')
    y = 46
    for group, rows in groups.items():
        if group:
            lines.append(f'<text class="note" x="0" y="{y + 14}">{escape(group)}</text>')
            y += ROW
        for name, figure, ours in rows:
            width = (WIDTH - LABELS - FIGURES) * (log10(figure) - least) / (most - least)
            shown = f"{figure:,.0f}" if figure >= 100 else f"{figure:,.1f}"
            lines.append(f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
            kind = "bar ours" if ours else "bar"
            lines.append(f'<rect class="{kind}" x="{LABELS}" y="{y + 1}" width="{width:.1f}" height="{BAR}" rx="2"/>')
            lines.append(f'<text x="{LABELS + width + 6:.1f}" y="{y + 13}">{shown} {escape(unit)}</text>')
            y += ROW
        y += ROW // 4
    body = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )
