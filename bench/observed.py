"""The server of the benchmarks with metrics and the audit trail installed, as an operator would.

What must never stand here: tools.
"""

from __future__ import annotations

from bench import server as plain
from mcpkit.observe.audit import Audit
from mcpkit.observe.metrics import Metrics

if __name__ == "__main__":
    plain.server.observe(Metrics())
    plain.server.observe(Audit())
    plain.main()
