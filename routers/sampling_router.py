"""Two plain JSON-RPC methods of this server's own: `sample` asks a language model, `shutdown` takes leave.

What must never stand here: text that no model wrote, an answer of the model's endpoint in an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mcpkit import Context, RpcError, Settings
from mcpkit.host.model import ChatMessage, Model, ModelError, Wishes
from mcpkit.jsonrpc.errors import InvalidParams, InvalidRequest
from mcpkit.run import request_shutdown
from routers.base_router import MCPBaseRouter

# JSON-RPC leaves -32768 to -32000 to the protocol (ERR-05), so these stand outside.
NO_MODEL: Final = 1001
MODEL_FAILED: Final = 1002

NOT_CONFIGURED: Final = (
    "No model is configured: set BASE_URL, MODEL_NAME and (where the endpoint wants one) API_KEY, "
    "or MCP_SAMPLE_AUTODETECT=1 to use a model server that runs on this machine"
)


def register_sampling(router: MCPBaseRouter, settings: Settings) -> None:
    """Offer `sample`, and `shutdown` unless MCP_SERVER_SHUTDOWN is off."""
    sampler = Sampler(settings)
    router.on_close(sampler.close)
    router.register_method("sample", sampler.sample)
    if settings.shutdown != "off":
        end = end_server if settings.shutdown == "server" else end_session
        router.register_method("shutdown", refusing_strangers(end) if settings.exposed else end)


class Sampler:
    """Asks the configured model; looks for a local one where the settings allow it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: Model | None = None

    async def sample(self, params: dict[str, Any]) -> dict[str, Any]:
        """`sample {prompt, system_prompt?, max_tokens?, temperature?}` → `{content, usage, model}`."""
        messages, wishes = _question(params)
        try:
            model = await self._chosen()
            answer = await model.complete(messages, wishes=wishes)
        except ModelError as error:
            raise RpcError(MODEL_FAILED, str(error), {"retryable": error.retryable}) from error
        usage = {
            "prompt_tokens": answer.usage.prompt_tokens,
            "completion_tokens": answer.usage.completion_tokens,
            "total_tokens": answer.usage.total_tokens,
        }
        return {"content": answer.content, "usage": usage, "model": answer.model}

    async def close(self) -> None:
        """Give up the model's connections."""
        if self._model is not None:
            await self._model.close()

    async def _chosen(self) -> Model:
        if self._model is None:
            self._model = await self._configured()
        return self._model

    async def _configured(self) -> Model:
        # A server starts without an HTTP client; the first question loads it.
        from mcpkit.host.openai import OpenAIModel, find_local_model  # noqa: PLC0415

        settings = self._settings
        if settings.base_url and settings.model_name:
            return OpenAIModel(settings.base_url, settings.model_name, settings.api_key)
        local = await find_local_model() if settings.sample_autodetect and not settings.base_url else None
        if local is None:
            raise RpcError(NO_MODEL, NOT_CONFIGURED)
        return local


def _question(params: dict[str, Any]) -> tuple[list[ChatMessage], Wishes]:
    prompt, system = params.get("prompt"), params.get("system_prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InvalidParams('`sample` needs a prompt, for example {"prompt": "Say hello"}')
    if system is not None and not isinstance(system, str):
        raise InvalidParams("`system_prompt` must be a string")
    messages = [ChatMessage("system", system)] if system else []
    wishes = Wishes(_positive(params.get("max_tokens")), _temperature(params.get("temperature")))
    return [*messages, ChatMessage("user", prompt)], wishes


def _positive(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 < value <= 1_000_000):
        return value
    raise InvalidParams("`max_tokens` must be a whole number from 1 to 1000000")


def _temperature(value: Any) -> float | None:
    if value is None or (isinstance(value, int | float) and type(value) is not bool and 0 <= value <= 2):
        return value
    raise InvalidParams("`temperature` must be a number from 0 to 2")


def refusing_strangers(end: Callable[[Context, dict[str, Any]], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`shutdown` where anybody on the network could call it: only the process that started this one may."""

    def refuse(context: Context, params: dict[str, Any]) -> dict[str, Any]:
        if context.exchange.headers:  # over HTTP
            raise InvalidRequest(
                "shutdown is refused: this server listens beyond its machine without authentication; "
                "set MCP_API_KEYS_FILE or MCP_AUTH_ISSUER, or listen on 127.0.0.1"
            )
        return end(context, params)

    return refuse


def end_session(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """`shutdown`: end the caller's session, or a plain caller's connection, and nobody else's."""
    context.exchange.channel.hang_up()
    return {"status": "shutting_down"}


def end_server(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """`shutdown` of the whole server, gracefully: calls in flight are answered first, and so is this one."""
    request_shutdown()
    return end_session(context, params)
