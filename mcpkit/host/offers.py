"""The tools of many servers as one list for a model: named apart, made safe to read, collisions told.

A model's endpoint takes names of 64 letters, digits, - and _ only. The first server keeps a name that two would have,
so that none can take over another's (TSEC-03); the other's ends in a digest. What must never stand here: calling,
consent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mcpkit.client.display import clean
from mcpkit.client.results import Tool
from mcpkit.host.model import ToolOffer
from mcpkit.host.tool_schemas import parameters_of

LONGEST_NAME: Final = 64
MOST_TOOLS: Final = 128
"""What model endpoints take."""
LONGEST_DESCRIPTION: Final = 1_024
"""What OpenAI takes of a tool's description."""
LONGEST_TEXT: Final = 4_000
MOST_NAMED: Final = 8
DEFINITION: Final = ("name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution")
"""The members of a tool that say what it is and does; icons and the like do not."""
_UNUSABLE: Final = re.compile(r"[^A-Za-z0-9_-]")


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
        text = clean(self.tool.description or self.tool.title, LONGEST_TEXT, lines=True)
        parameters = parameters_of(self.tool.input_schema)
        if len(text) > LONGEST_DESCRIPTION:  # the rest goes where endpoints don't count
            text, rest = f"{text[: LONGEST_DESCRIPTION - 1]}…", f"…{text[LONGEST_DESCRIPTION - 1 :]}"
            parameters["description"] = "\n".join(filter(None, (rest, parameters.get("description"))))
        return ToolOffer(self.name, text, parameters)

    @property
    def harmless(self) -> bool:
        """It says that it changes nothing, or destroys nothing; and nothing to the contrary."""
        says = self.tool.annotations
        return says.destructive_hint is not True if says.read_only_hint is True else says.destructive_hint is False

    @property
    def fingerprint(self) -> str:
        """A digest of all that the server says of it, its hints too; another one means another definition."""
        told = {name: self.tool.get(name) for name in DEFINITION}
        return hashlib.sha256(_canonical(told)).hexdigest()

    @property
    def older_fingerprint(self) -> str:
        """The digest that was kept before titles, hints and output schemas counted."""
        told = [self.tool.name, self.tool.description, self.tool.input_schema]
        return hashlib.sha256(_canonical(told)).hexdigest()


def offered_name(prefix: str, tool_name: str) -> str:
    """``server0_add``; what an endpoint would refuse is replaced, what is too long ends in a digest."""
    name = _UNUSABLE.sub("_", f"{prefix}_{tool_name}")
    if not (name[0].isalpha() or name[0] == "_"):  # Gemini takes no other beginning
        name = f"_{name}"
    return name if len(name) <= LONGEST_NAME else _with_digest(name, prefix, tool_name)


def _with_digest(name: str, *of: str) -> str:
    digest = hashlib.sha256("\0".join(of).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}_{digest}"


def offers_of(servers: Sequence[tuple[str, str, Iterable[Tool]]]) -> tuple[dict[str, Offered], list[str]]:
    """The tools of all servers (prefix, place, tools) by offered name, and a sentence for what was left out.

    Two tools whose names would be one, as endpoints read them, both stay: the second one's name ends in a digest.
    """
    offers: dict[str, Offered] = {}
    taken: set[str] = set()
    left_out: list[str] = []
    for prefix, place, tools in servers:
        listed: dict[str, Tool] = {}
        twice = [tool.name for tool in tools if listed.setdefault(tool.name, tool) is not tool]
        if twice:
            names = ", ".join(clean(name, 100) for name in twice[:MOST_NAMED])
            left_out.append(f"{clean(prefix, 60)} lists more than one tool called {names}: the first is offered")
        # A tool whose very name an endpoint takes keeps it, wherever in its server's list it stands.
        for tool in sorted(listed.values(), key=lambda one: _UNUSABLE.search(one.name) is not None):
            name = _free_name(prefix, tool.name, place, taken)
            taken.add(name.lower())
            offers[name] = Offered(name, prefix, place, tool)
    return _as_many_as_fit(offers, left_out)


def _free_name(prefix: str, tool_name: str, place: str, taken: set[str]) -> str:
    """A name that no other tool has; some endpoints don't tell capitals apart."""
    name = wanted = offered_name(prefix, tool_name)
    salt = 0
    while name.lower() in taken:
        name = _with_digest(wanted, prefix, tool_name, *([place, str(salt)] if salt else []))
        salt += 1
    return name


def _as_many_as_fit(offers: dict[str, Offered], left_out: list[str]) -> tuple[dict[str, Offered], list[str]]:
    """The first tools, and one sentence for all the others."""
    others = list(offers.values())[MOST_TOOLS:]
    if others:
        count = Counter(clean(one.prefix, 60) for one in others)
        of = ", ".join(f"{number} of {prefix}" for prefix, number in count.most_common(MOST_NAMED))
        rest = sum(number for _, number in count.most_common()[MOST_NAMED:])
        of += f", {rest} of others" if rest else ""
        left_out.append(
            f"{len(others)} of {len(offers)} tools are left out, since models take no more than {MOST_TOOLS}: {of}; "
            "name fewer servers, or put those that matter first"
        )
    return dict(list(offers.items())[:MOST_TOOLS]), left_out


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode("utf-8", "surrogatepass")
