"""One request being served, and the way to talk back while serving it.

Whatever the door (stateless POST, session POST, HTTP+SSE, stdio, plain JSON-RPC), a request becomes one
:class:`Exchange`, and the kernel answers it. What must never stand here: I/O, a mode flag that says which
door it was (the channel says no by itself), a revision's date.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from mcpkit.jsonrpc.codec import encode_notification
from mcpkit.jsonrpc.errors import McpKitError
from mcpkit.jsonrpc.messages import Id, JsonObject
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.security.principal import Principal

BEGUN: Final = "begun"
"""In :attr:`Exchange.state`: an async function without arguments, awaited when everything that a handler needs is
settled and its body begins. Whoever puts it there bounds the body's time itself."""


class NoBackChannel(McpKitError):
    """The caller can't be asked anything: there is no way back to it from this request."""


class InputRequired(BaseException):
    """A handler asked something that the caller can only answer by retrying (revisions that ask by result).

    It derives from BaseException so that a handler's ``except Exception`` can't swallow the question.
    """

    control_flow: ClassVar[bool] = True
    """It passes through handlers (aio.as_exception)."""


class Channel(Protocol):
    """How a running handler talks back to the caller of this one exchange."""

    async def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification that belongs to this request; dropped where there is no way back."""

    def offer(self, notification: bytes) -> bool:
        """Send a notification that is encoded already, waiting for nothing; False where it can't: then :meth:`notify`.

        Where thousands listen, waking the task of each costs more than telling it.
        """

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Ask the client and wait for its answer.

        Raises: NoBackChannel when nothing can be asked; RpcError when the client refused.
        """

    def close_stream(self, retry_ms: int | None = None) -> None:
        """End the HTTP response but not the request: the caller polls for the rest (2025-11-25 SSE polling)."""

    def hang_up(self) -> None:
        """End the caller's session, or a plain caller's connection, once this exchange is answered."""


class Silent:
    """The channel of a caller that can't be talked back to: notifications vanish, questions are refused."""

    __slots__ = ()

    async def notify(self, method: str, params: JsonObject) -> None:
        """Drop it."""

    def offer(self, notification: bytes) -> bool:
        """Drop it, at once."""
        return True

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        """Refuse.

        Raises: NoBackChannel, always.
        """
        raise NoBackChannel("this caller can't be asked: it opened no channel for questions")

    def close_stream(self, retry_ms: int | None = None) -> None:
        """There is none."""

    def hang_up(self) -> None:
        """There is nothing to end."""


SILENT = Silent()


class Client(NamedTuple):  # not a frozen dataclass: made for every request of the newest era, and that costs thrice
    """What the caller says of itself: never a basis for trust or behaviour, only for display and capability checks."""

    info: Mapping[str, Any] = MappingProxyType({})
    capabilities: Mapping[str, Any] = MappingProxyType({})


UNKNOWN_CLIENT = Client()


class SessionState(Protocol):
    """What a handshake session remembers between requests, as far as features may see it."""

    id: str
    log_level: str | None
    subscriptions: frozenset[str]
    """The URIs that it watches; replaced by :meth:`watch` and :meth:`unwatch`, for most sessions watch none."""
    elicitations: tuple[str, ...]
    """The ids of the pages that its user was last asked to open."""

    async def watch(self, uri: str) -> None:
        """Watch one URI more. Raises: BoundReached."""

    def unwatch(self, uri: str) -> None:
        """Watch it no more; one that was not watched is fine."""


@dataclass(slots=True)
class Exchange:
    """One request (or notification: ``id`` is None) being served. Data only."""

    id: Id | None
    method: str
    params: JsonObject
    revision: Revision
    channel: Channel = SILENT
    client: Client = UNKNOWN_CLIENT
    principal: Principal | None = None
    log_level: str | None = None
    """The level this request asked for in its ``_meta`` (envelope era); a session's level is in ``session``."""
    session: SessionState | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP header fields of the request, names in lower case; empty on transports without headers."""
    state: dict[str, Any] = field(default_factory=dict)
    """Scratch space of the features that serve this exchange (asking keeps its sealed state here)."""
    caller: str = ""
    """Who is counted together (limits.py): the principal's id, else the address that the request comes from."""

    def notify(self, method: str, params: JsonObject) -> Awaitable[None]:
        """Send a notification about this request, in the shape its revision knows; to be awaited."""
        return self.channel.notify(method, self.revision.lowered(method, params))

    def encoded(self, method: str, params: JsonObject) -> bytes:
        """What :meth:`notify` would send, for :meth:`Channel.offer`."""
        return encode_notification(method, self.revision.lowered(method, params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request to the client in its revision's shape and return the result it answers.

        Raises: NoBackChannel, RpcError.
        """
        return await self.channel.request(method, self.revision.lowered(method, params))
