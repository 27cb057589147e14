"""A model behind an OpenAI-compatible endpoint: OpenAI, DeepSeek, Ollama, vLLM, LM Studio, llama.cpp and many more.

Every wait has a deadline; what fails for a moment is tried again; what is told of a failure holds neither the key
nor anything the endpoint said. What must never stand here: which endpoint is configured, the wire's field names.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from mcpkit.client.display import clean
from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, ProxyUnusable, Unreachable
from mcpkit.client.http import HttpAnswer, HttpCarrier, HttpRequest, HttpxCarrier, read_body
from mcpkit.framing.sse import Event, EventDecoder, EventTooLarge
from mcpkit.host.chat_completions import request_body
from mcpkit.host.complaints import Complaint, complaint_in
from mcpkit.host.completion_reader import (
    ANSWERED_AN_ERROR,
    MAX_EVENT_BYTES,
    CompletionReader,
    EndpointFailed,
    is_event_stream,
    is_framed,
    last_event,
    read_completion,
)
from mcpkit.host.dialect import Dialect, tools_named
from mcpkit.host.model import (
    ChatMessage,
    Completion,
    ModelDenied,
    ModelError,
    ToolOffer,
    ToolsRefused,
    Wishes,
)
from mcpkit.host.tool_trials import Trials
from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import ParseError

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_STREAM_BYTES: Final = 64 * 1024 * 1024
MAX_COMPLAINT_BYTES: Final = 64 * 1024
COMPLAINT_SECONDS: Final = 5.0
SHOWN_COMPLAINT: Final = 300
TELLING_BYTES: Final = 9
"""The start of a body by which an event stream is known."""
NO_WISHES: Final = Wishes()
TRIAL: Final = (ChatMessage("user", "hello"),)
TRIAL_WISHES: Final = Wishes(max_tokens=16)
UNFIT: Final = frozenset({400, 422})
COMPILING: Final = ("schema", "grammar", "function", "tools")
BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 529})

T = TypeVar("T")

LOCAL_ENDPOINTS: Final = (
    "http://127.0.0.1:11434/v1",  # Ollama
    "http://127.0.0.1:1234/v1",  # LM Studio
    "http://127.0.0.1:8080/v1",  # llama.cpp
)

REFUSALS: Final = {
    400: "The model's endpoint does not accept the request (HTTP 400): check MODEL_NAME",
    401: "The model's endpoint does not accept the key (HTTP 401): check API_KEY",
    402: "The account at the model's endpoint has no credit left (HTTP 402)",
    403: "The model's endpoint does not accept the key (HTTP 403): check API_KEY",
    404: "The model's endpoint knows no such path or model (HTTP 404): check BASE_URL and MODEL_NAME",
    413: "The prompt is too large for the model's endpoint (HTTP 413)",
    422: "The model's endpoint does not accept the request (HTTP 422): check MODEL_NAME",
    429: "The model's endpoint is busy or a quota is used up (HTTP 429): try again later",
}


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long and how often an endpoint is asked; all times in seconds."""

    answer: float = 120.0
    """Until a whole answer is there, or the first piece of a streamed one."""
    silence: float = 60.0
    """Between two pieces of a streamed answer; a server that sends comments meanwhile has ``answer`` for each."""
    stream: float = 1800.0
    """Until a streamed answer has ended."""
    attempts: int = 3
    first_pause: float = 0.5
    """Before the second attempt; doubled before each further one."""
    longest_pause: float = 20.0
    """An endpoint that wants a longer pause is not asked again."""


