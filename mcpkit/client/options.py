"""The keywords that a client and its calls take, with what each means: one table for the docs and the type checker.

What must never stand here: a default that lies elsewhere (limits.py), behaviour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypedDict

from mcpkit.client.answers import ElicitationHandler, Roots, SamplingHandler
from mcpkit.client.cache import ResponseCache
from mcpkit.client.era import EraMemory
from mcpkit.client.limits import Patience
from mcpkit.client.notices import ChangeHandler, LogHandler, MessageHandler, ProgressHandler


class ClientOptions(TypedDict, total=False):
    """Keywords of :class:`~mcpkit.client.MCPClient`."""

    # what the server may ask
    elicitation_handler: ElicitationHandler
    """Fills in a form."""
    elicitation_url_handler: ElicitationHandler
    """Has the user open a page; must show the whole URL and get consent first (ELIC-27)."""
    sampling_handler: SamplingHandler
    """Has the client's model write something."""
    sampling_tools: bool
    """The sampling handler understands ``tools``."""
    roots: Roots
    """Folders that the server may work in: paths, file URIs, or a function that returns them."""

    # what the server tells
    progress_handler: ProgressHandler
    """Hears the progress of every call that has no handler of its own."""
    log_handler: LogHandler
    log_level: str
    """The least that the server should report; nothing where it is not given."""
    change_handler: ChangeHandler
    """Hears that a list has changed, for as long as the client is connected."""
    message_handler: MessageHandler
    """Hears every notification, by method and params."""

    # how the server is reached
    headers: Mapping[str, str]
    """HTTP header fields sent with every request."""
    http: Any
    """An ``httpx.AsyncClient`` (proxies, certificates) or an HttpCarrier to send through."""
    stderr: Callable[[str], None]
    """Is given each line that a child process writes to its standard error."""

    # who the client is
    client_info: Mapping[str, Any]
    extensions: Mapping[str, Mapping[str, Any]]
    """Extensions the client supports, by identifier, with their settings (EXT-01)."""

    # how long, how much
    timeout: float | None
    """Seconds of silence after which a call is given up; 60 by default, None waits for ever."""
    init_timeout: float
    """Seconds for the first answer of a server."""
    patience: Patience
    """Every other bound and deadline."""
    input_required_max_rounds: int
    cache: bool | ResponseCache
    """False keeps no results; a cache of the application's own may serve many clients."""
    check_output: bool
    """Check structured content against the tool's output schema where it is known; True by default."""
    eras: EraMemory
    """Where to remember which revision a server speaks."""


class CallOptions(TypedDict, total=False):
    """Keywords of every single call."""

    timeout: float | None
    """Seconds of silence after which it is given up; progress starts them anew."""
    progress_handler: ProgressHandler
    meta: Mapping[str, Any]
    """Added to the request's ``_meta`` (trace context, for example)."""


def check_client_options(options: Mapping[str, Any]) -> None:
    """Check the keywords of a client: that each exists, and can be what it is.

    Raises: TypeError for a keyword that there is not, with the nearest one; ValueError for a value.
    """
    for name, value in options.items():
        if name not in _CHECKS:
            raise TypeError(f"a client has no option {name}{_hint(name, _CHECKS)}; see mcpkit.client.options")
        fits, wanted = _CHECKS[name]
        if not (value is None and name in _MAY_BE_NONE) and not fits(value):
            raise ValueError(f"{name} must be {wanted}, not {value!r:.60}")


def _hint(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - needed only for a mistake

    near = get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, str) for pair in value.items() for each in pair)


def _are_objects(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(each, Mapping) for each in value.values())


def _are_roots(value: Any) -> bool:
    return callable(value) or (isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_SECONDS: Final = "a number of seconds, more than 0"
_FLAG: Final = (_is_flag, "True or False")
_HANDLERS: Final = tuple(name for name in ClientOptions.__annotations__ if name.endswith("_handler"))
_CHECKS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys((*_HANDLERS, "stderr"), (callable, "a function")),
    "sampling_tools": _FLAG,
    "roots": (_are_roots, "a list of folders, or a function that returns one"),
    "log_level": (lambda value: isinstance(value, str), "a text"),
    "headers": (_are_texts, "a dict of texts"),
    "http": (lambda value: not isinstance(value, str | int | Mapping), "an httpx.AsyncClient or an HttpCarrier"),
    "client_info": (lambda value: isinstance(value, Mapping), "a dict, as {'name': …, 'version': …}"),
    "extensions": (_are_objects, "a dict of identifiers with their settings, each a dict"),
    "timeout": (_is_time, f"{_SECONDS}; None waits for ever"),
    "init_timeout": (_is_time, _SECONDS),
    "patience": (lambda value: isinstance(value, Patience), "a Patience"),
    "input_required_max_rounds": (_is_count, "a whole number, 0 or more"),
    "cache": (lambda value: isinstance(value, bool | ResponseCache), "True, False or a ResponseCache"),
    "check_output": _FLAG,
    "eras": (lambda value: isinstance(value, EraMemory), "an EraMemory"),
}
"""What each keyword may be, and in which words that is told."""
_MAY_BE_NONE: Final = frozenset({*_HANDLERS, "stderr", "roots", "log_level", "http", "timeout"})
