"""A model behind an OpenAI-compatible endpoint: OpenAI, DeepSeek, Ollama, vLLM, LM Studio, llama.cpp and many more.

Every wait has a deadline; what fails for a moment is tried again; what is told of a failure holds neither the key
nor anything the endpoint said. What must never stand here: which endpoint is configured, the wire's field names.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from mcpkit.client.display import clean
from mcpkit.client.errors import ClientError, ConnectionLost, ProtocolViolation, Unreachable
from mcpkit.client.http import HttpAnswer, HttpCarrier, HttpRequest, HttpxCarrier, read_body
from mcpkit.framing.sse import EventDecoder, EventTooLarge
from mcpkit.host.chat_completions import CompletionReader, complaint_in, read_completion, request_body
from mcpkit.host.model import ChatMessage, Completion, ModelDenied, ModelError, ToolOffer, Wishes
from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import ParseError

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
MAX_EVENT_BYTES: Final = 1024 * 1024
MAX_STREAM_BYTES: Final = 64 * 1024 * 1024
MAX_COMPLAINT_BYTES: Final = 64 * 1024
COMPLAINT_SECONDS: Final = 5.0
SHOWN_COMPLAINT: Final = 300
REASONS: Final = "max_completion_tokens"
"""What OpenAI tells who sends ``max_tokens`` to a model that reasons."""
NO_WISHES: Final = Wishes()
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
    429: "The model's endpoint is busy or a quota is used up (HTTP 429): try again later",
}


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long and how often an endpoint is asked; all times in seconds."""

    answer: float = 120.0
    """Until a whole answer is there, or the first piece of a streamed one."""
    silence: float = 60.0
    """Between two pieces of a streamed answer; a server that sends comments meanwhile has ``answer`` for each."""
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
        self._reasons = False
        """The endpoint has refused what models that reason don't take."""
        self._carrier = carrier
        self._persistence = persistence or Persistence()
        self._pause = pause

    async def complete(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = NO_WISHES
    ) -> Completion:
        """The whole answer at once.

        Raises: ModelError.
        """

        def body() -> bytes:
            return request_body(self.name, messages, tools, wishes, stream=False, reasons=self._reasons)

        async def attempt() -> Completion:
            return await self._whole(await self._send(body))

        return await self._persist(attempt)

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolOffer] = (), wishes: Wishes = NO_WISHES
    ) -> AsyncGenerator[str | Completion, None]:
        """Pieces of the text as they come; the last item is the whole answer.

        Only what fails before the first piece is tried again. Raises: ModelError.
        """

        def body() -> bytes:
            return request_body(self.name, messages, tools, wishes, stream=True, reasons=self._reasons)

        answer = await self._persist(lambda: self._send(body))
        reader = CompletionReader(self.name)
        try:
            if "json" in answer.headers.get("content-type", ""):  # a server that does not know how to stream
                whole = await self._within_time(lambda: self._whole(answer))
                yield whole.content
                yield whole
                return
            async with aclosing(_events(answer, self._persistence)) as events:
                async for data in events:
                    if piece := reader.feed(data):
                        yield piece
                    if reader.done:
                        break
        finally:
            await answer.close()
        yield reader.finished()

    async def close(self) -> None:
        """Give up the connections."""
        if self._carrier is not None:
            carrier, self._carrier = self._carrier, None
            await carrier.close()

    async def _send(self, body: Callable[[], bytes]) -> HttpAnswer:
        if self._carrier is None:
            self._carrier = HttpxCarrier()
        answer = await self._carrier.send(HttpRequest("POST", self._url, self._headers, body()))
        if answer.status == 200:
            return answer
        refused = await _refused(answer, self._api_key)
        if refused.status == 400 and REASONS in refused.said and not self._reasons:
            self._reasons = True
            return await self._send(body)
        raise refused

    async def _whole(self, answer: HttpAnswer) -> Completion:
        return read_completion(await read_body(answer, MAX_BODY_BYTES), self.name)

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, is refused for good, or was tried often enough."""
        for number in range(self._persistence.attempts - 1):
            try:
                return await self._within_time(attempt)
            except ModelError as error:
                pause = self._pause_after(error, number)
                if not error.retryable or pause > self._persistence.longest_pause:
                    raise
            await self._pause(pause)
        return await self._within_time(attempt)

    async def _within_time(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._persistence.answer):
                return await attempt()
        except TimeoutError:
            seconds = self._persistence.answer
            raise ModelError(f"The model's endpoint did not answer within {seconds:g} seconds") from None
        except ClientError as error:
            raise _told(error) from error

    def _pause_after(self, error: ModelError, number: int) -> float:
        if isinstance(error, Refused) and error.retry_after is not None:
            return error.retry_after
        return self._persistence.first_pause * 2.0**number * random.uniform(0.5, 1.0)


class Refused(ModelError):
    """The endpoint answered with an HTTP status that is no success."""

    def __init__(self, answer: HttpAnswer, said: str = "") -> None:
        self.status = answer.status
        self.retry_after = _seconds(answer.headers.get("retry-after", ""))
        text = REFUSALS.get(answer.status, f"The model's endpoint failed (HTTP {answer.status})")
        super().__init__(text, retryable=answer.status in BUSY, said=said)


class Denied(Refused, ModelDenied):
    """The endpoint answered that the key is none."""


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
    said = await _complaint(answer)
    await answer.close()
    said = said.replace(api_key, "…") if api_key else said
    return (Denied if answer.status in {401, 403} else Refused)(answer, clean(said, SHOWN_COMPLAINT))


async def _complaint(answer: HttpAnswer) -> str:
    """What the endpoint says of its refusal, if it says so in time and in a known form."""
    try:
        async with asyncio.timeout(COMPLAINT_SECONDS):
            return complaint_in(await read_body(answer, MAX_COMPLAINT_BYTES))
    except (TimeoutError, ClientError):
        return ""


async def _events(answer: HttpAnswer, persistence: Persistence) -> AsyncGenerator[str, None]:
    """The data of each event of a streamed answer.

    Raises: ModelError.
    """
    decoder, size, clock = EventDecoder(MAX_EVENT_BYTES), 0, asyncio.get_running_loop().time
    heard = clock()
    async with aclosing(answer.chunks()) as chunks:
        while (chunk := await _next_chunk(chunks, persistence.silence)) is not None:
            size += len(chunk)
            if size > MAX_STREAM_BYTES:
                raise ModelError("The model's endpoint does not stop answering")
            try:
                events = decoder.feed(chunk)
            except EventTooLarge:
                raise ModelError("The model's endpoint sent more at once than fits") from None
            if events:
                heard = clock()
            elif clock() > heard + persistence.answer:
                raise ModelError(f"The model's endpoint said nothing for {persistence.answer:g} seconds")
            for event in events:
                yield event.data


async def _next_chunk(chunks: AsyncGenerator[bytes, None], silence: float) -> bytes | None:
    try:
        async with asyncio.timeout(silence):
            return await anext(chunks, None)
    except TimeoutError:
        raise ModelError(f"The model's endpoint fell silent for {silence:g} seconds") from None
    except ClientError as error:
        raise _told(error) from error


def _told(error: ClientError) -> ModelError:
    """A failure of the connection in words that hold neither the key nor what the endpoint said."""
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
