"""Asking the client, written once for every revision.

Where the revision lets a server send requests a question goes out at once; where the client can only be asked by a
result, the question is noted, the handler is left, and the client's retry runs it again with the answers
(spec 2026 basic/patterns/mrtr; MRTR-01…15). What must never stand here: a transport, a revision's date.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcpkit.features.questions import ElicitUrl, Question
from mcpkit.jsonrpc.errors import InternalError, InvalidParams
from mcpkit.jsonrpc.messages import JsonObject, Result
from mcpkit.protocol.capabilities import lacks
from mcpkit.protocol.errors import MissingClientCapability
from mcpkit.protocol.exchange import Exchange, InputRequired, NoBackChannel
from mcpkit.protocol.request_state import StateSealer
from mcpkit.protocol.revisions.revision import Asks

MAX_ROUNDS: Final = 32
"""How often one request may ask again before it is given up."""
MOST_PAGES: Final = 100
"""Pages that a session remembers to have sent its user to."""
ASKED: Final = "asked"
"""In an exchange's state: its handler has asked something, so that its value depends on the answer."""


class Answers:
    """The conversation of one exchange that asks by result: what was answered, what is still open."""

    __slots__ = ("_asked", "_fresh", "_once", "missing", "recorded", "state")

    def __init__(self, fresh: Mapping[str, Any], sealed: Mapping[str, Any]) -> None:
        self._fresh = fresh
        self.recorded: dict[str, Any] = dict(sealed.get("answers", {}))
        self._once: dict[str, Any] = dict(sealed.get("once", {}))
        self.state: Any = sealed.get("state")
        """What the returned form put into its ``state`` last time."""
        self.missing: dict[str, Question] = {}
        self._asked = 0

    @classmethod
    def of(cls, exchange: Exchange) -> Answers:
        """The answers that came with this exchange (none where it asks another way)."""
        answers = exchange.state.get("answers")
        if answers is None:
            answers = exchange.state["answers"] = cls({}, {})
        return answers

    @property
    def all(self) -> dict[str, Any]:
        """Every answer that has come so far, by key, as the client sent it."""
        return {**self.recorded, **self._fresh}

    def next_key(self, question: Question) -> str:
        """The key of a question that was given none: its method and its place in the order of asking."""
        self._asked += 1
        return f"{question.method.replace('/', '-')}-{self._asked}"

    def take(self, key: str, question: Question) -> Any:
        """The answer to ``key``; asks it and leaves the handler when there is none that fits (ELIC-14).

        Raises: InputRequired.
        """
        answer = self._fresh.get(key, self.recorded.get(key))
        if isinstance(answer, dict):
            try:
                value = question.read(answer)
            except ValueError:
                pass
            else:
                self.recorded[key] = answer
                return value
        self.missing[key] = question
        raise InputRequired("the handler is left and runs again with the answer; what outlives its request can't ask")

    async def once(self, key: str, effect: Callable[[], Any]) -> Any:
        """Run ``effect`` in the first round that gets here; later rounds get its JSON value again."""
        if key not in self._once:
            self._once[key] = await settled(effect())
        return self._once[key]

    def sealed_part(self) -> JsonObject:
        """What the next round must know."""
        part = {"answers": self.recorded, "once": self._once, "state": self.state}
        return {name: value for name, value in part.items() if value}


async def settled(value: Any) -> Any:
    """The value, awaited where it must be."""
    return await value if inspect.isawaitable(value) else value


async def ask(exchange: Exchange, question: Question, key: str | None = None) -> Any:
    """Ask one question in the way of the exchange's revision, and return the answer as a value.

    Raises: NoBackChannel, MissingClientCapability, RpcError (the client refused), ValueError (a senseless answer).
    """
    check_askable(exchange, question)
    if exchange.revision.asks is Asks.INPUT_REQUIRED:
        answers = Answers.of(exchange)
        return answers.take(key or answers.next_key(question), question)
    if isinstance(question, ElicitUrl) and exchange.session is not None:
        pages = (*exchange.session.elicitations, question.elicitation_id)
        exchange.session.elicitations = pages[-MOST_PAGES:]
    return question.read(await exchange.ask(question.method, question.params()))


def check_askable(exchange: Exchange, question: Question) -> None:
    """That this client can be asked this.

    Raises: MissingClientCapability where the revision has a number for it; NoBackChannel elsewhere.
    """
    exchange.state[ASKED] = True
    asks = exchange.revision.asks
    if asks is Asks.NEVER:
        raise NoBackChannel(f"{question.method} needs an MCP client; this caller speaks plain JSON-RPC")
    needs = question.needs()
    if not lacks(exchange.client.capabilities, needs):
        return
    if asks is Asks.INPUT_REQUIRED:
        raise MissingClientCapability(needs)
    raise NoBackChannel(f"the client did not declare the capability that {question.method} needs: {', '.join(needs)}")


async def ask_all(exchange: Exchange, questions: Mapping[str, Question]) -> dict[str, Any]:
    """Ask several questions in one round; the answers stand under the questions' keys.

    Raises: as :func:`ask`.
    """
    for question in questions.values():
        check_askable(exchange, question)
    if exchange.revision.asks is Asks.SERVER_REQUEST and len(questions) > 1:
        return await _ask_together(exchange, questions)
    values: dict[str, Any] = {}
    unanswered = False
    for key, question in questions.items():
        try:
            values[key] = await ask(exchange, question, key)
        except InputRequired:
            unanswered = True
    if unanswered:
        raise InputRequired
    return values


