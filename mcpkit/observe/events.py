"""What an observer is told of a served request: names, sizes and times, each worked out only when it is asked for.

What must never stand here: argument values, tokens, session ids in clear; an exporter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

TOOL_CALL: Final = "tools/call"


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


class _Introduced(Protocol):
    @property
    def info(self) -> Mapping[str, Any]: ...


class Request(Protocol):
    """The request as it is served; observers see it through :class:`Served` only."""

    @property
    def id(self) -> str | int | None:
        """Its JSON-RPC id; None of a notification."""

    @property
    def method(self) -> str:
        """What is asked for."""

    @property
    def params(self) -> Mapping[str, Any]:
        """With what."""

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP's header fields, where there are any."""

    @property
    def revision(self) -> _Named:
        """The revision in force."""

    @property
    def client(self) -> _Introduced:
        """What the client says of itself."""

    @property
    def principal(self) -> _Identified | None:
        """Who calls, where that is known."""

    @property
    def session(self) -> _Identified | None:
        """The handshake session that it belongs to."""

    @property
    def caller(self) -> str:
        """Who it is counted for (limits.py)."""


class Served:
    """One request that has been answered. Nothing of it can be changed by one observer for the next."""

    __slots__ = ("__call", "__error", "__seconds")

    def __init__(self, call: Request, error: str | None, seconds: float) -> None:
        self.__call = call
        self.__error = error
        self.__seconds = seconds

    @property
    def method(self) -> str:
        """The JSON-RPC method, whatever the caller wrote."""
        return self.__call.method

    @property
    def target(self) -> str | None:
        """The tool's or prompt's name, or the resource's URI; None where there is none."""
        params = self.__call.params
        target = params["name"] if "name" in params else params.get("uri")
        return target if type(target) is str else None

    @property
    def revision(self) -> str:
        """The revision's name, empty for plain JSON-RPC."""
        return self.__call.revision.name

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """Method, the tool's name, error and revision, each empty where there is none: what metrics tell apart."""
        method = self.__call.method
        tool = self.target if method == TOOL_CALL else None
        return method, tool or "", self.__error or "", self.__call.revision.name

    @property
    def client(self) -> str | None:
        """What the client calls itself."""
        name = self.__call.client.info.get("name")
        return name if type(name) is str else None

    @property
    def principal(self) -> str | None:
        """Who called."""
        return self.__call.principal.id if self.__call.principal else None

    @property
    def session(self) -> str | None:
        """The session's id: a secret, to be shown as a fingerprint only."""
        return self.__call.session.id if self.__call.session else None

    @property
    def request_id(self) -> str:
        """The id of the request, as text."""
        return str(self.__call.id)

    @property
    def error(self) -> str | None:
        """None when all went well, ``tool_error`` for an isError result, else the JSON-RPC code, or ``cancelled``."""
        return self.__error

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.__seconds

    @property
    def argument_bytes(self) -> int:
        """How large the arguments are as JSON."""
        arguments = self.__call.params.get("arguments")
        if not arguments:
            return 0
        try:
            return len(orjson.dumps(arguments))
        except TypeError:  # an integer of more than 64 bits, half a surrogate pair
            return len(json.dumps(arguments, separators=(",", ":")))


class Observer(Protocol):
    """Sees requests come and go; must be quick and must not raise."""

    def began(self, method: str) -> None:
        """A request has reached its handler."""

    def served(self, event: Served) -> None:
        """The request has been answered, or failed, or was cancelled."""
