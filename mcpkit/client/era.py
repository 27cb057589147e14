"""Which revision is spoken, and over which transport: found out by asking, remembered, forced where wanted.

The only place of the client that knows there are two eras. The order of questions is the specification's (DCLI, TCLI):
``server/discover`` first, ``initialize`` where the answer is that of a server which does not know it, HTTP+SSE where
not even that is understood. What must never stand here: I/O of its own, recovery later on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from mcpkit.client.background import log
from mcpkit.client.connection import Connection
from mcpkit.client.errors import (
    AuthorizationFailed,
    ClientError,
    ConnectionLost,
    HttpRefused,
    ProtocolViolation,
    ServerRefused,
    Timeout,
    Unreachable,
    Unsupported,
)
from mcpkit.client.results import ServerDescription
from mcpkit.client.transports.transport import Transport
from mcpkit.jsonrpc.errors import METHOD_NOT_FOUND
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.revisions.registry import ENVELOPE_NAMES, HANDSHAKE_NAMES, NEWEST, NEWEST_HANDSHAKE, REVISIONS
from mcpkit.protocol.revisions.revision import Era, ErrorKind, Revision
from mcpkit.protocol.types import (
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_LOG_LEVEL,
    META_PROTOCOL_VERSION,
    META_SERVER_INFO,
)

_UNSUPPORTED: Final = NEWEST.codes[ErrorKind.UNSUPPORTED_PROTOCOL_VERSION]
_MODERN_ONLY: Final = frozenset(
    {NEWEST.codes[ErrorKind.HEADER_MISMATCH], NEWEST.codes[ErrorKind.MISSING_CLIENT_CAPABILITY]}
)

Mode: TypeAlias = str
"""``auto``, ``legacy`` (the handshake) or the name of a revision."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way to reach a server. A target may have several, tried in this order."""

    kind: Literal["http", "sse", "stdio", "custom"]
    make: Callable[[], Transport]
    single: bool = False
    """It makes the same transport each time, which must be closed before it can be opened again."""

    @property
    def modern(self) -> bool:
        """A revision of the envelope era may be spoken here; never over HTTP+SSE."""
        return self.kind != "sse"

    @property
    def dies_of_questions(self) -> bool:
        """Asking what a server does not know may end it, so that it has to be started again."""
        return self.kind in {"stdio", "custom"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What worked."""

    door: str
    revision: str


class EraMemory:
    """What worked where, so that the next connection need not try everything (DCLI-06); by URL or command.

    It ends with the process (docs/decisions/0013 says why); an application may keep one of its own longer.
    """

    def __init__(self) -> None:
        self._known: dict[str, Agreement] = {}

    def recall(self, key: str) -> Agreement | None:
        """What worked last time."""
        return self._known.get(key)

    def remember(self, key: str, agreement: Agreement) -> None:
        """It worked."""
        self._known[key] = agreement

    def forget(self, key: str) -> None:
        """It no longer works."""
        self._known.pop(key, None)


class _Handshake(Exception):  # a verdict, not an error
    """The server is one of the handshake era."""


Connect: TypeAlias = Callable[[Door], Awaitable[Connection]]
"""Makes and opens a connection through a door."""


async def agree(
    connect: Connect, doors: Sequence[Door], mode: Mode, known: Agreement | None
) -> tuple[Connection, Door]:
    """A connection on which a revision is agreed, and the door it came through.

    Raises: ClientError, after every way has been tried; ValueError for a mode that is none.
    """
    offer = _offer(mode)
    if known is not None and mode == "auto":
        doors = [door for door in doors if door.kind == known.door] or doors
        if known.revision in HANDSHAKE_NAMES:
            return await _through(connect, doors[0], REVISIONS[known.revision], probe=False), doors[0]
    refused: ClientError | None = None
    for door in doors:
        if offer.era is Era.ENVELOPE and mode != "auto" and not door.modern:
            continue
        try:
            return await _through(connect, door, offer, probe=mode == "auto"), door
        except (HttpRefused, ServerRefused, ProtocolViolation) as error:
            if refused is not None:
                raise refused from error  # the first door's answer says more than the second's silence
            if not _may_be_older(error):
                raise
            refused = error
    raise refused or Unsupported(f"HTTP+SSE does not carry the revision {offer.name}")


def stamp(connection: Connection, revision: Revision) -> JsonObject:
    """What every request says of itself in its ``_meta``: nothing where a handshake has said it (META-10, META-13)."""
    if revision.era is not Era.ENVELOPE:
        return {}
    identity = connection.identity
    said: JsonObject = {
        META_PROTOCOL_VERSION: revision.name,
        META_CLIENT_INFO: identity.info_for(revision),
        META_CLIENT_CAPABILITIES: identity.capabilities_for(revision),
    }
    return said if identity.log_level is None else {**said, META_LOG_LEVEL: identity.log_level}


def mutual(error: ServerRefused) -> Revision | None:
    """The newest revision of the envelope era that a server which refused ours does serve (NEG-03)."""
    listed = error.data.get("supported") if error.code == _UNSUPPORTED and isinstance(error.data, dict) else None
    return _newest(listed, ENVELOPE_NAMES)


def check_mode(mode: Mode) -> None:
    """That there is such a mode.

    Raises: ValueError that lists them.
    """
    _offer(mode)


def _offer(mode: Mode) -> Revision:
    if mode == "auto":
        return NEWEST
    if mode == "legacy":
        return NEWEST_HANDSHAKE
    if mode not in REVISIONS:
        raise ValueError(f"mode must be auto, legacy or one of {', '.join(REVISIONS)}, not {mode!r}")
    return REVISIONS[mode]


async def _through(connect: Connect, door: Door, offer: Revision, *, probe: bool) -> Connection:
    """A connection through this door: asked first what it speaks, where ``probe``."""
    connection = await connect(door)
    try:
        if offer.era is Era.ENVELOPE and door.modern:
            try:
                await _discover(connection, offer, certain=not probe)
                return connection
            except _Handshake:
                offer = NEWEST_HANDSHAKE
            except ConnectionLost:
                if not (probe and door.dies_of_questions):
                    raise
                offer = NEWEST_HANDSHAKE
                await connection.close()
                connection = await connect(door)
        await _shake_hands_or_reconsider(connection, offer if offer.era is Era.HANDSHAKE else NEWEST_HANDSHAKE, probe)
        return connection
    except BaseException:
        await connection.close()
        raise


# ── the envelope era ────────────────────────────────────────────────────────────────────────────────────────────────


async def _discover(connection: Connection, offer: Revision, *, certain: bool) -> None:
    """Ask the server what it is, as a server of the envelope era would be asked.

    Raises: _Handshake when it is none (never where the caller is ``certain``), ClientError.
    """
    connection.agreed(offer, ServerDescription(), stamp(connection, offer))
    deadlines = connection.patience.deadlines
    seconds = deadlines.handshake if certain else deadlines.probe
    try:
        result = await connection.exchange("server/discover", {"_meta": connection.stamp}, seconds, cancellable=certain)
    except ServerRefused as error:
        other = mutual(error)
        if other is None:
            _judge(error, certain=certain)
            return
        connection.agreed(other, ServerDescription(), stamp(connection, other))
        result = await connection.exchange("server/discover", {"_meta": connection.stamp}, seconds, cancellable=True)
    except (HttpRefused, ProtocolViolation, Timeout) as error:
        if certain or not _may_be_older(error):
            raise
        raise _Handshake from error
    _described(connection, result)


def _judge(error: ServerRefused, *, certain: bool) -> None:
    """Return where the refusal is that of a server of the envelope era which merely has no discovery (DCLI-04/05)."""
    missing = error.code == METHOD_NOT_FOUND
    if missing and (certain or error.status == 404):
        return
    if error.code == _UNSUPPORTED and not _lists_handshake(error):
        raise Unsupported(f"the server serves none of the revisions this client knows: {error}") from error
    if certain or error.code in _MODERN_ONLY or (error.status or 0) >= 500:
        raise error
    raise _Handshake from error


def _described(connection: Connection, result: JsonObject) -> None:
    versions = result.get("supportedVersions", [connection.spoken.name])
    revision = _newest(versions, ENVELOPE_NAMES)
    if revision is None:
        if _newest(versions, HANDSHAKE_NAMES) is not None:
            raise _Handshake  # DCLI-07
        raise Unsupported("the server serves none of the revisions this client knows")
    meta = result.get("_meta")
    info = meta.get(META_SERVER_INFO) if isinstance(meta, dict) else None
    described = {**result, "protocolVersion": revision.name, "serverInfo": info if isinstance(info, dict) else {}}
    connection.agreed(revision, ServerDescription(described), stamp(connection, revision))


# ── the handshake era ───────────────────────────────────────────────────────────────────────────────────────────────


async def _shake_hands_or_reconsider(connection: Connection, offer: Revision, reconsider: bool) -> None:
    try:
        await _shake_hands(connection, offer)
    except ServerRefused as error:
        other = mutual(error)
        if other is None or not reconsider:
            raise
        await _discover(connection, other, certain=True)  # DCLI-09: it speaks the envelope era after all


async def _shake_hands(connection: Connection, offer: Revision) -> None:
    connection.transport.speak(None)
    connection.revision, connection.stamp = None, {}
    identity = connection.identity
    params: JsonObject = {
        "protocolVersion": offer.name,
        "capabilities": identity.capabilities_for(offer),
        "clientInfo": identity.info_for(offer),
    }
    seconds = connection.patience.deadlines.handshake
    result = await connection.exchange("initialize", params, seconds, cancellable=False)
    version = result.get("protocolVersion")
    if not isinstance(version, str) or version not in HANDSHAKE_NAMES:
        raise Unsupported(f"the server wants to speak {version!r}, which this client does not")  # INIT-09
    connection.agreed(REVISIONS[version], ServerDescription({"supportedVersions": [version], **result}), {})
    try:
        await connection.notify("notifications/initialized", {})
    except (HttpRefused, ServerRefused) as error:
        log.warning("the server refuses the notification that the handshake ends with: %s", error)
    await connection.transport.listen()


def _may_be_older(error: ClientError) -> bool:
    """The refusal fits a server that is older than the question; trouble on the way never does (DCLI-05)."""
    if isinstance(error, Unreachable | ConnectionLost | AuthorizationFailed):
        return False
    if isinstance(error, ServerRefused) and error.code in {_UNSUPPORTED, *_MODERN_ONLY}:
        return False
    if isinstance(error, HttpRefused | ServerRefused) and error.status is not None:
        return 400 <= error.status < 500 and error.status not in {401, 403, 429}
    log.debug("not understood: %s", error)
    return True


def _lists_handshake(error: ServerRefused) -> bool:
    return isinstance(error.data, dict) and _newest(error.data.get("supported"), HANDSHAKE_NAMES) is not None


def _newest(versions: object, among: frozenset[str]) -> Revision | None:
    listed = {version for version in versions if isinstance(version, str)} if isinstance(versions, list) else set()
    return next((revision for name, revision in REVISIONS.items() if name in listed and name in among), None)