async def _ask_together(exchange: Exchange, questions: Mapping[str, Question]) -> dict[str, Any]:
    """Requests that are under way at once; when one is refused the others are given up."""
    asked = [asyncio.ensure_future(ask(exchange, question, key)) for key, question in questions.items()]
    try:
        return dict(zip(questions, await asyncio.gather(*asked), strict=True))
    finally:
        for request in asked:
            request.cancel()
        await asyncio.gather(*asked, return_exceptions=True)  # none outlives the call


@dataclass(slots=True)
class NeedInput:
    """The returned form: a tool or prompt returns it to ask ``questions``, and is called again with the answers.

    The answers are then at ``ctx.input_responses`` (values by key), ``state`` comes back as ``ctx.request_state``.
    """

    questions: Mapping[str, Question] = field(default_factory=dict)
    state: Any = None

    def __mcp_result__(self) -> JsonObject:
        """The marker that :func:`rounds` turns into questions."""
        return {"resultType": "input_required", "need_input": self}


def _told(text: str) -> Result:
    raise InternalError(text)


def rounds(
    serve: Callable[[Exchange], Awaitable[Result]], sealer: StateSealer, unasked: Callable[[str], Result] = _told
) -> Callable[[Exchange], Awaitable[Result]]:
    """Let the handler of a method ask: questions become results, retries bring the answers back (MRTR-02, -09, -10).

    ``unasked`` says why a question of the returned form reaches nobody, in the method's own way; by default an error.
    """

    async def call(exchange: Exchange) -> Result:
        by_result = exchange.revision.asks is Asks.INPUT_REQUIRED
        if by_result and ("requestState" in exchange.params or "inputResponses" in exchange.params):
            exchange.state["answers"] = _reopened(exchange, sealer)
        try:
            result = await serve(exchange)
        except InputRequired:
            return _questions(exchange, sealer)
        if type(result) is dict and "need_input" in result:
            need = result["need_input"]
            try:
                return _returned(exchange, need, sealer) if by_result else await _conversed(exchange, serve, need)
            except NoBackChannel as error:
                return unasked(str(error))
        return result

    return call


async def _conversed(exchange: Exchange, serve: Callable[[Exchange], Awaitable[Result]], need: NeedInput) -> Result:
    """The returned form where requests can be sent: ask at once and call again, a bounded number of times."""
    for _ in range(MAX_ROUNDS):
        fresh: JsonObject = {}
        for key, question in need.questions.items():
            check_askable(exchange, question)
            fresh[key] = await exchange.ask(question.method, question.params())
        exchange.state["answers"] = Answers({**Answers.of(exchange).all, **fresh}, {"state": need.state})
        result = await serve(exchange)
        if not isinstance(result, dict) or "need_input" not in result:
            return result
        need = result["need_input"]
    raise NoBackChannel(f"gave up after {MAX_ROUNDS} rounds of questions")


def _returned(exchange: Exchange, need: NeedInput, sealer: StateSealer) -> JsonObject:
    answers = Answers.of(exchange)
    for question in need.questions.values():
        check_askable(exchange, question)
    answers.recorded = answers.all
    for key in need.questions:
        answers.recorded.pop(key, None)
    answers.missing = dict(need.questions)
    answers.state = need.state
    return _questions(exchange, sealer)


def _questions(exchange: Exchange, sealer: StateSealer) -> JsonObject:
    answers = Answers.of(exchange)
    requests = {key: {"method": q.method, "params": _asked_params(exchange, q)} for key, q in answers.missing.items()}
    state = sealer.seal(
        answers.sealed_part(), principal=_principal(exchange), method=exchange.method, salient=_salient(exchange)
    )
    result: JsonObject = {"resultType": "input_required", "requestState": state}
    if requests:
        result["inputRequests"] = requests
    return result


def _asked_params(exchange: Exchange, question: Question) -> JsonObject:
    """A question inside a result has no id of its own: the retry is what completes it (ELIC-24)."""
    params = {name: value for name, value in question.params().items() if name != "elicitationId"}
    return exchange.revision.lowered(question.method, params)


def _reopened(exchange: Exchange, sealer: StateSealer) -> Answers:
    """The answers of a retry, checked (MRS-02, MRTR-11).

    Raises: InvalidParams.
    """
    fresh = exchange.params.get("inputResponses", {})
    if not isinstance(fresh, dict):
        raise InvalidParams("inputResponses must be an object of answers by key; send one per input request")
    for key, answer in fresh.items():
        if not isinstance(answer, dict):
            raise InvalidParams(f"inputResponses.{key[:64]} must be the result object of that input request")
    sealed = exchange.params.get("requestState")
    if sealed is None:
        return Answers(fresh, {})
    if not isinstance(sealed, str):
        raise InvalidParams("requestState must be the string that came with the input requests")
    opened = sealer.open(sealed, principal=_principal(exchange), method=exchange.method, salient=_salient(exchange))
    return Answers(fresh, opened)


def _principal(exchange: Exchange) -> str | None:
    return exchange.principal.id if exchange.principal else None


def _salient(exchange: Exchange) -> JsonObject:
    """What makes a retry the same request: everything but the answers and the envelope."""
    apart = ("_meta", "inputResponses", "requestState")
    return {name: value for name, value in exchange.params.items() if name not in apart}
