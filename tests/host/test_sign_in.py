"""Signing in from the command line: a real authorization server (Authlib's), our client in a process of its own.

The browser is scripted: it goes where it is sent, as a browser of a user who has agreed before would.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcpkit.client.endpoint import Bearer
from mcpkit.client.errors import AuthorizationFailed
from mcpkit.client.oauth import OAuth
from mcpkit.host.config import Entry, entries_of
from mcpkit.host.sign_in import Access, Doorway, advice, url_of
from tests.fixtures.authorization_server import Client
from tests.fixtures.started import ROOT, environment
from tests.host.console import console
from tests.hostile.test_oauth_flow import World, world

LIMIT = 40
BROWSER = """
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=20).read()
"""


@dataclass
class Desk:
    """A user's machine, and a server that wants a sign-in."""

    given: World
    folder: Path

    @property
    def url(self) -> str:
        return self.given.url

    @property
    def tokens(self) -> Path:
        return self.folder / "mcpkit" / "tokens.json"

    def environment(self, **changes: str) -> dict[str, str]:
        quiet = environment(XDG_STATE_HOME=str(self.folder), LC_ALL="C.UTF-8", PYTHONUTF8="1", **changes)
        for name in ("DISPLAY", "WAYLAND_DISPLAY", *(() if "BROWSER" in changes else ("BROWSER",))):
            quiet.pop(name, None)
        return quiet

    async def start(self, *words: str, said: str = "") -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "mcp_client.py"), *words),
            **{"cwd": self.folder, "env": self.environment(), "stdin": pipe, "stdout": pipe, "stderr": pipe},
        )
        assert process.stdin is not None
        process.stdin.write(said.encode())
        process.stdin.close()
        return process

    async def run(self, *words: str, said: str = "") -> tuple[int | None, str, str]:
        return await ended(await self.start(*words, said=said))

    async def sign_in(self, *words: str, back: str = "") -> tuple[int | None, str, str]:
        """``login``, with a browser that comes back; or with this answer instead of the server's."""
        process = await self.start("login", self.url, *words)
        assert process.stderr is not None
        line = (await asyncio.wait_for(process.stderr.readline(), LIMIT)).decode()
        asks, _, page = line.strip().partition(": open ")
        assert asks == f"{self.url} wants you to sign in"
        async with httpx.AsyncClient(timeout=LIMIT) as browser:
            location = (await browser.get(page)).headers["location"]
            if back:
                location = f"{location.partition('?')[0]}?{back}&state={httpx.URL(page).params['state']}"
            assert (await browser.get(location)).status_code == 200
        code, out, err = await ended(process)
        return code, out, err


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    try:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(autouse=True)
def _plain_http_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")


@asynccontextmanager
async def at_desk(folder: Path) -> AsyncIterator[Desk]:
    """Within a test: what serves takes signals, and gives them back in the order of one event loop's run."""
    async with world() as given:
        yield Desk(given, folder)


async def test_a_pipe_is_told_what_to_run(tmp_path: Path) -> None:
    """OCLI-05: three, one line, and nobody is registered for a sign-in that can't be."""
    async with at_desk(tmp_path) as desk:
        known = set(desk.given.realm.clients)
        code, out, err = await desk.run("list", desk.url)
        assert (code, out) == (3, "")
        (line,) = err.splitlines()
        assert line.startswith(f"mcp_client.py list: {desk.url} wants you to sign in; ")
        assert f"run python mcp_client.py login {desk.url}, or give a token (--token" in line
        assert set(desk.given.realm.clients) == known
        code, _, err = await desk.run("list", desk.url, "--token", "wrong")
        assert code == 3
        assert "refuses these credentials" in err
        code, out, _ = await desk.run("doctor", desk.url)
        assert code == 3
        assert f"({desk.url}): {desk.url} wants you to sign in\n" in out
        assert f"fix: run python mcp_client.py login {desk.url}" in out


