"""The audit trail: one JSON line per request in a logger of its own.

Who called what, how it ended and how long it took; sizes, never values; a session as a short hash. What must never
stand here: arguments, results, tokens, keys, session ids.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime

import orjson

from mcpkit.observe.events import Served

logger = logging.getLogger("mcpkit.audit")


def fingerprint(secret: str | None) -> str | None:
    """Eight hex digits by which lines can be matched, and nothing else done."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8] if secret else None


def wanted(level: str) -> bool:
    """Whether anybody reads the trail, where the server's log has that level: decided once, at the start."""
    return level in {"debug", "info"} or logger.isEnabledFor(logging.INFO)


class Audit:
    """An observer that writes the trail at INFO; silent when that logger is off."""

    __slots__ = ()

    def began(self, method: str) -> None:
        """Nothing is written before the outcome is known."""

    def served(self, event: Served) -> None:
        """One line."""
        if not logger.isEnabledFor(logging.INFO):
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "principal": fingerprint(event.principal),
            "client": (event.client or "")[:64] or None,
            "session": fingerprint(event.session),
            "method": event.method[:64],
            "target": (event.target or "")[:128] or None,
            "outcome": event.error or "ok",
            "ms": round(event.seconds * 1000, 3),
            "argument_bytes": event.argument_bytes,
            "request_id": event.request_id[:64],
        }
        logger.info("%s", orjson.dumps(line).decode())
