"""The tools of many servers as one list for a model: named apart, made safe to read, collisions told.

A model's endpoint takes names of 64 letters, digits, - and _ only. The first server keeps a name that two would have,
so that none can take over another's (TSEC-03). What must never stand here: calling, consent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.client.display import clean
from mcpkit.client.results import Tool
from mcpkit.host.model import ToolOffer
from mcpkit.jsonrpc.messages import JsonObject

LONGEST_NAME: Final = 64
MOST_TOOLS: Final = 128
"""What model endpoints take."""
LONGEST_DESCRIPTION: Final = 4_000
_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_-]")
_PROSE: Final = frozenset({"title", "description", "$comment"})


@dataclass(frozen=True, slots=True)
class Offered:
    """One tool of one server, and the name by which the model calls it."""

    name: str
    prefix: str
    place: str
    """What the server is known by, whatever it is called: its URL or command."""
    tool: Tool

    @property
    def offer(self) -> ToolOffer:
        """What the model is told."""
        description = clean(self.tool.description or self.tool.title, LONGEST_DESCRIPTION, lines=True)
        return ToolOffer(self.name, description, _readable(self.tool.input_schema))

    @property
    def fingerprint(self) -> str:
        """A digest of all that the model is told of it; another one means another definition."""
        told = [self.tool.name, self.tool.description, self.tool.input_schema]
        return hashlib.sha256(_canonical(told)).hexdigest()


def offered_name(prefix: str, tool_name: str) -> str:
    """``server0_add``; what an endpoint would refuse is replaced, what is too long ends in a digest."""
    name = _UNUSABLE.sub("_", f"{prefix}_{tool_name}")
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}_{hashlib.sha256(tool_name.encode()).hexdigest()[:8]}"


def offers_of(servers: Sequence[tuple[str, str, Iterable[Tool]]]) -> tuple[dict[str, Offered], list[str]]:
    """The tools of all servers (prefix, place, tools) by offered name, and a sentence for each that was left out."""
    offers: dict[str, Offered] = {}
    collisions = []
    for prefix, place, tools in servers:
        for tool in tools:
            made = Offered(offered_name(prefix, tool.name), prefix, place, tool)
            first = offers.setdefault(made.name, made)
            if first is not made:
                collisions.append(
                    f"{made.name} would be both {clean(first.tool.name, 100)} of {first.prefix} "
                    f"and {clean(tool.name, 100)} of {prefix}: the second is left out"
                )
    for made in list(offers.values())[MOST_TOOLS:]:
        del offers[made.name]
        collisions.append(f"{made.name} is left out: a model takes no more than {MOST_TOOLS} tools")
    return offers, collisions


def _readable(schema: Any) -> JsonObject:
    """The schema with its prose made safe; all else must stay as it is, or arguments would no longer fit."""
    made = _made_readable(schema)
    return made if isinstance(made, dict) and made else {"type": "object", "properties": {}}


def _made_readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: clean(part, LONGEST_DESCRIPTION, lines=True)
            if name in _PROSE and isinstance(part, str)
            else _made_readable(part)
            for name, part in value.items()
        }
    return [_made_readable(part) for part in value] if isinstance(value, list) else value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")
