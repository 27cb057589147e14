"""What the body of a refusal says, in one short line to show: HTML and JSON read, secrets and controls left out.

A gateway's page or a server's JSON often names the very fix. What must never stand here: which status means what.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from mcpkit.client.display import clean

_LONGEST: Final = 300
_READ: Final = 16 * 1024
"""Characters of a body that are looked at."""
_SECRET_FIELD: Final = re.compile(r"auth|cookie|key|token|secret|password|session|signature|dpop", re.IGNORECASE)
_SHORTEST_SECRET: Final = 4
_UNSEEN: Final = re.compile(r"<(script|style|template|svg|noscript)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.S | re.I)
_TITLE: Final = re.compile(r"<title\b[^>]*>(.*?)(?:</title\s*>|\Z)", re.S | re.I)
_HEAD: Final = re.compile(r"<head\b.*?(?:</head\s*>|(?=<body\b)|\Z)", re.S | re.I)
_ESCAPES: Final = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*)")
_TAG: Final = re.compile(r"<[^<>]*>?")
_MEMBERS: Final = ("message", "error_description", "detail", "error", "title", "reason", "description", "errors")
"""Where JSON has its words, the best first."""


def told(body: bytes, kind: str, secrets: Iterable[str] = ()) -> str:
    """What a body of the media type ``kind`` says; empty where that is nothing that could be read."""
    text = body[: 4 * _READ].decode("utf-8", "replace")[:_READ]
    if "json" in kind or text.lstrip()[:1] in {"{", "["}:
        text = _worded(text)
    if "html" in kind or text.lstrip()[:1] == "<":
        text = _seen(text)
    elif kind and not kind.startswith("text/") and "json" not in kind:
        return ""  # bytes of something else
    text = clean(without_escapes(text), _READ)
    for secret in sorted(set(secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    return clean(text.replace("\ufffd", ""), _LONGEST)


def without_escapes(text: str) -> str:
    """The text without the sequences that colour a terminal."""
    return _ESCAPES.sub("", text)


def secrets_in(headers: Mapping[str, str], url: str) -> Iterator[str]:
    """The credentials that a request carries, in every form in which a server may repeat them."""
    for name, value in headers.items():
        if _SECRET_FIELD.search(name):
            yield from _forms(value)
            for part in re.split(r"[\s,;=]+", value):
                yield from _forms(part)
            yield from _pair(value)
    for name, value in parse_qsl(urlsplit(url).query):
        if _SECRET_FIELD.search(name) or len(value) >= 16:
            yield from _forms(value)


def _pair(value: str) -> Iterator[str]:
    """The name and password of Basic authentication."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except ValueError:
            return
        yield from _forms(pair)
        yield from _forms(pair.partition(":")[2])


def _forms(secret: str) -> Iterator[str]:
    if len(secret) >= _SHORTEST_SECRET and secret.lower() not in {"bearer", "basic", "dpop", "token"}:
        yield from (secret, quote(secret, safe=""), unquote(secret), clean(secret, _READ))


def _seen(page: str) -> str:
    """The text of an HTML page; its title alone where the page shows nothing else."""
    page = _UNSEEN.sub(" ", page)
    title = _TITLE.search(page)
    body = _TAG.sub(" ", _HEAD.sub(" ", _TITLE.sub(" ", page)))
    return html.unescape(body if body.strip() or title is None else _TAG.sub(" ", title[1]))


def _worded(text: str) -> str:
    """The words in a JSON value; the text itself where it is none or has no words of a known name."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return _words(value) or text


def _words(value: Any, depth: int = 4) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and depth:
        return _words(value[0], depth - 1)
    if isinstance(value, dict) and depth:
        found = [_words(value[name], depth - 1) for name in _MEMBERS if name in value]
        return max(found, key=bool, default="")
    return ""
