"""The doctor says what is wrong and how to mend it, and its exit code is the first thing that is really wrong."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
from collections.abc import AsyncIterator

import pytest

from mcpkit.client.options import ClientOptions
from mcpkit.host import doctor
from mcpkit.host.config import Entry
from mcpkit.host.doctor import Finding, examine, report
from mcpkit.host.sign_in import Access
from mcpkit.settings import Settings, SettingsError
from tests.fixtures.scripted_peer import ScriptedModel
from tests.host.sites import Site, math_server

NOBODY = Entry("server0", {"url": "http://127.0.0.1:18080/api"})
NONE = ClientOptions()


async def findings(*entries: Entry, named: bool = True, settings: Settings | None = None) -> dict[str, Finding]:
    settings = settings or Settings(port=0)
    return {found.subject: found async for found in examine(entries, settings, named=named, options=NONE)}


async def test_a_sound_machine_is_found_sound() -> None:
    found = await findings(Site(math_server()).entry("math"))
    assert [one.verdict for one in found.values()] == ["ok", "ok", "ok", "ok", "warn", "ok"]
    assert found["math (math)"].text.startswith("2 tools, 2026-07-28, ")
    assert "MODEL_NAME" in found["model"].fix


async def test_a_server_that_is_down_is_named_with_its_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    entry = Entry("server0", {"url": f"http://127.0.0.1:{port}/api"})
    found = (await findings(entry))[f"server0 (http://127.0.0.1:{port}/api)"]
    assert (found.verdict, found.code) == ("fail", 4)
    assert found.fix == "start it, and check its URL or command"
    relaxed = await doctor.server(entry, NONE, Access(), named=False)
    assert (relaxed.verdict, relaxed.code) == ("warn", 0)


async def test_a_bad_setting_ends_the_examination() -> None:
    bad = SettingsError("MCP_SERVER_PORT must be a number")
    found = [one async for one in examine([NOBODY], bad, named=True, options=NONE)]
    assert (found[-1].verdict, found[-1].text, found[-1].code) == ("fail", "MCP_SERVER_PORT must be a number", 1)


async def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = await doctor.port(Settings(port=taken.getsockname()[1]))
    assert found.verdict == "warn"
    assert found.text.startswith("taken")
    assert "MCP_SERVER_PORT" in found.fix
    if sys.platform == "linux":
        assert f"(process {os.getpid()})" in found.text


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.host.invalid"])
async def test_an_address_that_is_not_of_this_machine(host: str) -> None:
    found = await doctor.port(Settings(host=host, port=0))
    assert (found.verdict, found.fix) == ("warn", "set MCP_SERVER_HOST or MCP_SERVER_PORT")
    assert "(" not in found.text


async def test_the_models_endpoint(peer: ScriptedModel) -> None:
    def settings(name: str, url: str) -> Settings:
        return Settings(model_name=name, base_url=url, api_key="k")

    some = await doctor.model(Settings(base_url=peer.base_url))
    assert some.fix == "set MODEL_NAME, and API_KEY where the endpoint wants one, in .env"
    bad = await doctor.model(Settings(model_name="m", base_url=peer.base_url, api_key="two\nlines"))
    assert (bad.verdict, bad.code, bad.fix) == ("fail", 3, "check API_KEY")

    there = await doctor.model(settings("scripted-1", peer.base_url))
    other = await doctor.model(settings("gpt", peer.base_url))
    wrong = await doctor.model(settings("gpt", f"{peer.url}/nothing"))
    gone = await doctor.model(settings("gpt", "http://127.0.0.1:9/v1"))
    assert [one.verdict for one in (there, other, wrong, gone)] == ["ok", "warn", "warn", "fail"]
    assert (gone.code, gone.fix) == (4, "check BASE_URL, and that it runs")
    assert other.text == "gpt is not among the endpoint's models: scripted-1"
    assert wrong.fix == "check BASE_URL; most end in /v1"


@pytest.mark.parametrize("as_json", [False, True])
async def test_the_report(as_json: bool) -> None:
    async def found() -> AsyncIterator[Finding]:
        yield Finding("ok", "Python", "3.12")
        yield Finding("fail", "x", "broken\x1b[0m", "mend it", 4)
        yield Finding("fail", "y", "too", "", 1)

    out = io.StringIO()
    assert await report(found(), as_json=as_json, out=out) == 4
    lines = out.getvalue().splitlines()
    if as_json:
        assert json.loads(lines[1]) == {"verdict": "fail", "subject": "x", "text": "broken\x1b[0m", "fix": "mend it"}
    else:
        assert lines == ["ok    Python: 3.12", "fail  x: broken[0m", "      fix: mend it", "fail  y: too"]
