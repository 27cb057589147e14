"""Asking, written once: sent at once on handshake revisions, by result and retry on the newest (MRTR-*)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcpkit.features.asking import Answers, NeedInput, ask, ask_all, rounds
from mcpkit.features.context import Context
from mcpkit.features.questions import Elicit, ElicitUrl, ListRoots, Sample
from mcpkit.jsonrpc.errors import InternalError, InvalidParams, RpcError
from mcpkit.jsonrpc.messages import JsonObject
from mcpkit.protocol.errors import MissingClientCapability
from mcpkit.protocol.exchange import Exchange, NoBackChannel
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.registry import NEWEST_HANDSHAKE, PLAIN
from mcpkit.security.principal import Principal
from mcpkit.server import Server
from tests.exchanges import Recorder, exchange

SEALER = StateSealer(b"k" * 32)
NAME = {"name": "greet", "arguments": {"loud": True}}


async def greet(exchange: Exchange) -> JsonObject:
    """Asks two things, one after the other."""
    name = await ask(exchange, Elicit("Name?"), "name")
    if not name:
        return {"content": [{"type": "text", "text": f"no name: {name.action}"}]}
    colour = await ask(exchange, Elicit("Colour?"), "colour")
    return {"content": [{"type": "text", "text": f"{name.data} likes {colour.data}"}]}


def accepted(value: Any) -> JsonObject:
    return {"action": "accept", "content": {"value": value}}


def retry(first: JsonObject, **answers: Any) -> JsonObject:
    return {**NAME, "requestState": first["requestState"], "inputResponses": answers}


async def test_a_handshake_session_is_asked_at_once() -> None:
    """DUAL-09: a server request on the request's own channel."""
    channel = Recorder(lambda method, params: accepted({"Name?": "Ada", "Colour?": "blue"}[params["message"]]))
    result = await rounds(greet, SEALER)(exchange("tools/call", dict(NAME), revision=NEWEST_HANDSHAKE, channel=channel))
    assert result == {"content": [{"type": "text", "text": "Ada likes blue"}]}
    assert [method for method, _ in channel.asked] == ["elicitation/create"] * 2


async def test_a_stateless_caller_is_asked_by_results_and_retries() -> None:
    """MRTR-02, MRTR-12: each round carries what was answered before."""
    call = rounds(greet, SEALER)
    first = await call(exchange("tools/call", dict(NAME)))
    assert isinstance(first, dict)
    assert first["resultType"] == "input_required"
    assert first["inputRequests"]["name"]["method"] == "elicitation/create"
    assert first["inputRequests"]["name"]["params"]["message"] == "Name?"
    second = await call(exchange("tools/call", retry(first, name=accepted("Ada"))))
    assert isinstance(second, dict)
    assert list(second["inputRequests"]) == ["colour"]
    assert second["requestState"] != first["requestState"]
    third = await call(exchange("tools/call", retry(second, colour=accepted("blue"), extra={"action": "cancel"})))
    assert third == {"content": [{"type": "text", "text": "Ada likes blue"}]}


async def test_declining_is_an_outcome_and_not_a_missing_answer() -> None:
    """MRTR-15."""
    call = rounds(greet, SEALER)
    first = await call(exchange("tools/call", dict(NAME)))
    assert isinstance(first, dict)
    result = await call(exchange("tools/call", retry(first, name={"action": "decline"})))
    assert result == {"content": [{"type": "text", "text": "no name: decline"}]}


@pytest.mark.parametrize("answers", [{}, {"wrong": accepted("Ada")}, {"name": accepted(3)}, {"name": {"action": "?"}}])
async def test_missing_and_unfitting_answers_are_asked_for_again(answers: Any) -> None:
    """MRTR-11, ELIC-14."""
    call = rounds(greet, SEALER)
    first = await call(exchange("tools/call", dict(NAME)))
    assert isinstance(first, dict)
    again = await call(exchange("tools/call", retry(first, **answers)))
    assert isinstance(again, dict)
    assert list(again["inputRequests"]) == ["name"]


@pytest.mark.parametrize("answers", [None, 3, [], "x", {"name": 12345}, {"name": None}])
async def test_answers_of_the_wrong_shape_are_an_error(answers: Any) -> None:
    """MRTR-11: never silently accepted."""
    with pytest.raises(InvalidParams, match="inputResponses"):
        await rounds(greet, SEALER)(exchange("tools/call", {**NAME, "inputResponses": answers}))