class OpenAIModel:
    """A model by its endpoint and name; ``api_key`` is None for servers that want none."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        carrier: HttpCarrier | None = None,
        persistence: Persistence | None = None,
        pause: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self.name = model
        self._url = f"{_root(base_url)}/chat/completions"
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **_authorization(api_key)}
        self._api_key = api_key
        self._dialect = Dialect()
        self._tried: list[list[str]] = []
        """Tools that have been tried already, since a refusal did not say what it was for."""
        self._carrier = carrier
        self._persistence = persistence or Persistence()
        self._pause = pause

    async def complete(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = NO_WISHES
    ) -> Completion:
        """The whole answer at once.

        Raises: ToolsRefused, ModelError.
        """
        retries = 0
        while True:
            try:
                return await self._within_time(lambda: self._whole(messages, tools, wishes))
            except ModelError as error:
                retries += await self._prepare_another(error, retries, messages, tools)

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = NO_WISHES
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of the text as they come; the last item is the whole answer.

        Only what fails before the first piece is tried again. Raises: ToolsRefused, ModelError.
        """
        retries, spoken = 0, False
        while True:
            try:
                async with aclosing(self._streamed(messages, tools, wishes)) as pieces:
                    async for piece in pieces:
                        spoken = True
                        yield piece
                return
            except ModelError as error:
                if spoken:
                    raise _in_the_middle(error) from error
                retries += await self._prepare_another(error, retries, messages, tools)

    async def close(self) -> None:
        """Give up the connections."""
        if self._carrier is not None:
            carrier, self._carrier = self._carrier, None
            await carrier.close()

    # ── one attempt ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _whole(self, messages: Sequence[ChatMessage], tools: Sequence[ToolOffer], wishes: Wishes) -> Completion:
        answer = await self._send(messages, tools, wishes, stream=False)
        with self._errors_told(answer):
            body = await read_body(answer, MAX_BODY_BYTES)
            return read_completion(body, self.name, _names(tools), framed=is_framed(answer.headers))

    async def _streamed(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolOffer], wishes: Wishes
    ) -> AsyncGenerator[str | Completion, None]:
        persistence = self._persistence
        answer = await self._within_time(lambda: self._send(messages, tools, wishes, stream=True))
        reader = CompletionReader(self.name, _names(tools))
        try:
            async with aclosing(_chunks(answer, persistence.silence)) as chunks:
                start = await start_of(chunks)
                with self._errors_told(answer):
                    if start and not is_event_stream(start):  # a server that does not know how to stream
                        reader.whole(start + await self._within_time(lambda: _rest(chunks)))
                        whole = reader.completion()
                        yield whole.content
                        yield whole
                        return
                    async for event in _events(start, chunks, persistence, reader):
                        if piece := reader.feed_event(event):
                            yield piece
                        if reader.done:
                            break
        finally:
            await answer.close()
        yield reader.finished(framed=is_framed(answer.headers))

    async def _send(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolOffer], wishes: Wishes, *, stream: bool
    ) -> HttpAnswer:
        """Send a request.

        Raises: Refused, ClientError.
        """
        if self._carrier is None:
            self._carrier = HttpxCarrier()
        body = request_body(self.name, messages, tools, wishes, stream=stream, dialect=self._dialect)
        answer = await self._carrier.send(HttpRequest("POST", self._url, self._headers, body))
        if answer.status == 200:
            return answer
        raise await _refused(answer, self._api_key)

    @contextmanager
    def _errors_told(self, answer: HttpAnswer) -> Iterator[None]:
        """Within, an error that an endpoint sends in place of an answer is what its HTTP status would have made it."""
        try:
            yield
        except EndpointFailed as error:
            said = _shown(error.complaint.said, self._api_key)
            if error.complaint.status is None:
                raise ModelError(str(error), retryable=True, said=said) from error
            wait = error.complaint.retry_after
            wait = _seconds(answer.headers.get("retry-after", "")) if wait is None else wait
            raise refusal(error.complaint.status, wait, said) from error

    async def _within_time(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._persistence.answer):
                return await attempt()
        except TimeoutError:
            seconds = self._persistence.answer
            raise ModelError(f"The model's endpoint did not answer within {seconds:g} seconds") from None
        except ClientError as error:
            raise _told(error) from error

    # ── another attempt ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _prepare_another(
        self, error: ModelError, retries: int, messages: Sequence[ChatMessage], tools: Sequence[ToolOffer]
    ) -> int:
        """Wait for another attempt, or learn what the endpoint takes; by how much this counts as a retry.

        Raises: the error, where another attempt would fail too; ToolsRefused.
        """
        if isinstance(error, Refused) and error.unfit:
            if self._dialect.learn(error.said, messages):
                return 0
            await self._blame_tools(error, tools)
        wait = error.retry_after if isinstance(error, Refused) else None
        if wait is None:
            wait = self._persistence.first_pause * 2.0**retries * random.uniform(0.5, 1.0)
        last = retries >= self._persistence.attempts - 1
        if last or not error.retryable or wait > self._persistence.longest_pause:
            raise error
        await self._pause(wait)
        return 1

    async def _blame_tools(self, error: Refused, tools: Sequence[ToolOffer]) -> None:
        """Find out whether a request was refused for the definitions of tools: the refusal names them, or trials do.

        Raises: ToolsRefused.
        """
        names = tools_named(error.said, tools)
        if not names and tools and error.status in UNFIT and _names(tools) not in self._tried:
            self._tried.append(_names(tools))
            names = await Trials(self._takes).refused(tools)
        if names:
            raise ToolsRefused(names, said=error.said) from error

    async def _takes(self, tools: Sequence[ToolOffer]) -> bool:
        """Whether the endpoint takes a small request with these tools.

        Raises: ModelError.
        """
        try:
            await self._within_time(lambda: self._whole(TRIAL, tools, TRIAL_WISHES))
        except Refused as error:
            if not error.unfit:
                raise
            return self._dialect.learn(error.said, TRIAL) and await self._takes(tools)
        return True


