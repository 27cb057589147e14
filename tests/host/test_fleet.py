"""Many servers at once: what fails keeps nobody from the others, is seen, and comes back by itself."""

from __future__ import annotations

import asyncio

import pytest

from mcpkit import Server
from mcpkit.client.errors import ClientError, ConnectionLost
from mcpkit.host.fleet import Member, State, UnknownName
from tests.host.sites import Site, Watching, fleet_of, math_server, modulo_server


async def test_tools_are_prefixed_in_the_order_of_the_servers() -> None:
    async with fleet_of(Site(math_server()), Site(modulo_server())) as fleet:
        assert sorted(fleet.offers) == ["server0_add", "server0_divide", "server1_modulo"]
        assert [member.state for member in fleet.members] == [State.READY, State.READY]
        result = await fleet.call(fleet.offers["server0_add"], {"a": 5, "b": 3})
        assert result.text == "8"


async def test_tools_may_be_prefixed_by_name() -> None:
    async with fleet_of(Site(math_server()), by_name=True) as fleet:
        assert "math_add" in fleet.offers


async def test_one_that_is_down_keeps_nobody_from_the_others_and_joins_later() -> None:
    watch = Watching()
    away = Site(modulo_server(), up=False)
    async with fleet_of(Site(math_server()), away, watch=watch) as fleet:
        assert [(member.prefix, member.state) for member in fleet.members] == [
            ("server0", State.READY),
            ("server1", State.FAILED),
        ]
        assert "nobody is there" in fleet.members[1].why
        assert "server1_modulo" not in fleet.offers
        away.up = True
        await watch.until(lambda: fleet.members[1].state is State.READY)
        assert "server1_modulo" in fleet.offers


async def test_a_server_that_dies_is_seen_and_rejoins() -> None:
    watch = Watching()
    site = Site(math_server())
    async with fleet_of(site, watch=watch) as fleet:
        offered = fleet.offers["server0_add"]
        site.go_down()
        with pytest.raises(ClientError):
            await fleet.call(offered, {"a": 1, "b": 2})
        await watch.until(lambda: fleet.members[0].state is State.FAILED)
        assert fleet.offers == {}
        with pytest.raises(ConnectionLost, match="server0 is not connected: "):
            await fleet.call(offered, {"a": 1, "b": 2})
        site.up = True
        await watch.until(lambda: fleet.members[0].joined == 2)
        assert (await fleet.call(offered, {"a": 1, "b": 2})).text == "3"


async def test_a_death_is_noticed_without_a_call() -> None:
    watch = Watching()
    site = Site(math_server())
    async with fleet_of(site, watch=watch, heartbeat=0.01) as fleet:
        site.go_down()
        await watch.until(lambda: fleet.members[0].state is State.FAILED)


async def test_a_failure_that_stays_the_same_is_told_once() -> None:
    watch = Watching()
    site = Site(math_server(), up=False)
    async with fleet_of(site, watch=watch) as fleet:
        site.up = True
        await watch.until(lambda: fleet.members[0].state is State.READY)
    assert [state for _, state, _ in watch.seen].count("failed") == 1


async def test_a_list_that_changes_is_followed() -> None:
    watch = Watching()
    server = math_server()
    async with fleet_of(Site(server), watch=watch) as fleet:

        @server.tool
        def later(a: int) -> int:
            """Came later."""
            return a

        await watch.until(lambda: "server0_later" in fleet.offers)


async def test_news_that_change_nothing_are_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watching()
    async with fleet_of(Site(math_server()), watch=watch) as fleet:
        looked, refresh = asyncio.Event(), fleet._refresh

        async def look(member: Member) -> None:
            await refresh(member)
            looked.set()

        monkeypatch.setattr(fleet, "_refresh", look)
        fleet.members[0].changed.add("tools")
        fleet.members[0].news.set()
        await asyncio.wait_for(looked.wait(), 10)
        assert [state for _, state, _ in watch.seen] == ["ready"]


async def test_names_that_endpoints_would_confuse_are_kept_apart() -> None:
    one, other = Server("one"), Server("other")
    one.tool("x.y")(lambda: "one's")
    one.tool("x_y")(lambda: "also one's")
    async with fleet_of(Site(one), Site(other)) as fleet:
        assert fleet.left_out == []
        texts = {name: (await fleet.call(offered, {})).text for name, offered in fleet.offers.items()}
        assert texts["server0_x_y"] == "also one's"
        assert sorted(texts.values()) == ["also one's", "one's"]


async def test_prompts_and_resources_are_found_by_name_and_uri() -> None:
    async with fleet_of(Site(math_server()), Site(modulo_server())) as fleet:
        for name in ("explain", "server1_explain"):
            prompt = await fleet.prompt(name, {"topic": "modulo"})
            assert prompt.messages[0].content.text == "Explain modulo"
        member, contents = await fleet.read("text://rules")
        assert (member.prefix, contents.text) == ("server1", "No division by zero.")
        with pytest.raises(UnknownName, match="no server has a prompt nope"):
            await fleet.prompt("nope", {})
        with pytest.raises(UnknownName, match="can read text://nope"):
            await fleet.read("text://nope")
        with pytest.raises(UnknownName, match="there is no server x; there are server0, server1"):
            fleet.member("x")


async def test_a_prompt_that_two_servers_have_must_be_said_with_its_server() -> None:
    async with fleet_of(Site(modulo_server()), Site(modulo_server())) as fleet:
        with pytest.raises(UnknownName, match="say server0_explain, server1_explain"):
            await fleet.prompt("explain", {"topic": "x"})


async def test_a_server_that_never_answers_does_not_hold_up_the_start() -> None:
    quiet = Site(math_server())
    answering = asyncio.Event()

    async def wait(exchange: object, call: object) -> object:
        await answering.wait()
        raise AssertionError("nobody waits any more")

    quiet.server.use(wait)  # type: ignore[arg-type]
    fleet = fleet_of(quiet, Site(math_server()), start_seconds=0.2)
    async with fleet:
        assert fleet.members[1].state is State.READY
        assert fleet.members[0].state is State.CONNECTING
