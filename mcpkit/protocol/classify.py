"""Which revision governs a message: one pure function, the same for every door.

The era is told by ``_meta`` and the version header, never by a method's name or by routing headers alone. What must
never stand here: looking up a session, a status, serving anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest
from mcpkit.jsonrpc.messages import Batch, ErrorResponse, Message, Notification, Request, Response
from mcpkit.protocol.envelope import Envelope, has_envelope, read_envelope
from mcpkit.protocol.errors import HeaderMismatch, UnsupportedProtocolVersion
from mcpkit.protocol.headers import METHOD_HEADER, SESSION_HEADER, VERSION_HEADER, check_routing
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, HANDSHAKE_NAMES, REVISIONS
from mcpkit.protocol.revisions.revision import Revision
from mcpkit.protocol.types import META_PROTOCOL_VERSION

ENVELOPE_ONLY: Final = frozenset(
    method
    for name in ENVELOPE_NAMES
    for method in REVISIONS[name].requests
    if not any(method in REVISIONS[older].requests for older in HANDSHAKE_NAMES)
)
"""Methods that only the envelope era has ever known."""


@dataclass(slots=True)  # not frozen: made for every request, and a frozen one costs twice as much
class Stateless:
    """The message stands for itself; ``envelope`` is None for a notification that brought none."""

    revision: Revision
    envelope: Envelope | None


@dataclass(frozen=True, slots=True)
class Handshake:
    """``initialize``: a session begins."""


@dataclass(slots=True)  # not frozen, as above
class InSession:
    """The message belongs to the session with this id, if there is one."""

    id: str


@dataclass(frozen=True, slots=True)
class OnStream:
    """The message was posted for the event stream with this id, and is answered there."""

    id: str


@dataclass(frozen=True, slots=True)
class Legacy:
    """A message of the handshake era without a session: served under the revision that its header names."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Plain:
    """Nothing but JSON-RPC. On a transport without headers: whatever the connection has agreed on."""


Route: TypeAlias = Stateless | Handshake | InSession | OnStream | Legacy | Plain

HANDSHAKE: Final = Handshake()
PLAIN_CALL: Final = Plain()


def classify(headers: Mapping[str, str] | None, stream: str | None, message: Message | Batch) -> Route:
    """The first rule that fits (protocol-core DUAL-02, transports §6).

    ``headers`` have lower-case names and are None on a transport that has none; ``stream`` is the session id in the
    URL of an HTTP+SSE POST. The caller answers errors with the message's id, in the newest revision's numbers.

    Raises: InvalidParams (an incomplete envelope), HeaderMismatch, UnsupportedProtocolVersion, InvalidRequest.
    """
    version = None if headers is None else headers.get(VERSION_HEADER)
    if version is not None and version not in REVISIONS:
        version = version.strip(" \t")
    if stream is not None:
        if not _is_initialize(message):
            _check_known(version)
        return OnStream(stream)
    if type(message) is Request or type(message) is Notification:
        return _call(headers, version, message)
    if type(message) is Batch:
        return _batch(headers, version, message)
    assert isinstance(message, (Response, ErrorResponse))
    return _answer(headers, version)


def _call(headers: Mapping[str, str] | None, version: str | None, message: Request | Notification) -> Route:
    if version in ENVELOPE_NAMES:  # then no envelope can belong to a handshake
        if message.method != "initialize" or has_envelope(message.params) or type(message) is Notification:
            return _stateless(headers, version, message)
    elif "_meta" in message.params and _is_enveloped(message.params, version):
        return _stateless(headers, version, message)
    if message.method == "initialize" and type(message) is Request:
        return HANDSHAKE  # whatever the header says: the body negotiates (AMB-14)
    if version is not None and version not in HANDSHAKE_NAMES:
        _check_known(version)
    route = _legacy(headers, version)
    if message.method in ENVELOPE_ONLY and headers is not None and type(route) is not InSession:
        read_envelope(message.params)  # there is none: the answer says what to send (DUAL-08)
    return route


