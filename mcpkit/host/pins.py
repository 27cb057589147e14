"""The definitions of tools as they were first seen, in a file: a tool that later says something else is noticed.

A server may show one description while it is being judged and another afterwards (the "rug pull"); a digest of all
that it says of a tool shows that, hints and output schema too. What must never stand here: what follows from it
(consent.py).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from mcpkit.client.background import log
from mcpkit.host.offers import Offered

Seen: TypeAlias = Literal["new", "same", "changed", "older"]
MAX_BYTES: Final = 16 * 1024 * 1024


class Pins:
    """What is known of tools, by the place of their server and their own name; kept in memory without a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = _read(path)

    def see(self, offered: Offered) -> Seen:
        """Compare with what was first seen; a tool that is new is remembered.

        "older": it is what an older version saw, which did not look at its title, hints and output schema.
        """
        pin = self._pin(offered)
        if pin is None:
            self._write(offered, approved=False)
            return "new"
        if "asks" not in pin:
            return "older" if pin.get("hash") == offered.older_fingerprint else "changed"
        return "same" if pin.get("hash") == offered.fingerprint else "changed"

    def approved(self, offered: Offered) -> bool:
        """The user allowed this very definition for good."""
        return self.see(offered) == "same" and (self._pin(offered) or {}).get("approved") is True

    def asked_before(self, offered: Offered) -> bool:
        """By what it said when it was first seen, this tool needed a question; hints that change never lower that."""
        return (self._pin(offered) or {}).get("asks") is True

    def accept(self, offered: Offered, *, approved: bool = False) -> None:
        """From now on this is the definition; with ``approved`` it may always be called."""
        self._write(offered, approved=approved)

    def _pin(self, offered: Offered) -> dict[str, Any] | None:
        pin = self._known.get(offered.place, {}).get(offered.tool.name)
        return pin if isinstance(pin, dict) else None

    def _write(self, offered: Offered, *, approved: bool) -> None:
        for place, tools in _read(self._path).items():  # another chat may have written meanwhile
            self._known[place] = {**self._known.get(place, {}), **tools}
        asks = self.asked_before(offered) or not offered.harmless
        pin = {"hash": offered.fingerprint, "approved": approved, "asks": asks}
        self._known.setdefault(offered.place, {})[offered.tool.name] = pin
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(self._path, json.dumps({"version": 2, "servers": self._known}, indent=1, sort_keys=True))
        except OSError as error:
            log.warning("%s can't be written, so definitions are remembered for this run only: %s", self._path, error)
            self._path = None


def _read(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None or not path.exists():
        return {}
    try:
        with path.open("rb") as file:
            kept = json.loads(file.read(MAX_BYTES))
        servers = kept["servers"] if isinstance(kept, dict) else None
        if not isinstance(servers, Mapping):
            raise ValueError("it holds no servers")
    except (OSError, ValueError, KeyError, RecursionError) as error:
        log.warning("%s can't be read, so every tool counts as new: %s", path, error)
        return {}
    return {place: tools for place, tools in servers.items() if isinstance(tools, dict)}


def _replace(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
