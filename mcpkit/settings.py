"""Every environment variable of the server and the client, its default, its unit and its limits: one table.

Reading it is cheap (no pydantic), since a stdio server starts with it. What must never stand here: what a
setting does. Elsewhere nothing reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from io import StringIO
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

Parse: TypeAlias = Callable[[str], Any]
DOTENV: Final = Path(".env")
FILES_ROOT: Final = Path("data/files")
DATABASE: Final = Path("data/app.db")
KIB: Final = 1024
MIB: Final = 1024 * KIB


class SettingsError(Exception):
    """A setting can't be used; the message is one line that names the variable and what it accepts."""


def _whole(least: int, most: int) -> Parse:
    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return parse


def _seconds(least: float, most: float) -> Parse:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not least <= number <= most:
            raise ValueError(f"a number of seconds from {least:g} to {most:g}")
        return number

    return parse


def _number(least: float, most: float) -> Parse:
    def parse(text: str) -> float:
        try:
            return float(_seconds(least, most)(text))
        except ValueError:
            raise ValueError(f"a number from {least:g} to {most:g}") from None

    return parse


def _one_of(*choices: str) -> Parse:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text.lower()

    return parse


def _flag(text: str) -> bool:
    if text.lower() not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ValueError("1 or 0")
    return text.lower() in {"1", "true", "yes", "on"}


def _list(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in (part.strip() for part in text.split(",")) if entry)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise ValueError("a URL such as http://127.0.0.1:12000")
    return text.rstrip("/")


def _secure_url(text: str) -> str:
    url = _url(text)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("an https URL (http only on this machine)")
    return url


def _issuer(text: str) -> str:
    _secure_url(text)
    return text  # as it stands: a slash at its end is part of its name


def _urls(text: str) -> tuple[str, ...]:
    try:
        return tuple(_url(entry) for entry in _list(text))
    except ValueError:
        raise ValueError("URLs such as http://127.0.0.1:18080, separated by commas") from None


def _host(text: str) -> str:
    if not text.isascii() or not text.isprintable() or set(text) & set(" /?#@"):
        raise ValueError("a host name or address such as 127.0.0.1, ::1 or 0.0.0.0")
    return text


def _key(text: str) -> str:
    if len(text) < 32:
        raise ValueError("a secret of at least 32 characters")
    return text


