"""Sealed states: what a server must remember between a question and the retry that answers it, kept by the client.

A state is readable by the client but not alterable, and good for one caller, one method and one set of params only
(protocol-core MRTR-09, MRTR-10). What must never stand here: what is inside a state, single use (that needs a store).
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mcpkit.jsonrpc.errors import InvalidParams

LARGEST_STATE: Final = 64 * 1024
"""Characters of a sealed state; more is refused both ways."""
SHORTEST_KEY: Final = 16

_VERSION: Final = "v1"


class StateSealer:
    """Seals states with the newest key and opens what any of its keys has sealed."""

    __slots__ = ("_clock", "_keys", "_made_up", "_ttl_seconds")

    def __init__(
        self,
        key: bytes | None = None,
        ttl_seconds: float = 600,
        *,
        retired: Sequence[bytes] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Without ``key`` one is made up: states then die with the process and are unknown to other replicas.

        ``retired`` are keys that still open states but seal none; ``clock`` gives seconds since the epoch.
        Raises: ValueError for a key under 16 bytes.
        """
        self._made_up = key is None
        self._keys = _long_enough(secrets.token_bytes(32) if key is None else key, *retired)
        self._ttl_seconds = ttl_seconds
        self._clock = clock

    def take_key(self, key: bytes) -> None:
        """Seal with ``key`` from now on, as if it had been given at the start, unless one was.

        Raises: ValueError for a key under 16 bytes.
        """
        if self._made_up:
            self._keys, self._made_up = (*_long_enough(key), *self._keys), False

    def adopt(self, key: bytes) -> None:
        """Seal with ``key`` from now on, unless a key was given at the start; what was sealed before still opens."""
        if self._made_up and key not in self._keys:
            self._keys = (key, *self._keys)

    def seal(self, payload: Mapping[str, Any], *, principal: str | None, method: str, salient: Any) -> str:
        """The state to hand to the client; ``payload`` and ``salient`` are JSON values.

        Raises: ValueError when it would be too large; keep less, or keep it on the server under a handle.
        """
        body = _body({"payload": payload, "expires": self._clock() + self._ttl_seconds})
        tag = _tag(self._keys[0], body, _binding(principal, method, salient))
        state = f"{_VERSION}.{body}.{tag}"
        if len(state) > LARGEST_STATE:
            raise ValueError(f"a request state of {len(state)} characters is beyond the {LARGEST_STATE} allowed")
        return state

    def open(self, token: Any, *, principal: str | None, method: str, salient: Any) -> dict[str, Any]:
        """The payload that was sealed for the same caller, method and params.

        Raises: InvalidParams for anything else, without saying which part did not fit (MRTR-09).
        """
        if not isinstance(token, str) or len(token) > LARGEST_STATE or not token.isascii():
            raise _invalid()
        version, _, sealed = token.partition(".")
        body, _, tag = sealed.partition(".")
        if version != _VERSION:
            raise _invalid()
        binding = _binding(principal, method, salient)
        # every key is tried, so that the time taken does not tell which one fits
        if sum(hmac.compare_digest(_tag(key, body, binding), tag) for key in self._keys) == 0:
            raise _invalid()
        content = json.loads(urlsafe_b64decode(body))
        if self._clock() >= content["expires"]:
            raise InvalidParams("requestState has expired; send the request again without it")
        payload: dict[str, Any] = content["payload"]
        return payload


def _body(content: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode("ascii")).decode("ascii")


def _binding(principal: str | None, method: str, salient: Any) -> bytes:
    return json.dumps([principal, method, salient], sort_keys=True, separators=(",", ":")).encode("ascii")


def _tag(key: bytes, body: str, binding: bytes) -> str:
    signed = f"mcpkit.request-state.{_VERSION}\n{body}\n".encode("ascii") + binding
    return urlsafe_b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


def _invalid() -> InvalidParams:
    return InvalidParams("requestState is not valid for this request; send the request again without it")


def _long_enough(*keys: bytes) -> tuple[bytes, ...]:
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise ValueError(f"a state key needs at least {SHORTEST_KEY} bytes; make one with secrets.token_bytes(32)")
    return keys
