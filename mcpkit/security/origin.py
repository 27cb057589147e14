"""Which Host and which Origin may speak to us: the wall against DNS rebinding and foreign web pages.

Values are parsed and compared whole, never by prefix, suffix or pattern (NET-06). What must never stand here: HTTP
statuses, headers, CORS, who the caller is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
ANY: Final = "*"
NULL: Final = "null"

_HOST: Final = r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?"
_AUTHORITY: Final = re.compile(_HOST, re.ASCII)
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://" + _HOST, re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_REMEMBERED: Final = 256


class _Place(NamedTuple):
    """Who a header names. In a rule, a scheme of None is http or https, a port of None is any port."""

    scheme: str | None
    host: str
    port: int | None


@dataclass(frozen=True)
class OriginRules:
    """The hosts we answer to and the origins we let in; by default this machine's own names, at any port.

    A host is ``name`` (any port) or ``name:port``. An origin is written out (``https://app.example.com``, exactly that
    scheme, name and port), or like a host: then http and https are meant. ``*`` lets everything in, ``null`` must be
    listed to be let in.

    Raises: ValueError for an entry that is neither, naming it.
    """

    hosts: frozenset[str] = LOOPBACK
    origins: frozenset[str] = LOOPBACK
    _hosts: frozenset[_Place] = field(init=False, repr=False, compare=False)
    _origins: frozenset[_Place] = field(init=False, repr=False, compare=False)
    _known_hosts: set[str] = field(init=False, repr=False, compare=False, default_factory=set)
    _known_origins: set[str] = field(init=False, repr=False, compare=False, default_factory=set)

    def __post_init__(self) -> None:
        """Parse the entries once."""
        object.__setattr__(self, "_hosts", frozenset(_host_rules(self.hosts)))
        object.__setattr__(self, "_origins", frozenset(_origin_rules(self.origins)))

    def host_allowed(self, host: str) -> bool:
        """Whether a request whose Host header is ``host`` is meant for us (NET-05)."""
        if host in self._known_hosts or ANY in self.hosts:
            return True
        empty = host.endswith(":")  # a port that is empty is the default one (RFC 3986 section 3.2.3)
        place = _parse_host(host[:-1] if empty else host)
        if place is None or (empty and place.port is not None):
            return False
        _, name, port = place
        # A Host without a port is the scheme's default one, and behind a proxy we don't know the scheme.
        ports = (None, 80, 443) if port is None else (None, port)
        return _remember(self._known_hosts, host, any(_Place(None, name, p) in self._hosts for p in ports))

    def origin_allowed(self, origin: str) -> bool:
        """Whether a page of ``origin`` may call us (NET-01). A request without an Origin is no page: don't ask."""
        if origin in self._known_origins or ANY in self.origins:
            return True
        place = _parse_origin(origin)
        if place is None:
            return origin == NULL and NULL in self.origins
        scheme, name, port = place
        rules = [place]
        if scheme in _DEFAULT_PORTS:
            rules += [_Place(None, name, port), _Place(None, name, None)]
        return _remember(self._known_origins, origin, any(rule in self._origins for rule in rules))


def _remember(known: set[str], value: str, allowed: bool) -> bool:
    """Keep values that were let in, so that the next look is one lookup; few, since any port may be let in."""
    if allowed and len(known) < _REMEMBERED:
        known.add(value)
    return allowed


def _host_rules(entries: Iterable[str]) -> Iterable[_Place]:
    for entry in entries:
        place = _parse_host(entry)
        if place is not None:
            yield place
        elif entry != ANY:
            raise ValueError(f"{entry!r} is no host: write name, name:port, [IPv6]:port or *")


def _origin_rules(entries: Iterable[str]) -> Iterable[_Place]:
    for entry in entries:
        if entry in (ANY, NULL):
            continue
        place = _parse_origin(entry) or _parse_host(entry)
        if place is not None:
            yield place
        else:
            raise ValueError(f"{entry!r} is no origin: write https://name, http://name:port, name, null or *")


def _parse_host(text: str) -> _Place | None:
    match = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if match is None or not _is_port(match[2]):
        return None
    return _Place(None, match[1], int(match[2]) if match[2] else None)


def _parse_origin(text: str) -> _Place | None:
    match = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None  # lower() makes a "k" of a Kelvin sign
    if match is None or not _is_port(match[3]):
        return None
    return _Place(match[1], match[2], int(match[3]) if match[3] else _DEFAULT_PORTS.get(match[1]))


def _is_port(text: str | None) -> bool:
    return text is None or 0 < int(text) < 65536
