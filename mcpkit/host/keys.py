"""``mcpkit keys``: make, list, revoke and rotate the API keys of a server.

A key is printed once, when it is made; kept is its hash. What must never stand here: how keys are kept or checked
(security/keys.py), a key in a log.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from re import fullmatch
from time import time
from typing import Any, Final

from mcpkit.security.bearer import VerifierUnavailable
from mcpkit.security.keys import ApiKey, ApiKeys, KeyFile, KeyStore
from mcpkit.sessions.choice import KEYS_WITHOUT_REDIS, NEEDS_REDIS_PY
from mcpkit.sessions.store import StoreAway
from mcpkit.settings import Settings

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
        "--file",
        type=Path,
        help=f"where keys are kept (default: Redis with MCP_API_KEYS_REDIS=1, MCP_API_KEYS_FILE, or {DEFAULT_FILE})",
    )


async def run(given: argparse.Namespace, settings: Settings, now: Callable[[], float] = time) -> list[str]:
    """Do it; the lines to print.

    Raises: ValueError with one clear line.
    """
    if (given.name is None) is not (given.action == "list"):
        raise ValueError("list takes no name" if given.name else f"{given.action} needs the name of a key")
    try:
        async with _store(given.file, settings) as (store, hint):
            return [*await ACTIONS[given.action](ApiKeys(store, now=now), given), *hint]
    except LookupError as error:
        raise ValueError(str(error.args[0])) from None
    except (StoreAway, VerifierUnavailable):
        raise ValueError("Redis can't be reached at MCP_SERVER_REDIS_URL; nothing was changed") from None
    except OSError as error:
        raise ValueError(f"{error.filename} can't be used: {error.strerror}") from None


@asynccontextmanager
async def _store(file: Path | None, settings: Settings) -> AsyncIterator[tuple[KeyStore, list[str]]]:
    """Where keys are kept, and what somebody should know of it who has not said so.

    Raises: ValueError.
    """
    if file is not None or not settings.api_keys_redis:
        path = file or settings.api_keys_file or DEFAULT_FILE
        said = file is not None or settings.api_keys_file is not None
        yield KeyFile(path), [] if said else [f"Kept in {path}; start the server with MCP_API_KEYS_FILE={path}"]
        return
    if settings.redis_url is None:
        raise ValueError(KEYS_WITHOUT_REDIS)
    try:
        from mcpkit.sessions.redis_keys import keys_at  # noqa: PLC0415 - an extra
    except ImportError:
        raise ValueError(NEEDS_REDIS_PY) from None
    async with keys_at(settings.redis_url) as keys:
        yield keys, []


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
