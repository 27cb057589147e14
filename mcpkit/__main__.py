"""``python -m mcpkit``: the command line. What must never stand here: anything else."""

from __future__ import annotations

import sys

from mcpkit.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="mcpkit"))