class Refused(ModelError):
    """The endpoint refused the request: by an HTTP status that is no success, or an error under one that is."""

    def __init__(self, status: int, retry_after: float | None = None, said: str = "") -> None:
        self.status = status
        self.retry_after = retry_after
        """Seconds after which the endpoint wants to be asked again."""
        moved = f"The model's endpoint sends elsewhere (HTTP {status}): set BASE_URL to where it is now"
        failed = f"The model's endpoint failed (HTTP {status})"
        text = REFUSALS.get(status, moved if 300 <= status < 400 else failed)
        super().__init__(text, retryable=status in BUSY, said=said)

    @property
    def unfit(self) -> bool:
        """The endpoint does not take the request as it is; servers that compile schemas fail with 500 then."""
        return self.status in UNFIT or (self.status == 500 and any(word in self.said.lower() for word in COMPILING))


class Denied(Refused, ModelDenied):
    """The endpoint answered that the key is none."""


def refusal(status: int, retry_after: float | None, said: str) -> Refused:
    """The refusal that an HTTP status is."""
    return (Denied if status in {401, 403} else Refused)(status, retry_after, said)


async def find_local_model(
    endpoints: Sequence[str] = LOCAL_ENDPOINTS, *, carrier: HttpCarrier | None = None, seconds: float = 1.0
) -> OpenAIModel | None:
    """The first model of the first model server that runs on this machine without a key, if there is one."""
    asking = carrier or HttpxCarrier(connect_seconds=seconds)
    try:
        for endpoint in endpoints:
            name = await _first_model(asking, endpoint, seconds)
            if name is not None:
                return OpenAIModel(endpoint, name)
        return None
    finally:
        if carrier is None:
            await asking.close()


async def _first_model(carrier: HttpCarrier, endpoint: str, seconds: float) -> str | None:
    try:
        return next(iter(await models_at(endpoint, carrier=carrier, seconds=seconds)), None)
    except ModelError:
        return None


