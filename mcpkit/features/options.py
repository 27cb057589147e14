"""What an author may say of a tool, a resource or a prompt, and the checks that are the same for all.

What must never stand here: how a thing is called or listed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeAlias, TypedDict

from mcpkit.features.content import Annotations
from mcpkit.features.errors import RegistrationError
from mcpkit.features.option_values import items
from mcpkit.features.suggestions import did_you_mean
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.exchange import Exchange
from mcpkit.protocol.meta_keys import fault_of
from mcpkit.protocol.types import CacheScope

Visible: TypeAlias = Callable[[Exchange], bool]

HOSTS_LONGEST_NAME: Final = 64
"""Characters of a name that hosts take, which offer tools to models as functions."""

MOST_UNPACKED: Final = 50_000
"""Values that texts among arguments may hold as JSON, as :class:`~mcpkit.jsonrpc.codec.Limits` counts them."""

logger = logging.getLogger("mcpkit.features")

_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_ICON_MEMBERS: Final = ("src", "mimeType", "sizes", "theme")
_ICON_SCHEMES: Final = ("https:", "http:", "data:image/")


ExtraArguments: TypeAlias = Literal["refuse", "ignore"]
"""What becomes of arguments that a tool doesn't know."""


@dataclass(slots=True)
class ArgumentOptions:
    """How one server takes arguments that fail their schema."""

    lenient: bool = True
    extra: ExtraArguments = "refuse"


class Options(TypedDict, total=False):
    """What can be said of any feature."""

    name: str
    """Its name for programs; the function's name when not given."""
    title: str
    """Its name for people."""
    description: str
    """What it is for; the docstring when not given."""
    icons: Sequence[Mapping[str, Any] | str]
    """Pictures of it: URLs, or objects with ``src``, ``mimeType``, ``sizes``."""
    meta: Mapping[str, Any]
    """Its ``_meta``."""
    tags: Collection[str]
    """Words to group it by; they are not sent."""
    enabled: bool
    """False offers it later, by its handle."""
    visible: Visible
    """Who may see and use it; for everybody else it does not exist."""
    scopes: Collection[str]
    """What an authenticated caller's token must allow."""
    timeout: float
    """Seconds that a call may take; 0: for ever. The server's default when not given."""
    concurrency: int
    """How many calls run at once; later ones wait, within their timeout."""
    inline: bool
    """Call a sync function in the event loop, not in a thread: only for code that never blocks."""
    ttl_ms: int
    """How long what is said of it (for a resource: its contents) may be kept, in milliseconds."""
    cache_scope: CacheScope
    """Whether anybody may keep it, or only the caller who got it."""


class ToolOptions(Options, total=False):
    """What can be said of a tool."""

    annotations: ToolAnnotations | Mapping[str, Any]
    input_schema: JsonObject
    """The author's own schema, published as it stands; the types still convert."""
    output_schema: JsonObject
    """The author's own schema of the structured content."""
    structured_output: bool
    """False: no output schema; True: a return type without one is refused."""
    cache: float
    """Seconds for which a value is given again to the same caller for the same arguments, without running the function;
    with ``cache_scope="public"`` to every caller. Kept in this process's memory, or in the Redis that replicas share;
    never errors, nor what was asked."""
    task: Literal["optional", "required", "forbidden"] | None
    """Whether calls may, must or can't become tasks (the tasks extension reads it)."""


class ResourceOptions(Options, total=False):
    """What can be said of a resource or a resource template."""

    mime_type: str
    annotations: Annotations | Mapping[str, Any]
    size: int
    """In bytes."""
    completions: Mapping[str, Any]
    """Suggestions for a template's variables: a list of values, or a function of what is typed so far."""


class PromptOptions(Options, total=False):
    """What can be said of a prompt."""

    completions: Mapping[str, Any]
    """Suggestions for the arguments: a list of values, or a function of what is typed so far."""


@dataclass(frozen=True, slots=True)
class ToolAnnotations:
    """Hints at what a tool does; clients must not trust them (TOOL-09)."""

    title: str | None = None
    read_only: bool | None = None
    """It changes nothing."""
    destructive: bool | None = None
    """What it changes may be lost."""
    idempotent: bool | None = None
    """Doing it twice is doing it once."""
    open_world: bool | None = None
    """It deals with things outside of the server."""

    def to_wire(self) -> JsonObject:
        """As it is sent."""
        hints = {
            "title": self.title,
            "readOnlyHint": self.read_only,
            "destructiveHint": self.destructive,
            "idempotentHint": self.idempotent,
            "openWorldHint": self.open_world,
        }
        return {name: hint for name, hint in hints.items() if hint is not None}


def check_options(what: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    """That every option exists.

    Raises: RegistrationError.
    """
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
            raise RegistrationError(f"{what} knows no option {name!r}{hint}")


def check_tool_name(name: str, where: str) -> str:
    """The name, if the specification allows it (TOOL-06).

    Raises: RegistrationError.
    """
    if _TOOL_NAME.fullmatch(name):
        warn_of_length("tool", name, where)
        return name
    better = re.sub(r"[^A-Za-z0-9_.-]+", "_", name, flags=re.ASCII).strip("_")[:64] or "a_name"
    raise RegistrationError(
        f"{name!r} ({where}) is no name for a tool: 1 to 128 letters, digits, '_', '-' or '.'; give name={better!r}"
    )


@cache
def warn_of_length(what: str, name: str, where: str) -> None:
    """Say once of a name that the specification allows and many hosts don't."""
    if len(name) > HOSTS_LONGEST_NAME:
        logger.warning(
            "the name of %s %r (%s) has %d characters; many hosts take at most %d",
            *(what, name, where, len(name), HOSTS_LONGEST_NAME),
        )


def icons_of(icons: Sequence[Mapping[str, Any] | str] | None, where: str) -> list[JsonObject]:
    """Icons as they are sent (ICON-01, ICON-02).

    Raises: RegistrationError.
    """
    fault = items(icons) if icons is not None else None
    if fault is not None:
        raise RegistrationError(f"{where}: icons must be {fault} of URLs, or of objects with src, mimeType and sizes")
    wire = [{"src": icon} if isinstance(icon, str) else _icon(icon, where) for icon in icons or ()]
    for icon in wire:
        if not str(icon.get("src", "")).startswith(_ICON_SCHEMES):
            raise RegistrationError(f"{where}: an icon's src must be an https: URL or a data:image/… URI")
    return wire


def _icon(icon: Any, where: str) -> JsonObject:
    if not isinstance(icon, Mapping):
        raise RegistrationError(f"{where}: an icon is a URL, or an object with {', '.join(_ICON_MEMBERS)}")
    for name in icon:
        if name not in _ICON_MEMBERS:
            hint = did_you_mean(str(name), _ICON_MEMBERS) or f"; there are {', '.join(_ICON_MEMBERS)}"
            raise RegistrationError(f"{where}: an icon has no member {name!r}{hint}")
    return dict(icon)


def meta_of(meta: Mapping[str, Any] | None, where: str) -> JsonObject:
    """An author's ``_meta`` as it is sent (META-01 to META-03).

    Raises: RegistrationError.
    """
    for key in meta or ():
        fault = fault_of(key)
        if fault:
            raise RegistrationError(f"{where}: the key {key!r} of meta {fault}")
    return dict(meta or {})