@pytest.mark.slow
async def test_who_signs_in_is_known_from_then_on(tmp_path: Path) -> None:
    """FLOW-01, REG-06, TOK-11: consent, a token in a file that its owner alone can read; then nobody is asked."""
    async with at_desk(tmp_path) as desk:
        code, out, err = await desk.sign_in()
        assert (code, err) == (0, "")
        assert out == f"{desk.url} lets you in; what it gave is kept in {desk.tokens}\n"
        if os.name == "posix":
            assert (desk.tokens.stat().st_mode & 0o777, desk.tokens.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        code, out, err = await desk.run("call", desk.url, "whoami")
        assert (code, err) == (0, "")
        assert "alice" in out
        assert (await desk.run("doctor", desk.url))[0] == 0
        code, out, _ = await desk.run("chat", desk.url, said="/servers\n")
        assert "server0  ready" in out
        assert len(desk.given.realm.tokens) == 1
        assert await desk.run("logout", desk.url) == (0, f"forgotten: {desk.url}\n", "")
        assert await desk.run("logout", desk.url) == (0, f"nothing was kept: {desk.url}\n", "")
        assert (await desk.run("ping", desk.url))[0] == 3


async def test_who_refuses_is_not_signed_in(tmp_path: Path) -> None:
    async with at_desk(tmp_path) as desk:
        code, out, err = await desk.sign_in(back="error=access_denied&iss=" + desk.given.realm.issuer)
        assert (code, out) == (3, "")
        assert "did not authorize: access_denied" in err
        assert not any(kept.startswith("tokens ") for kept in json.loads(desk.tokens.read_text()))


async def test_a_client_registered_beforehand_signs_in_by_its_name(tmp_path: Path) -> None:
    """REG-01: nobody is registered anew, and the name is kept beside the tokens, for their renewal."""
    async with at_desk(tmp_path) as desk:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        about = {"redirect_uris": [f"http://127.0.0.1:{port}/callback"]}
        desk.given.realm.clients = {"mine": Client("mine", "", about)}
        code, _, err = await desk.sign_in("--client-id", "mine", "--callback-port", str(port))
        assert (code, err) == (0, "")
        assert list(desk.given.realm.clients) == ["mine"]
        kept = json.loads(desk.tokens.read_text())
        assert kept[f"client {desk.given.realm.issuer}"]["client_id"] == "mine"
        assert "alice" in (await desk.run("call", desk.url, "whoami"))[1]


async def test_on_a_terminal_every_command_asks_for_the_sign_in(tmp_path: Path) -> None:
    """The page is shown, and opened by the user's browser."""
    async with at_desk(tmp_path) as desk:
        pytest.importorskip("termios")
        browser = desk.folder / "browser.py"
        browser.write_text(BROWSER)
        env = desk.environment(BROWSER=f"{sys.executable} {browser} %s")

        def visit() -> None:
            with console([str(ROOT / "mcp_client.py"), "call", desk.url, "whoami"], desk.folder, env) as terminal:
                terminal.until(f"{desk.url} wants you to sign in: open http://127.0.0.1:")
                terminal.until("alice")
                assert terminal.ended() == 0
            desk.tokens.unlink()
            with console([str(ROOT / "mcp_client.py"), "chat", desk.url], desk.folder, env) as terminal:
                terminal.until(f"{desk.url} wants you to sign in: open http://127.0.0.1:")
                terminal.until("server0 is ready: whoami, write")
                terminal.until("quit leaves")
                terminal.type("quit\n")
                assert terminal.ended() == 0

        await asyncio.to_thread(visit)


# ── without a server ────────────────────────────────────────────────────────────────────────────────────────────────

(URL,) = entries_of(["http://x.example/api?q=1"])


def test_who_is_known_otherwise_does_not_sign_in() -> None:
    (command,) = entries_of(["cat -"])
    mine = Entry("m", {"url": "http://x.example", "headers": {"authorization": "Bearer t"}})
    assert Access().of(command) is None
    assert Access(token="t").of(command) is None
    assert Access(headers={"AUTHORIZATION": "x"}).of(URL) is None
    assert Access(token="t").of(mine) is None
    assert Access(token="t").of(URL) == Bearer("t")
    assert isinstance(Access().of(URL), OAuth)
    assert "secret" not in repr(Access(token="secret", headers={"Authorization": "secret"}))
    assert (url_of(URL), url_of(command)) == ("http://x.example/api", None)


async def test_who_never_got_to_a_page_may_have_a_token() -> None:
    """Servers with keys of their own answer 401 too."""
    with pytest.raises(AuthorizationFailed, match=r"no client; if it wants a token of yours, give it: --token"):
        async with Doorway(Access(tell=print), URL).open():
            raise AuthorizationFailed("no client")
    with pytest.raises(AuthorizationFailed) as refused:
        async with Doorway(Access(tell=print), URL, shown=True).open():
            raise AuthorizationFailed("access_denied")
    assert str(refused.value) == "access_denied"


async def test_nobody_there_and_nobody_in_time_and_no_port() -> None:
    shown: list[tuple[str, str]] = []

    def tell(server: str, page: str) -> None:
        shown.append((server, page))

    with pytest.raises(AuthorizationFailed) as refused:
        async with Doorway(Access(program="p"), URL).open():
            pass
    assert str(refused.value).endswith(advice("p", URL))
    with pytest.raises(AuthorizationFailed, match="in time"):
        async with Doorway(Access(tell=tell, seconds=0.0), URL).open() as consent:
            await consent.ask("https://a.example/\x1b[31mauthorize")
    assert shown == [("http://x.example/api?q=1", "https://a.example/[31mauthorize")]
    async with await asyncio.start_server(_nobody, "127.0.0.1", 0) as taken:
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(AuthorizationFailed, match=f"port {port} can't be listened on"):
            async with Doorway(Access(tell=tell, port=port, client_id="c"), URL).open():
                pass


def _nobody(reader: Any, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_a_client_registered_beforehand_has_a_place_of_its_own_to_come_back_to() -> None:
    async with Doorway(Access(tell=print, client_id="c"), URL).open() as consent:
        assert httpx.URL(consent.redirect_uri).path == "/callback"