async def test_a_state_is_good_for_this_request_and_caller_only() -> None:
    """MRTR-09, MRTR-10, STEST-03: tampering, other arguments, another principal, another method, another key."""
    call = rounds(greet, SEALER)
    alice, bob = Principal("alice"), Principal("bob")
    first = await call(exchange("tools/call", dict(NAME), principal=alice))
    assert isinstance(first, dict)
    good = retry(first, name=accepted("Ada"))
    assert isinstance(await call(exchange("tools/call", good, principal=alice)), dict)
    thefts = [
        exchange("tools/call", {**good, "requestState": good["requestState"] + "-TAMPERED"}, principal=alice),
        exchange("tools/call", {**good, "arguments": {"loud": False}}, principal=alice),
        exchange("tools/call", {**good, "requestState": 5}, principal=alice),
        exchange("tools/call", good, principal=bob),
        exchange("tools/call", good),
        exchange("prompts/get", good, principal=alice),
    ]
    for theft in thefts:
        with pytest.raises(InvalidParams):
            await call(theft)
    with pytest.raises(InvalidParams):
        await rounds(greet, StateSealer(b"o" * 32))(exchange("tools/call", good, principal=alice))


async def test_several_questions_go_out_in_one_round() -> None:
    """MRTR-05: one of each kind."""
    questions = {"who": Elicit("Name?"), "say": Sample("Hello"), "where": ListRoots()}

    async def serve(exchange: Exchange) -> JsonObject:
        return {"got": {key: str(value) for key, value in (await ask_all(exchange, questions)).items()}}

    first = await rounds(serve, SEALER)(exchange("tools/call", dict(NAME)))
    assert isinstance(first, dict)
    assert {key: asked["method"] for key, asked in first["inputRequests"].items()} == {
        "who": "elicitation/create",
        "say": "sampling/createMessage",
        "where": "roots/list",
    }
    answers = {
        "who": accepted("Ada"),
        "say": {"role": "assistant", "content": {"type": "text", "text": "hi"}, "model": "m"},
        "where": {"roots": []},
    }
    done = await rounds(serve, SEALER)(exchange("tools/call", retry(first, **answers)))
    assert isinstance(done, dict)
    assert set(done["got"]) == set(questions)


class Open(Recorder):
    """A client that answers nothing before it has been asked everything."""

    def __init__(self, expected: int, refuse: str = "") -> None:
        super().__init__()
        self._expected = expected
        self._refuse = refuse
        self._all = asyncio.Event()
        self.given_up: list[str] = []

    async def request(self, method: str, params: JsonObject) -> JsonObject:
        self.asked.append((method, params))
        if params["message"] == self._refuse:
            raise RpcError(-1, "the user refused")
        if len(self.asked) == self._expected:
            self._all.set()
        try:
            await asyncio.wait_for(self._all.wait(), 5)
        except asyncio.CancelledError:
            self.given_up.append(params["message"])
            raise
        return accepted(params["message"])


async def test_several_questions_are_under_way_at_once_where_requests_can_be_sent() -> None:
    """One round means one: a client that answers one after the other must not keep the second from being asked."""
    channel = Open(expected=2)
    call = exchange("tools/call", revision=NEWEST_HANDSHAKE, channel=channel)
    answers = await ask_all(call, {"a": Elicit("A?"), "b": Elicit("B?")})
    assert {key: answer.data for key, answer in answers.items()} == {"a": "A?", "b": "B?"}


async def test_when_one_question_is_refused_the_others_are_given_up() -> None:
    channel = Open(expected=3, refuse="B?")
    call = exchange("tools/call", revision=NEWEST_HANDSHAKE, channel=channel)
    with pytest.raises(RpcError, match="refused"):
        await ask_all(call, {"a": Elicit("A?"), "b": Elicit("B?")})
    assert channel.given_up == ["A?"]


async def test_an_effect_runs_once_however_often_the_handler_runs() -> None:
    """MRS-06: effects before a question are guarded by a key inside the sealed state."""
    effects: list[str] = []

    async def serve(exchange: Exchange) -> JsonObject:
        ticket = await Answers.of(exchange).once("ticket", lambda: effects.append("made") or "T-1")
        name = await ask(exchange, Elicit("Name?"), "name")
        return {"ticket": ticket, "name": name.data}

    call = rounds(serve, SEALER)
    first = await call(exchange("tools/call", dict(NAME)))
    assert isinstance(first, dict)
    assert await call(exchange("tools/call", retry(first, name=accepted("Ada")))) == {"ticket": "T-1", "name": "Ada"}
    assert effects == ["made"]


