"""The keywords that a client and its calls take, with what each means: one table for the docs and the type checker.

What must never stand here: a default that lies elsewhere (limits.py), behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

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
