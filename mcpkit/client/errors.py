"""What can go wrong between a call and its answer, as a caller of the client sees it.

A failure that happened here (a timeout, a lost connection) never looks like an error that the server answered
(ERR-08): only :class:`ServerRefused` carries a JSON-RPC code. What must never stand here: recovery, I/O.

    ClientError
    ├ Unreachable            nothing was sent: nobody there, TLS failed, the command does not start
    │ └ ProxyUnusable        the environment names a proxy that can't be used
    ├ ConnectionLost         it broke underway; ``sent`` tells whether the server may have seen the request
    │ └ SessionEnded         the server no longer knows the session, and has not served the request
    ├ Timeout                the deadline passed
    ├ HttpRefused            an HTTP status without a JSON-RPC answer
    ├ ServerRefused          a JSON-RPC error
    ├ ProtocolViolation      an answer that is none
    ├ AuthorizationFailed    no usable token, or the server refuses the one we have
    ├ Unsupported            the server or its revision does not offer this
    ├ InputUnavailable       the server asks for something that no handler provides
    └ ToolFailed             the tool answered ``isError``
"""

from __future__ import annotations

from typing import Any

from mcpkit.client.display import clean
from mcpkit.jsonrpc.errors import McpKitError, RpcError


class ClientError(McpKitError):
    """Anything that kept a call from being answered."""

    retryable = False
    """The same call may succeed when it is made again, and making it again does no harm of itself."""


class Unreachable(ClientError):
    """Nothing was sent: no such host, nobody listening, TLS failed, the command does not start."""

    retryable = True


class ProxyUnusable(Unreachable):
    """The environment wants a proxy that can't be used: a setting is wrong, and trying again does not help."""

    retryable = False


class ConnectionLost(ClientError):
    """The connection broke before the answer came."""

    retryable = True

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent
        """The server may have seen the request; False when it certainly has not."""


class SessionEnded(ConnectionLost):
    """The server has forgotten the session (SHL-45); the request was not served."""

    def __init__(
        self, message: str = "the server no longer knows this session", *, refusal: ClientError | None = None
    ) -> None:
        super().__init__(message, sent=False)
        self.refusal = refusal
        """In which words the server said so."""


class Timeout(ClientError):
    """The deadline passed; the request was cancelled the way its transport cancels."""

    retryable = True


class HttpRefused(ClientError):
    """The HTTP status says no and the body is no JSON-RPC answer."""

    def __init__(self, status: int, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        """Seconds after which the server wants to be asked again, where it says so."""

    @property
    def retryable(self) -> bool:  # type: ignore[override] # of an instance: it depends on the status
        """The server is busy (429, 503) or away (502, 504)."""
        return self.status in {429, 502, 503, 504}

    @property
    def served(self) -> bool:
        """The request may have been served all the same; a busy server says that it has not."""
        return self.status not in {429, 503}


class ServerRefused(ClientError):
    """The server answered with a JSON-RPC error."""

    def __init__(self, error: RpcError, *, status: int | None = None) -> None:
        super().__init__(f"{clean(error.message, 500)} ({error.code})")
        self.error = error
        self.status = status
        """The HTTP status that the answer came with, if it came over HTTP."""

    @property
    def code(self) -> int:
        """The JSON-RPC error code."""
        return self.error.code

    @property
    def data(self) -> Any:
        """What the server added to the error."""
        return self.error.data


class ProtocolViolation(ClientError):
    """The other end answered something that the protocol does not allow."""


class AuthorizationFailed(ClientError):
    """There is no token for this server, or it refuses the one there is."""

    asks_server = False
    """What the server itself says of its refusal belongs to the message."""

    def __init__(self, message: str, *, challenged: bool = True) -> None:
        super().__init__(message)
        self.challenged = challenged
        """The server said which authorization it wants; where not, it may want something else than authorization."""


class Unsupported(ClientError):
    """The server, or the revision spoken with it, does not offer this."""


class InputUnavailable(ClientError):
    """The server asks for input (elicitation, sampling, roots) that no handler of this client provides."""

    def __init__(self, message: str, refusal: RpcError) -> None:
        super().__init__(message)
        self.refusal = refusal
        """What is answered where the question was a request (ROOT-04, ELIC-06)."""


class ToolFailed(ClientError):
    """The tool itself failed; ``result`` is its whole answer, and the message is its text, fit to be shown."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(clean(message, lines=True))
        self.result = result