def _is_enveloped(params: Mapping[str, Any], version: str | None) -> bool:
    return has_envelope(params) and not _belongs_to_a_handshake(params["_meta"], version)


def _belongs_to_a_handshake(meta: Mapping[str, Any], version: str | None) -> bool:
    """Whether an envelope names a revision of the handshake era and no header contradicts it (DUAL-02 step 3)."""
    declared = meta.get(META_PROTOCOL_VERSION)
    return type(declared) is str and declared in HANDSHAKE_NAMES and version in (None, declared)


def _stateless(headers: Mapping[str, str] | None, version: str | None, message: Request | Notification) -> Stateless:
    """The ladder of the envelope era; the first failure wins (DUAL-06, DUAL-07)."""
    if type(message) is Notification:
        return _stateless_notification(headers, version, message)
    envelope = read_envelope(message.params)
    if headers is not None:
        check_routing(headers, message.method, message.params)
    if envelope.version not in ENVELOPE_NAMES:
        raise UnsupportedProtocolVersion(envelope.version)
    return Stateless(REVISIONS[envelope.version], envelope)


def _stateless_notification(headers: Mapping[str, str] | None, version: str | None, message: Notification) -> Stateless:
    """A notification needs neither envelope nor headers, but what it has must agree (SHM-15)."""
    if has_envelope(message.params):
        declared = message.params["_meta"].get(META_PROTOCOL_VERSION, version)
        if not isinstance(declared, str):
            raise InvalidParams(f"_meta key {META_PROTOCOL_VERSION} must be a string")
    else:
        declared = version or ""
    if version is not None and declared != version:
        raise HeaderMismatch("the header MCP-Protocol-Version does not match the version in params._meta")
    if headers is not None and headers.get(METHOD_HEADER, message.method).strip(" \t") != message.method:
        raise HeaderMismatch("the header Mcp-Method does not match method")
    if declared not in ENVELOPE_NAMES:
        raise UnsupportedProtocolVersion(declared)
    return Stateless(REVISIONS[declared], None)


def _batch(headers: Mapping[str, str] | None, version: str | None, batch: Batch) -> Route:
    """An array: only one revision has them, and plain JSON-RPC (BAT-02…BAT-06)."""
    if version in ENVELOPE_NAMES or any(_forbids_batch(entry) for entry in batch.messages):
        raise InvalidRequest("this message can't travel in an array; send it alone")
    _check_known(version)
    route = _legacy(headers, version)
    if isinstance(route, Legacy) and not route.revision.batch:
        raise InvalidRequest(f"{route.revision.name} has no batches; send one message at a time")
    return route


def _forbids_batch(entry: Any) -> bool:
    if not isinstance(entry, (Request, Notification)):
        return False
    if _is_enveloped(entry.params, None):
        return True
    return entry.method == "initialize"


def _answer(headers: Mapping[str, str] | None, version: str | None) -> Route:
    """The client's answer to a question; only sessions ask (RPC-17, SHM-02)."""
    if version in ENVELOPE_NAMES:
        raise InvalidRequest("clients send no responses in this revision; answer a question by a retry")
    _check_known(version)
    route = _legacy(headers, version)
    if not isinstance(route, InSession):
        raise InvalidRequest("a response belongs to a session; send its id in Mcp-Session-Id")
    return route


def _legacy(headers: Mapping[str, str] | None, version: str | None) -> Route:
    if headers is None:
        return PLAIN_CALL
    session = headers.get(SESSION_HEADER)
    if session is not None:
        return InSession(session.strip(" \t"))
    return PLAIN_CALL if version is None else Legacy(REVISIONS[version])


def _is_initialize(message: Message | Batch) -> bool:
    return isinstance(message, Request) and message.method == "initialize"


def _check_known(version: str | None) -> None:
    """That a version header, where there is one, names a revision at all (SHL-53, DUAL-02 step 5)."""
    if version is not None and version not in REVISIONS:
        raise UnsupportedProtocolVersion(version)
