"""One target under atheris, in its own process: python -m tests.fuzz.one_target NAME [options of libFuzzer] FOLDER…

What must never stand here: how long, how many (campaign.py says so).
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["mcpkit", "routers"]):
    from tests.fuzz.targets.every import TARGETS


def main() -> None:
    """Run until libFuzzer has had enough."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