def _redis(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("a URL such as redis://127.0.0.1:6379/0, rediss://… or unix:///run/redis.sock")
    return text


def _setting(env: str, default: Any, parse: Parse, meaning: str, *, unit: str = "", secret: bool = False) -> Any:
    about = {"env": env, "parse": parse, "meaning": meaning, "unit": unit, "secret": secret}
    return field(default=default, repr=not secret, metadata=about)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the documented table of settings."""

    name: str
    env: str
    default: Any
    unit: str
    meaning: str
    secret: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked. Make one with :meth:`load`; tests make one by keyword arguments."""

    # ── where the server listens ──
    host: str = _setting("MCP_SERVER_HOST", "127.0.0.1", _host, "address to listen on")
    port: int = _setting("MCP_SERVER_PORT", 12000, _whole(0, 65535), "port to listen on; 0 takes a free one")
    shutdown: Literal["session", "server", "off"] = _setting(
        "MCP_SERVER_SHUTDOWN",
        "session",
        _one_of("session", "server", "off"),
        "what the method `shutdown` ends: the caller's session, the whole server, or nothing (no such method)",
    )
    grace_seconds: float = _setting(
        "MCP_SHUTDOWN_GRACE_SECONDS", 8.0, _seconds(0, 600), "how long calls in flight may go on at shutdown", unit="s"
    )
    http_parser: Literal["auto", "httptools", "h11"] = _setting(
        "MCP_HTTP_PARSER", "auto", _one_of("auto", "httptools", "h11"), "parser of HTTP; auto: the fastest installed"
    )
    redis_url: str | None = _setting(
        "MCP_SERVER_REDIS_URL",
        None,
        _redis,
        "Redis that replicas share sessions over, e.g. redis://127.0.0.1:6379/0; default: this process's memory",
        secret=True,
    )
    workers: int = _setting(
        "MCP_SERVER_WORKERS", 1, _whole(1, 256), "processes that serve; sessions with more than one need Redis"
    )
    # ── who may enter ──
    allowed_hosts: tuple[str, ...] = _setting(
        "MCP_ALLOWED_HOSTS",
        (),
        _list,
        "Host names served besides loopback's, separated by commas; without a port: any port; * for all",
    )
    allowed_origins: tuple[str, ...] = _setting(
        "MCP_ALLOWED_ORIGINS",
        (),
        _list,
        "Origins of web pages let in besides loopback's, e.g. https://app.example.com; * for all",
    )
    auth_issuer: str | None = _setting(
        "MCP_AUTH_ISSUER", None, _issuer, "issuer of the OAuth access tokens that are accepted; unset: no OAuth"
    )
    auth_resource: str | None = _setting(
        "MCP_AUTH_RESOURCE", None, _url, "public URL of the MCP endpoint, which tokens must be issued for"
    )
    auth_jwks_url: str | None = _setting(
        "MCP_AUTH_JWKS_URL", None, _secure_url, "where the issuer publishes its signing keys, for tokens that are JWTs"
    )
    auth_introspection_url: str | None = _setting(
        "MCP_AUTH_INTROSPECTION_URL", None, _secure_url, "where the issuer is asked about tokens that are none"
    )
    auth_client_id: str | None = _setting("MCP_AUTH_CLIENT_ID", None, str, "this server's name when it asks there")
    auth_client_secret: str | None = _setting("MCP_AUTH_CLIENT_SECRET", None, str, "and its secret", secret=True)
    auth_scopes: tuple[str, ...] = _setting(
        "MCP_AUTH_SCOPES", (), _list, "scopes that every caller's token must carry, separated by commas"
    )
    auth_stream_seconds: float = _setting(
        "MCP_AUTH_STREAM_SECONDS",
        3600.0,
        _seconds(1, 86_400),
        "an authenticated caller's stream ends after this, or when the token does",
        unit="s",
    )
    api_keys_file: Path | None = _setting(  # noqa: RUF009 - a field, made by dataclasses
        "MCP_API_KEYS_FILE", None, Path, "file of API keys, made by `mcpkit keys`; unset: no API keys"
    )
    # ── limits of one HTTP request ──
    max_body_bytes: int = _setting(
        "MCP_MAX_BODY_BYTES", 4 * MIB, _whole(1 * KIB, 1024 * MIB), "longest request body", unit="bytes"
    )
    max_header_bytes: int = _setting(
        "MCP_MAX_HEADER_BYTES", 32 * KIB, _whole(1 * KIB, 1 * MIB), "longest header block", unit="bytes"
    )
    max_header_fields: int = _setting("MCP_MAX_HEADER_FIELDS", 100, _whole(16, 10_000), "most header fields")
    max_uri_bytes: int = _setting(
        "MCP_MAX_URI_BYTES", 8 * KIB, _whole(256, 1 * MIB), "longest request URI", unit="bytes"
    )
    max_json_depth: int = _setting("MCP_MAX_JSON_DEPTH", 64, _whole(8, 512), "deepest nesting of JSON")
    max_batch: int = _setting("MCP_MAX_BATCH", 100, _whole(1, 10_000), "most messages in a JSON-RPC batch")
    header_seconds: float = _setting(
        "MCP_HEADER_SECONDS", 10.0, _seconds(0.1, 600), "time for a client to send its header block", unit="s"
    )
    body_silence_seconds: float = _setting(
        "MCP_BODY_SILENCE_SECONDS", 20.0, _seconds(0.1, 600), "longest pause while a body arrives", unit="s"
    )
    request_seconds: float = _setting(
        "MCP_REQUEST_SECONDS", 60.0, _seconds(0.1, 3600), "time for a whole request to arrive", unit="s"
    )
    # ── limits of what is served ──
    max_argument_bytes: int = _setting(
        "MCP_MAX_ARGUMENT_BYTES", 1 * MIB, _whole(1 * KIB, 1024 * MIB), "longest arguments of one call", unit="bytes"
    )
    max_result_bytes: int = _setting(
        "MCP_MAX_RESULT_BYTES", 1 * MIB, _whole(1 * KIB, 1024 * MIB), "longest result of one call", unit="bytes"
    )
    tool_seconds: float = _setting(
        "MCP_TOOL_SECONDS", 60.0, _seconds(0.01, 86_400), "time for a tool that sets none of its own", unit="s"
    )
    max_session_calls: int = _setting(
        "MCP_MAX_SESSION_CALLS", 100, _whole(1, 100_000), "most calls in flight in one session"
    )
    max_sessions: int = _setting("MCP_MAX_SESSIONS", 10_000, _whole(1, 1_000_000), "most sessions at a time")
    session_idle_seconds: float = _setting(
        "MCP_SESSION_IDLE_SECONDS", 1800.0, _seconds(1, 604_800), "an unused session ends after this", unit="s"
    )
    max_calls: int = _setting("MCP_MAX_CALLS", 2000, _whole(1, 1_000_000), "most tool calls in flight in this process")
    rate_per_second: float = _setting(
        "MCP_RATE_PER_SECOND", 0.0, _number(0, 1_000_000), "requests a second that one caller may send; 0: any number"
    )
    rate_burst: int = _setting(
        "MCP_RATE_BURST", 50, _whole(1, 1_000_000), "requests that a caller may send at once before that counts"
    )
    # ── event streams ──
    keep_alive_seconds: float = _setting(
        "MCP_KEEP_ALIVE_SECONDS", 15.0, _seconds(0.05, 3600), "a silent stream gets a comment this often", unit="s"
    )
    send_seconds: float = _setting(
        "MCP_SEND_SECONDS", 30.0, _seconds(0.1, 3600), "a client that reads nothing for this long is gone", unit="s"
    )
    max_stored_events: int = _setting(
        "MCP_MAX_STORED_EVENTS", 256, _whole(1, 100_000), "events a session keeps for a client that reconnects"
    )
    max_stored_bytes: int = _setting(
        "MCP_MAX_STORED_BYTES", 1 * MIB, _whole(1 * KIB, 1024 * MIB), "bytes of those events", unit="bytes"
    )
    stored_seconds: float = _setting(
        "MCP_STORED_SECONDS", 300.0, _seconds(1, 86_400), "age after which such an event is dropped", unit="s"
    )
    retry_ms: int = _setting(
        "MCP_RETRY_MS", 1000, _whole(1, 600_000), "how long a client is told to wait before it reconnects", unit="ms"
    )
    # ── the model behind `sample` ──
    base_url: str | None = _setting(
        "BASE_URL", None, _url, "base URL of an OpenAI-compatible API, e.g. https://api.openai.com/v1"
    )
    api_key: str | None = _setting("API_KEY", None, str, "key of that API", secret=True)
    model_name: str | None = _setting("MODEL_NAME", None, str, "model to ask there")
    sample_autodetect: bool = _setting(
        "MCP_SAMPLE_AUTODETECT", False, _flag, "1: without BASE_URL, look for a model server on this machine"
    )
    # ── the example tools ──
    files_root: Path = _setting(  # noqa: RUF009 - a field, made by dataclasses
        "MCP_FILES_ROOT", FILES_ROOT, Path, "folder that the file tools and documents stay in"
    )
    database_path: Path = _setting(  # noqa: RUF009 - as above
        "MCP_DATABASE_PATH", DATABASE, Path, "file of the SQLite database"
    )
    weather_url: str = _setting(
        "MCP_WEATHER_URL", "https://api.open-meteo.com", _url, "base URL of the weather service (Open-Meteo's API)"
    )
    # ── the rest ──
    state_key: str | None = _setting(
        "MCP_STATE_KEY", None, _key, "seals requestState; equal on all replicas; default: random at start", secret=True
    )
    extensions: tuple[str, ...] = _setting(
        "MCP_EXTENSIONS", (), _list, "extensions to install, by name, separated by commas: tasks, telemetry, …"
    )
    log_level: str = _setting(
        "MCP_LOG_LEVEL", "warning", _one_of("debug", "info", "warning", "error"), "least level of the server's log"
    )
    log_format: Literal["text", "json"] = _setting(
        "MCP_LOG_FORMAT", "text", _one_of("text", "json"), "form of the server's log on stderr"
    )
    server_url: str = _setting(
        "MCP_SERVER_URL", "http://127.0.0.1:12000", _url, "server that the example client connects to"
    )
    server_urls: tuple[str, ...] = _setting(
        "MCP_SERVER_URLS", (), _urls, "servers that the chat connects to, separated by commas"
    )

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, dotenv: Path | None = DOTENV) -> Settings:
        """Read the environment (``os.environ`` by default) over the file ``dotenv``, which may be missing.

        An empty value counts as unset. Raises: SettingsError.
        """
        return cls(**_values(_dotenv(dotenv) | dict(os.environ if env is None else env)))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect (NET-03)."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def authenticated(self) -> bool:
        """Whether callers have to say who they are."""
        return self.auth_issuer is not None or self.api_keys_file is not None

    @property
    def exposed(self) -> bool:
        """Whether anybody who can reach this machine can call."""
        return not self.loopback and not self.authenticated

    @classmethod
    def table(cls) -> tuple[Row, ...]:
        """All settings in order, for documentation and ``--help``."""
        return tuple(
            Row(one.name, about["env"], one.default, about["unit"], about["meaning"], about["secret"])
            for one in fields(cls)
            for about in (one.metadata,)
        )


def environment(dotenv: Path | None = DOTENV) -> dict[str, str]:
    """All variables of the environment over the file ``dotenv``: for configuration files that name their own.

    Raises: SettingsError.
    """
    return _dotenv(dotenv) | dict(os.environ)


def _values(given: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in fields(Settings):
        env: str = one.metadata["env"]
        text = given.get(env, "").strip()
        if text:
            values[one.name] = _parsed(env, text, one.metadata["parse"], shown=not one.metadata["secret"])
    return values


def _parsed(env: str, text: str, parse: Parse, *, shown: bool) -> Any:
    try:
        return parse(text)
    except ValueError as accepted:
        value = f", not {text[:60]!r}" if shown else ""
        raise SettingsError(f"{env} must be {accepted}{value}") from None


def _dotenv(path: Path | None) -> dict[str, str]:
    try:
        if path is None or not path.exists():
            return {}
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} can't be read: it is not UTF-8 text") from None
    return _assignments(path, text)


def _assignments(path: Path, text: str) -> dict[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415 - most starts have no such file, and need not pay for it
    from dotenv.parser import parse_stream  # noqa: PLC0415

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise SettingsError(f"{path} line {binding.original.line} is not of the form NAME=value")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}
