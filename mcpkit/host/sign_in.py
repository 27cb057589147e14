"""In whose name servers are asked: a token that was given, or one that the user comes by in a browser, and is kept.

Who can't be asked is told what to run. What must never stand here: OAuth itself (mcpkit/client/oauth), where a file
lies, a terminal.
"""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from mcpkit.client.display import clean
from mcpkit.client.endpoint import Authorizer, Bearer
from mcpkit.client.errors import AuthorizationFailed, Timeout
from mcpkit.client.oauth import (
    About,
    AuthorizationCode,
    LoopbackRedirect,
    MemoryStore,
    OAuth,
    Registration,
    Rules,
    TokenStore,
)
from mcpkit.client.oauth.discovery import NoSignIn
from mcpkit.client.oauth.errand import Errand
from mcpkit.client.oauth.redirect import Consent
from mcpkit.client.oauth.tokens import Tokens, Vault
from mcpkit.host.config import Entry

SECONDS: Final = 300.0
"""How long the user may take."""
CALLBACK: Final = "/callback"
"""Where a browser comes back to when the client was registered beforehand."""
TOKEN: Final = """--token TOKEN, or --header 'Name: value', or "headers" of its entry in a configuration file"""
KEY: Final = (
    """--token KEY (sent as Authorization: Bearer KEY), --header 'X-API-Key: KEY' where it wants another header, """
    """or "headers": {"X-API-Key": "KEY"} in its entry of a configuration file"""
)

Tell: TypeAlias = Callable[[str, str], object]
"""Shows the user who wants a sign-in, and the page where it is done."""


class SignInNeeded(AuthorizationFailed):
    """Nobody is there to sign in; the message says what to run."""

    def __init__(self, program: str, entry: Entry) -> None:
        self.short = f"{clean(entry.place, 200)} wants you to sign in"
        """The same without the advice."""
        self.fix = advice(program, entry)
        super().__init__(f"{self.short}; {self.fix}")


class KeyNeeded(AuthorizationFailed):
    """The server wants a key of its own making: there is nowhere to sign in."""

    asks_server = True

    def __init__(self, entry: Entry, *, sent: bool) -> None:
        other = "another API key or token than the one that is sent" if sent else "an API key or token"
        self.short = f"{clean(entry.place, 200)} wants {other}, and offers no sign-in"
        """The same without the advice."""
        self.fix = f"get one from whoever runs the server and give it: {KEY}"
        super().__init__(f"{self.short}; {self.fix}")


@dataclass(frozen=True)
class _Consent(AuthorizationCode):
    """The user's consent in a browser, where the server has a page for that."""

    entry: Entry | None = None
    sent: bool = False

    async def obtain(self, errand: Errand) -> Tokens:
        """As in any browser; where there is no page, say what the server wants instead."""
        try:
            return await AuthorizationCode.obtain(self, errand)
        except NoSignIn as error:
            if self.entry is None:
                raise
            raise KeyNeeded(self.entry, sent=self.sent) from error


@dataclass(frozen=True, slots=True)
class Access:
    """How this user is known to each server."""

    store: TokenStore = field(default_factory=MemoryStore)
    token: str | None = field(default=None, repr=False)
    """Sent to every server, instead of signing in."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent to every server; an Authorization field among them is a token too."""
    tell: Tell | None = None
    """None where nobody is there to sign in."""
    browser: bool = False
    """Open the page too."""
    program: str = "mcpkit"
    client_id: str | None = None
    """Of a client registered beforehand, for issuers that register none by themselves."""
    port: int = 0
    """Where the browser comes back to; 0 is any free one."""
    seconds: float = SECONDS
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One sign-in at a time."""

    def of(self, entry: Entry) -> Authorizer | None:
        """What makes this user known to that server; None where nothing does, or its own headers do."""
        headers = entry.target.get("headers") if isinstance(entry.target, Mapping) else None
        if url_of(entry) is None or any(name.lower() == "authorization" for name in (*self.headers, *(headers or {}))):
            return None
        if self.token is not None:
            return Bearer(self.token)
        grant = _Consent(
            About(known=self._known()), Doorway(self, entry), entry, bool({**self.headers, **(headers or {})})
        )
        return OAuth(grant, store=self.store, rules=Rules(dpop=False))  # a bound token ends with its key: this run

    async def forget(self, entry: Entry) -> bool:
        """Throw the kept tokens for that server away; whether there were any."""
        vault, issuer = await self._kept(entry)
        if issuer is not None:
            await vault.forget_tokens(issuer)
        return issuer is not None

    async def remember(self, entry: Entry) -> bool:
        """The user has been let in; whether by tokens. A client registered beforehand renews them, too."""
        vault, issuer = await self._kept(entry)
        known = self._known()
        if known is not None and issuer is not None:
            await vault.keep_registration(issuer, replace(known, issuer=issuer))
        return issuer is not None

    async def _kept(self, entry: Entry) -> tuple[Vault, str | None]:
        """Where that server's tokens are kept, and whose they are, if there are any."""
        vault = Vault(self.store, url_of(entry) or "")
        issuer = await vault.issuer()
        return vault, issuer if issuer is not None and await vault.tokens(issuer) is not None else None

    def _known(self) -> Registration | None:
        return Registration(self.client_id, auth_method="none") if self.client_id is not None else None


@dataclass(slots=True)
class Doorway:
    """Out to the authorization server, and back; closed where nobody is there to go."""

    access: Access
    entry: Entry
    shown: bool = False
    """The user has been sent out."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Consent]:
        """Listen, for one visit.

        Raises: AuthorizationFailed.
        """
        access = self.access
        if access.tell is None:
            raise SignInNeeded(access.program, self.entry)
        path = CALLBACK if access.client_id is not None else None
        way = LoopbackRedirect(port=access.port, path=path, seconds=access.seconds, show=self._show)
        try:
            async with access.turn, way.open() as consent:
                yield consent
        except AuthorizationFailed as error:
            if self.shown:
                raise
            raise AuthorizationFailed(f"{error}; if it wants a token of yours, give it: {TOKEN}") from None
        except Timeout as error:
            raise AuthorizationFailed(str(error)) from None
        except OSError as error:
            raise AuthorizationFailed(f"port {access.port} can't be listened on: {error.strerror}") from None

    def _show(self, page: str) -> None:
        """Send the user there."""
        assert self.access.tell is not None
        self.shown = True
        self.access.tell(clean(self.entry.place, 200), clean(page, 8_000))
        if self.access.browser:
            webbrowser.open(page)


def advice(program: str, entry: Entry) -> str:
    """What who can't be asked should do."""
    return f"run {program} login {clean(entry.place, 200)}, or give a token ({TOKEN})"


def url_of(entry: Entry) -> str | None:
    """Where a server is, by which its tokens are kept; None for one that is no URL."""
    url = entry.target.get("url") if isinstance(entry.target, Mapping) else None
    return url.partition("#")[0].partition("?")[0] if isinstance(url, str) else None
