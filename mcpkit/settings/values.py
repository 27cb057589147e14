"""How the text of a variable becomes a value, and what each kind of value accepts.

What must never stand here: a variable, or a default.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

Parse: TypeAlias = Callable[[str], Any]
"""From a text to its value; raises ValueError that says what is accepted."""


class SettingsError(Exception):
    """A setting can't be used; the message is one line that names the variable and what it accepts."""


def whole(least: int, most: int) -> Parse:
    """A whole number within limits."""

    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return parse


def seconds(least: float, most: float) -> Parse:
    """A length of time within limits, in seconds."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not least <= number <= most:
            raise ValueError(f"a number of seconds from {least:g} to {most:g}")
        return number

    return parse


def number(least: float, most: float) -> Parse:
    """A number within limits."""

    def parse(text: str) -> float:
        try:
            return float(seconds(least, most)(text))
        except ValueError:
            raise ValueError(f"a number from {least:g} to {most:g}") from None

    return parse


def one_of(*choices: str) -> Parse:
    """One of these words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text.lower()

    return parse


def flag(text: str) -> bool:
    """Yes or no, as 1 or 0 and the words people use for them."""
    if text.lower() not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ValueError("1 or 0")
    return text.lower() in {"1", "true", "yes", "on"}


def entries(text: str) -> tuple[str, ...]:
    """A list, separated by commas; blank entries are dropped."""
    return tuple(entry for entry in (part.strip() for part in text.split(",")) if entry)


def url(text: str) -> str:
    """A URL of http or https, without a slash at its end."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise ValueError("a URL such as http://127.0.0.1:12000")
    return text.rstrip("/")


def secure_url(text: str) -> str:
    """A URL of https; http is enough on this machine."""
    sound = url(text)
    parts = urlsplit(sound)
    if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("an https URL (http only on this machine)")
    return sound


def issuer(text: str) -> str:
    """The URL of an OAuth issuer, exactly as it is written."""
    secure_url(text)
    return text  # as it stands: a slash at its end is part of its name


def urls(text: str) -> tuple[str, ...]:
    """URLs, separated by commas."""
    try:
        return tuple(url(entry) for entry in entries(text))
    except ValueError:
        raise ValueError("URLs such as http://127.0.0.1:18080, separated by commas") from None


def host(text: str) -> str:
    """A host name or an address, without a port."""
    if not text.isascii() or not text.isprintable() or set(text) & set(" /?#@"):
        raise ValueError("a host name or address such as 127.0.0.1, ::1 or 0.0.0.0")
    return text


def proxies(text: str) -> tuple[str, ...]:
    """Addresses and networks, separated by commas; ``*`` for all."""
    found = entries(text)
    try:
        for entry in found:
            if entry != "*":
                ip_network(entry, strict=False)
    except ValueError:
        raise ValueError("addresses or networks such as 127.0.0.1, ::1 or 10.0.0.0/8, separated by commas") from None
    return found


def key(text: str) -> str:
    """A secret that is long enough to seal with."""
    if len(text) < 32:
        raise ValueError("a secret of at least 32 characters")
    return text


def redis(text: str) -> str:
    """A URL of Redis."""
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(
            "a URL of one Redis, such as redis://127.0.0.1:6379/0, rediss://… or unix:///run/redis.sock (Sentinel and "
            "Cluster are not supported: put an address before the primary that follows it)"
        )
    return text


def parsed(env: str, text: str, parse: Parse, *, shown: bool) -> Any:
    """The value of the variable ``env``; a secret's text is not ``shown``. Raises: SettingsError."""
    try:
        return parse(text)
    except ValueError as accepted:
        value = f", not {text[:60]!r}" if shown else ""
        raise SettingsError(f"{env} must be {accepted}{value}") from None


def given(name: str, value: Any, kind: str, default: Any, parse: Parse, *, shown: bool) -> Any:
    """The value of the setting ``name`` that a program gives, as what it is: a list as a tuple, a text as a Path.

    It is held to what its variable accepts; a secret's text is not ``shown``.
    Raises: SettingsError for a value of another type, and for one that its variable would not accept.
    """
    if value == default and type(value) is type(default):
        return value
    value = _typed(name, value, kind)
    if kind in {"bool", "Path"}:
        return value
    try:
        if value == "":
            raise ValueError("a text that is not empty, or be left out")
        accepted = parse(",".join(value) if kind == "tuple" else str(value))
    except ValueError as wanted:
        told = f", not {value!r:.60}" if shown else ""
        raise SettingsError(f"Settings({name}=…) must be {wanted}{told}") from None
    return value if kind in {"tuple", "int", "float"} else accepted


def _typed(name: str, value: Any, kind: str) -> Any:
    if kind == "Path" and isinstance(value, str | Path):
        return Path(value)
    if kind == "tuple" and isinstance(value, list | tuple | set | frozenset) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if kind in {"int", "float"}:
        fine = type(value) in ({int} if kind == "int" else {int, float})
    else:
        fine = isinstance(value, bool if kind == "bool" else str) and kind not in {"tuple", "Path"}
    if fine:
        return value
    wanted = {"tuple": 'a tuple of texts, as ("example.com",)', "int": "a whole number", "float": "a number"}
    raise SettingsError(f"Settings({name}=…) must be {wanted.get(kind, f'a {kind}')}, not {type(value).__name__}")
