"""Where a URL points to, compared exactly: credentials must not follow a server's pointing finger elsewhere.

What must never stand here: a request, a setting.
"""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

Origin: TypeAlias = tuple[str, str, int]

_PORTS: Final = {"http": 80, "https": 443}


def split_http(url: str) -> SplitResult:
    """The parts of an absolute http(s) URL without credentials.

    Raises: ValueError that says what is wrong, without repeating the URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is no number
    except ValueError:
        raise _malformed() from None
    if parts.scheme.lower() not in _PORTS:
        raise ValueError(f"only http and https URLs are allowed, not {parts.scheme or 'a relative one'!r}")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry a user name or password; send credentials in a header")
    return parts


def origin_of(url: str) -> Origin:
    """Scheme, host and effective port.

    Raises: ValueError.
    """
    parts = split_http(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS[scheme]


def same_origin(one: str, other: str) -> bool:
    """Both are http(s) URLs of one scheme, host and port."""
    try:
        return origin_of(one) == origin_of(other)
    except ValueError:
        return False


def same_issuer(one: str | None, other: str | None) -> bool:
    """Both name one authorization server: the very same text, but for one slash at the end of either."""
    return one is not None and other is not None and one.removesuffix("/") == other.removesuffix("/")


def resolve(base: str, reference: str) -> str:
    """``reference`` as an absolute URL of the same origin as ``base`` (HSSE-09, FLOW-13).

    Raises: ValueError when it leads elsewhere.
    """
    try:
        url = urljoin(base, reference.strip())
    except ValueError:
        raise _malformed() from None
    if origin_of(url) != origin_of(base):
        raise ValueError(f"it leads away from {origin_text(base)}")
    return url


def _malformed() -> ValueError:
    """In place of Python's own message, which repeats the host and any password before it."""
    return ValueError("the URL's host or port is malformed; write it as http://host:port/path")


def origin_text(url: str) -> str:
    """Scheme, host and port: what may stand in a message (a path or query may hold a secret)."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0].split('?', 1)[0].rpartition('@')[2]}"


def is_loopback(host: str) -> bool:
    """``localhost`` or a loopback address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