@pytest.mark.parametrize("question", [Elicit("x"), ElicitUrl("x", "https://e.example"), Sample("x"), ListRoots()])
async def test_what_the_client_did_not_declare_is_not_asked(question: Any) -> None:
    """INIT-11, ROOT-06, CAP-04, CAP-05, SAMP-16, MRTR-04."""
    with pytest.raises(MissingClientCapability):
        await ask(exchange("tools/call", capabilities={}), question)
    with pytest.raises(NoBackChannel, match="did not declare"):
        await ask(exchange("tools/call", revision=NEWEST_HANDSHAKE, capabilities={}), question)
    with pytest.raises(NoBackChannel, match="plain JSON-RPC"):
        await ask(exchange("tools/call", revision=PLAIN), question)


async def test_a_url_inside_a_result_has_no_id_of_its_own() -> None:
    """ELIC-24 against ELIC-20."""

    async def serve(exchange: Exchange) -> JsonObject:
        return {"opened": bool(await ask(exchange, ElicitUrl("Connect", "https://e.example/x"), "link"))}

    first = await rounds(serve, SEALER)(exchange("tools/call", dict(NAME)))
    assert isinstance(first, dict)
    assert first["inputRequests"]["link"]["params"] == {
        "mode": "url",
        "message": "Connect",
        "url": "https://e.example/x",
    }
    channel = Recorder(lambda method, params: {"action": "accept"})
    await rounds(serve, SEALER)(exchange("tools/call", dict(NAME), revision=NEWEST_HANDSHAKE, channel=channel))
    assert channel.asked[0][1]["elicitationId"]


@pytest.mark.parametrize("revision", ["", None])
async def test_the_returned_form_asks_on_every_revision(revision: str | None) -> None:
    """DUAL-09: a handler that returns its questions is called again with the answers."""

    async def serve(exchange: Exchange) -> JsonObject:
        answers = Answers.of(exchange)
        if "name" not in answers.all:
            return NeedInput({"name": Elicit("Name?")}, state={"step": 1}).__mcp_result__()
        return {"hello": answers.all["name"]["content"]["value"], "state": answers.state}

    call = rounds(serve, SEALER)
    expected = {"hello": "Ada", "state": {"step": 1}}
    if revision is None:
        first = await call(exchange("tools/call", dict(NAME)))
        assert isinstance(first, dict)
        assert "need_input" not in first
        assert await call(exchange("tools/call", retry(first, name=accepted("Ada")))) == expected
    else:
        channel = Recorder(lambda method, params: accepted("Ada"))
        assert await call(exchange("tools/call", dict(NAME), revision=NEWEST_HANDSHAKE, channel=channel)) == expected
        with pytest.raises(InternalError, match="plain JSON-RPC"):
            await call(exchange("tools/call", dict(NAME), revision=PLAIN))


@pytest.mark.parametrize("revision", [PLAIN, NEWEST_HANDSHAKE])
async def test_a_returned_question_that_reaches_nobody_is_told_like_an_awaited_one(revision: Any) -> None:
    """DUAL-09, TOOL-24: the two forms differ in nothing that a caller sees."""
    server = Server("unit")

    @server.tool
    async def awaits(ctx: Context) -> str:
        return str(await ctx.elicit("Name?"))

    @server.tool
    async def returns() -> NeedInput:
        return NeedInput({"name": Elicit("Name?")})

    @server.prompt
    async def drafts() -> NeedInput:
        return NeedInput({"name": Elicit("Name?")})

    def asked(method: str, name: str) -> Any:
        return server.kernel.serve(exchange(method, {"name": name}, revision=revision, capabilities={}))

    told = await asked("tools/call", "returns")
    assert told == await asked("tools/call", "awaits")
    assert told["isError"] is True
    with pytest.raises(InternalError, match="elicitation/create needs"):
        await asked("prompts/get", "drafts")


async def test_a_handler_that_never_stops_asking_is_given_up() -> None:
    """MRTR-14: rounds are bounded."""

    async def serve(exchange: Exchange) -> JsonObject:
        return NeedInput({"more": Elicit("More?")}).__mcp_result__()

    channel = Recorder(lambda method, params: accepted("more"))
    with pytest.raises(InternalError, match="rounds"):
        await rounds(serve, SEALER)(exchange("tools/call", dict(NAME), revision=NEWEST_HANDSHAKE, channel=channel))
