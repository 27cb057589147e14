"""API keys: made once, shown once, kept as hashes.

A key is ``mcpk_<id>_<secret>``: the id finds the entry, the secret's SHA-256 is compared in constant time (a random
secret of 256 bits needs no slow hash). What must never stand here: a key in clear anywhere but in what :meth:`add` and
:meth:`rotate` return.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import time
from typing import Final, Protocol

from mcpkit.security.bearer import InvalidToken, VerifierUnavailable
from mcpkit.security.principal import Principal

PREFIX: Final = "mcpk"
ISSUER: Final = "api-key"
"""Who vouches for the holder of a key: no URL, as the issuer of a token is."""
_NOBODY: Final = "0" * 64

logger = logging.getLogger("mcpkit.keys")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key."""

    id: str
    name: str
    digest: str
    """SHA-256 of the secret, in hex."""
    scopes: tuple[str, ...]
    created: float
    """Seconds since the epoch, as ``expires``."""
    expires: float | None = None

    def live(self, now: float) -> bool:
        """Whether it still opens the door."""
        return self.expires is None or now < self.expires


class KeyStore(Protocol):
    """Where keys are kept: a file here, an engine shared by replicas elsewhere."""

    async def all(self) -> Mapping[str, ApiKey]:
        """Every key by id."""

    async def put(self, key: ApiKey) -> None:
        """Keep or replace a key."""

    async def drop(self, id: str) -> None:
        """Forget a key."""


class KeyFile:
    """Keys in one JSON file that only its owner can read; read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._keys: dict[str, ApiKey] = {}

    async def all(self) -> Mapping[str, ApiKey]:
        """Every key by id; none when the file is missing.

        Raises: ValueError when the file is not ours.
        """
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            return self._keys
        seen = (state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)  # a restored file may look older
        if seen != self._seen:
            self._keys, self._seen = _read(self._path), seen
        return self._keys

    async def put(self, key: ApiKey) -> None:
        """Keep or replace a key."""
        self._write({**await self.all(), key.id: key})

    async def drop(self, id: str) -> None:
        """Forget a key."""
        self._write({other: key for other, key in (await self.all()).items() if other != id})

    def _write(self, keys: Mapping[str, ApiKey]) -> None:
        """Replace the file whole: a reader sees the old keys or the new ones."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".keys-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"keys": [asdict(key) for key in keys.values()]}, file, indent=1)
        os.replace(name, self._path)


def _read(path: Path) -> dict[str, ApiKey]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["keys"]
        keys = [ApiKey(**{**entry, "scopes": tuple(entry["scopes"])}) for entry in entries]
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path.name} is not a file of API keys; move it away and add the keys again") from None
    return {key.id: key for key in keys}


class ApiKeys:
    """The keys of a server: added, listed, revoked, rotated, and checked as bearer tokens."""

    def __init__(self, store: KeyStore, *, now: Callable[[], float] = time) -> None:
        self._store = store
        self.now = now

    async def add(self, name: str, *, scopes: Collection[str] = (), expires: float | None = None) -> str:
        """Make a key and return it: the only time that it can be seen. ``expires`` is in seconds since the epoch.

        Raises: ValueError when the name is taken.
        """
        if any(key.name == name for key in (await self._store.all()).values()):
            raise ValueError(f"there is a key named {name!r}; revoke or rotate it, or choose another name")
        id = secrets.token_hex(8)
        return await self._issue(ApiKey(id, name, "", tuple(sorted(scopes)), self.now(), expires))

    async def rotate(self, name: str) -> str:
        """Give a key a new secret and return it; the old one ends at once.

        Raises: LookupError.
        """
        return await self._issue(await self._named(name))

    async def revoke(self, name: str) -> None:
        """End a key.

        Raises: LookupError.
        """
        await self._store.drop((await self._named(name)).id)

    async def list(self) -> list[ApiKey]:
        """What is kept, by name."""
        return sorted((await self._store.all()).values(), key=lambda key: key.name)

    async def verify(self, token: str) -> Principal:
        """The caller that the key stands for.

        Raises: InvalidToken, VerifierUnavailable.
        """
        prefix, _, rest = token.partition("_")
        id, _, secret = rest.partition("_")
        key = (await self._known()).get(id) if prefix == PREFIX else None
        same = hmac.compare_digest(key.digest if key else _NOBODY, _digest(secret))
        if key is None or not same or not key.live(self.now()):
            raise InvalidToken("the key is not known here, or has expired")
        caller = Principal.identify(ISSUER, key.id)
        return Principal(caller, scopes=frozenset(key.scopes), client_id=key.name, expires=key.expires)

    async def _known(self) -> Mapping[str, ApiKey]:
        try:
            return await self._store.all()
        except (OSError, ValueError) as error:
            logger.error("API keys can't be read: %s", error)
            raise VerifierUnavailable("the keys can't be read") from None

    async def _issue(self, key: ApiKey) -> str:
        secret = secrets.token_urlsafe(32)
        await self._store.put(replace(key, digest=_digest(secret)))
        return f"{PREFIX}_{key.id}_{secret}"

    async def _named(self, name: str) -> ApiKey:
        for key in (await self._store.all()).values():
            if key.name == name:
                return key
        raise LookupError(f"there is no key named {name!r}")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
