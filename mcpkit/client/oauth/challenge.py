"""The ``WWW-Authenticate`` header read: which schemes the server wants, and what it says about each (RFC 9110 §11.6).

What must never stand here: what is done about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")
_TOKEN68: Final = _TOKEN | frozenset("/=")
_LONGEST: Final = 16_384


@dataclass(frozen=True, slots=True)
class Challenge:
    """One scheme (in lower case) and its parameters."""

    scheme: str = "bearer"
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def resource_metadata(self) -> str | None:
        """Where the protected resource's metadata is (RFC 9728 §5.1)."""
        return self.params.get("resource_metadata")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that this access needs; empty where the server does not say (STEP-04)."""
        return tuple(self.params.get("scope", "").split())

    @property
    def error(self) -> str | None:
        """``invalid_token``, ``insufficient_scope``, ``use_dpop_nonce`` …"""
        return self.params.get("error")


def challenge_in(headers: Mapping[str, str]) -> Challenge:
    """The challenge to answer: the Bearer or DPoP one that says most; an empty one where there is none."""
    found = [one for one in challenges(headers.get("www-authenticate", "")) if one.scheme in {"bearer", "dpop"}]
    return max(found, key=lambda one: len(one.params), default=Challenge())


def challenges(header: str) -> list[Challenge]:
    """Every challenge in the header; what can't be read is left out."""
    found: list[tuple[str, dict[str, str]]] = []
    for scheme, name, value in _parts(header[:_LONGEST]):
        if scheme is not None:
            found.append((scheme.lower(), {}))
        elif found and name is not None:
            found[-1][1].setdefault(name.lower(), value)
    return [Challenge(scheme, params) for scheme, params in found]


def _parts(header: str) -> Iterator[tuple[str | None, str | None, str]]:
    """A scheme, or a parameter of the scheme before it."""
    at = 0
    while at < len(header):
        at = _past(header, at, " \t,")
        word, at = _run(header, at, _TOKEN)
        if not word:
            at += 1
            continue
        after = _past(header, at, " \t")
        if header[after : after + 1] == "=" and header[after + 1 : after + 2] != "=":
            begin = _past(header, after + 1, " \t")
            value, at = _value(header, begin)
            if at > begin:  # otherwise it is the end of a token68, such as Negotiate's
                yield None, word, value
        elif after > at or after >= len(header) or header[after] == ",":
            yield word, None, ""
            at = after
        else:  # the rest of a token68
            _, at = _run(header, after, _TOKEN68)


def _value(header: str, at: int) -> tuple[str, int]:
    if header[at : at + 1] != '"':
        return _run(header, at, _TOKEN68)
    at, taken = at + 1, []
    while at < len(header) and header[at] != '"':
        at += header[at] == "\\"
        taken.append(header[at : at + 1])
        at += 1
    return "".join(taken), at + 1


def _run(header: str, at: int, allowed: frozenset[str]) -> tuple[str, int]:
    end = at
    while end < len(header) and header[end] in allowed:
        end += 1
    return header[at:end], end


def _past(header: str, at: int, skipped: str) -> int:
    while at < len(header) and header[at] in skipped:
        at += 1
    return at
