"""``mcpkit keys``: make, list, revoke and rotate the API keys of a server.

A key is printed once, when it is made; kept is its hash. What must never stand here: how keys are kept or checked
(security/keys.py), a key in a log.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from re import fullmatch
from time import time
from typing import Any, Final

from mcpkit.security.keys import ApiKey, ApiKeys, KeyFile

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
DEFAULT_FILE: Final = Path("data/keys.json")
Command = Callable[[ApiKeys, argparse.Namespace], Coroutine[Any, Any, list[str]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said after ``mcpkit keys``."""
    parser.add_argument("action", choices=sorted(ACTIONS), help="what to do")
    parser.add_argument("name", nargs="?", help="whose key; list takes none")
    parser.add_argument("--scope", action="append", default=[], help="what the key allows; may be given several times")
    parser.add_argument("--expires", help="when it ends: 90d, 12h, or a date such as 2027-01-31 (default: never)")
    parser.add_argument(
        "--file", type=Path, help=f"where keys are kept (default: MCP_API_KEYS_FILE, or {DEFAULT_FILE})"
    )


async def run(given: argparse.Namespace, file: Path | None, now: Callable[[], float] = time) -> list[str]:
    """Do it; the lines to print. ``file`` is what the settings say.

    Raises: ValueError with one clear line.
    """
    path = given.file or file or DEFAULT_FILE
    if (given.name is None) is not (given.action == "list"):
        raise ValueError("list takes no name" if given.name else f"{given.action} needs the name of a key")
    try:
        lines = await ACTIONS[given.action](ApiKeys(KeyFile(path), now=now), given)
    except LookupError as error:
        raise ValueError(str(error.args[0])) from None
    except OSError as error:
        raise ValueError(f"{path} can't be used: {error.strerror}") from None
    if file is None and given.file is None:
        lines.append(f"Kept in {path}; start the server with MCP_API_KEYS_FILE={path}")
    return lines


def expiry(text: str | None, now: float) -> float | None:
    """When a key ends, in seconds since the epoch.

    Raises: ValueError.
    """
    if text is None:
        return None
    if span := fullmatch(r"([0-9]{1,6})([smhdwy])", text):
        return now + int(span[1]) * UNITS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--expires takes 90d, 12h or a date such as 2027-01-31, not {text[:40]!r}") from None
    ends = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if ends <= now:
        raise ValueError("--expires is in the past")
    return ends


async def _add(keys: ApiKeys, given: argparse.Namespace) -> list[str]:
    scopes = [scope for text in given.scope for scope in text.replace(",", " ").split()]
    if any(not fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in scopes):
        raise ValueError("a scope is made of printable ASCII without quotes and backslashes")
    ends = expiry(given.expires, keys.now())
    return _shown(await keys.add(given.name, scopes=scopes, expires=ends))


async def _rotate(keys: ApiKeys, given: argparse.Namespace) -> list[str]:
    return _shown(await keys.rotate(given.name))


async def _revoke(keys: ApiKeys, given: argparse.Namespace) -> list[str]:
    await keys.revoke(given.name)
    return [f"{given.name} is revoked"]


async def _list(keys: ApiKeys, given: argparse.Namespace) -> list[str]:
    found = await keys.list()
    return [_line(key, keys.now()) for key in found] or ["no keys"]


ACTIONS: Final[dict[str, Command]] = {"add": _add, "list": _list, "revoke": _revoke, "rotate": _rotate}


def _shown(key: str) -> list[str]:
    return [key, "This is the only time that the key is shown. Clients send it as: Authorization: Bearer <key>"]


def _line(key: ApiKey, now: float) -> str:
    ends = (
        "never ends" if key.expires is None else f"ends {datetime.fromtimestamp(key.expires, UTC):%Y-%m-%d %H:%M} UTC"
    )
    ended = "" if key.live(now) else " (over)"
    return f"{key.name}  id {key.id}  {ends}{ended}  scopes: {' '.join(key.scopes) or 'none'}"