async def models_at(
    base_url: str, api_key: str | None = None, *, carrier: HttpCarrier, seconds: float = 10.0
) -> list[str]:
    """The names of the models that an endpoint lists.

    Raises: ModelError; Refused with the HTTP status of an endpoint that lists none.
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", **_authorization(api_key)}
    try:
        async with asyncio.timeout(seconds):
            answer = await carrier.send(HttpRequest("GET", f"{_root(base_url)}/models", headers))
            if answer.status != 200:
                raise await _refused(answer, api_key)
            listed = load(await read_body(answer, MAX_BODY_BYTES))["data"]
            return [one["id"] for one in listed if isinstance(one["id"], str) and one["id"]]
    except TimeoutError:
        raise ModelError(f"The model's endpoint did not answer within {seconds:g} seconds") from None
    except ClientError as error:
        raise _told(error) from error
    except (ParseError, LookupError, TypeError):
        raise ModelError("The model's endpoint does not list its models in a way that can be read") from None


def _root(base_url: str) -> str:
    return base_url.rstrip("/").removesuffix("/chat/completions")


async def _refused(answer: HttpAnswer, api_key: str | None) -> Refused:
    complaint = await _complaint(answer)
    await answer.close()
    wait = _seconds(answer.headers.get("retry-after", ""))
    wait = complaint.retry_after if wait is None else wait
    return refusal(answer.status, wait, _shown(complaint.said, api_key))


def _shown(said: str, api_key: str | None) -> str:
    """What an endpoint says, safe on a terminal and without the key."""
    return clean(said.replace(api_key, "…") if api_key else said, SHOWN_COMPLAINT)


async def _complaint(answer: HttpAnswer) -> Complaint:
    """What the endpoint says of its refusal, if it says so in time and in a known form."""
    try:
        async with asyncio.timeout(COMPLAINT_SECONDS):
            return complaint_in(await read_body(answer, MAX_COMPLAINT_BYTES))
    except (TimeoutError, ClientError):
        return Complaint()


def _in_the_middle(error: ModelError) -> ModelError:
    """The same failure after a part of the answer has been shown."""
    if isinstance(error, Refused) or str(error) == ANSWERED_AN_ERROR:
        return ModelError("The model's endpoint failed in the middle of its answer", retryable=True, said=error.said)
    return error


def _names(tools: Sequence[ToolOffer]) -> list[str]:
    return [tool.name for tool in tools]


# ── the body of a streamed answer ───────────────────────────────────────────────────────────────────────────────────


async def _chunks(answer: HttpAnswer, silence: float) -> AsyncGenerator[bytes, None]:
    """The body as it comes.

    Raises: ModelError.
    """
    size = 0
    async with aclosing(answer.chunks()) as chunks:
        while (chunk := await _next_chunk(chunks, silence)) is not None:
            size += len(chunk)
            if size > MAX_STREAM_BYTES:
                raise ModelError("The model's endpoint does not stop answering")
            yield chunk


async def _next_chunk(chunks: AsyncGenerator[bytes, None], silence: float) -> bytes | None:
    try:
        async with asyncio.timeout(silence):
            return await anext(chunks, None)
    except TimeoutError:
        raise ModelError(f"The model's endpoint fell silent for {silence:g} seconds") from None
    except ClientError as error:
        raise _told(error) from error


async def start_of(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """As much of a body as tells what it is; nothing of an empty one."""
    start = b""
    async for chunk in chunks:
        start += chunk
        begun = start.lstrip()
        if len(begun) >= TELLING_BYTES or b"\n" in begun:
            break
    return start


async def _rest(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """What is left of a body that comes in one piece."""
    parts, size = [], 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise ModelError("The model's endpoint sent more at once than fits")
    return b"".join(parts)


async def _events(
    start: bytes, chunks: AsyncGenerator[bytes, None], persistence: Persistence, reader: CompletionReader
) -> AsyncGenerator[Event, None]:
    """Each event of a streamed answer.

    Raises: ModelError, also when the ``reader`` has learnt nothing from them for too long.
    """
    decoder, clock = EventDecoder(MAX_EVENT_BYTES), asyncio.get_running_loop().time
    begun = heard = clock()
    steps = reader.steps
    chunk: bytes | None = start
    while chunk is not None:
        try:
            events = decoder.feed(chunk)
        except EventTooLarge:
            raise ModelError("The model's endpoint sent more at once than fits") from None
        for event in events:
            yield event
        now = clock()
        heard, steps = (now, reader.steps) if reader.steps > steps else (heard, steps)
        if now > heard + persistence.answer:
            raise ModelError(f"The model's endpoint said nothing for {persistence.answer:g} seconds")
        if now > begun + persistence.stream:
            raise ModelError(f"The model's endpoint did not end its answer within {persistence.stream:g} seconds")
        chunk = await anext(chunks, None)
    for event in last_event(decoder):
        yield event


def _told(error: ClientError) -> ModelError:
    """A failure of the connection in words that hold neither the key nor what the endpoint said."""
    if isinstance(error, ProxyUnusable):
        return ModelError(f"The model's endpoint can't be reached: {error}")
    if isinstance(error, Unreachable):
        return ModelError("The model's endpoint can't be reached: check BASE_URL", retryable=True)
    if isinstance(error, ConnectionLost):
        return ModelError("The connection to the model's endpoint broke", retryable=True)
    if isinstance(error, ProtocolViolation):
        return ModelError("The model's endpoint answered in a way that can't be read")
    return ModelError("The model's endpoint did not answer")


def _authorization(api_key: str | None) -> dict[str, str]:
    if not api_key:
        return {}
    if not api_key.isascii() or not api_key.isprintable():
        raise ModelDenied("API_KEY holds characters that no key has: was it pasted with a line break?")
    return {"Authorization": f"Bearer {api_key}"}


def _seconds(retry_after: str) -> float | None:
    """What a Retry-After field says: seconds, or a date."""
    try:
        if retry_after.strip().isdigit():
            return float(retry_after)
        date = parsedate_to_datetime(retry_after)
    except (ValueError, TypeError, OverflowError):
        return None
    until = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
