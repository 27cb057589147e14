"""Every environment variable of the server and the client, its default, its unit and its limits: one table.

Reading it is cheap (no pydantic), since a stdio server starts with it. What must never stand here: what a
setting does; how a value is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from mcpkit.settings import values
from mcpkit.settings.sources import DOTENV, file_variables, process_variables
from mcpkit.settings.unknown import unknown_variables, warn_once

FILES_ROOT: Final = Path("data/files")
DATABASE: Final = Path("data/app.db")
KIB: Final = 1024
MIB: Final = 1024 * KIB


def _setting(env: str, default: Any, parse: values.Parse, meaning: str, *, unit: str = "", secret: bool = False) -> Any:
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


# The parts of Settings are never made by themselves: methods of their own would cost every start a part of its time.
@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class Entry:
    """The settings of where the server is, and for whom."""

    # ── where the server listens ──
    host: str = _setting("MCP_SERVER_HOST", "127.0.0.1", values.host, "address to listen on")
    port: int = _setting("MCP_SERVER_PORT", 12000, values.whole(0, 65535), "port to listen on; 0 takes a free one")
    shutdown: Literal["session", "server", "off"] = _setting(
        "MCP_SERVER_SHUTDOWN",
        "session",
        values.one_of("session", "server", "off"),
        "what the method `shutdown` ends: the caller's session, the whole server, or nothing (no such method)",
    )
    grace_seconds: float = _setting(
        "MCP_SHUTDOWN_GRACE_SECONDS",
        8.0,
        values.seconds(0, 600),
        "how long calls in flight may go on at shutdown; over stdio, also once the input has ended",
        unit="s",
    )
    drain_seconds: float = _setting(
        "MCP_DRAIN_SECONDS",
        0.0,
        values.seconds(0, 600),
        "how long a server that is told to end still takes requests, for its proxy to notice; behind nginx: 3",
        unit="s",
    )
    http_parser: Literal["auto", "httptools", "h11"] = _setting(
        "MCP_HTTP_PARSER",
        "auto",
        values.one_of("auto", "httptools", "h11"),
        "parser of HTTP; auto: the fastest installed",
    )
    redis_url: str | None = _setting(
        "MCP_SERVER_REDIS_URL",
        None,
        values.redis,
        "Redis that replicas share sessions over, e.g. redis://127.0.0.1:6379/0; default: this process's memory",
        secret=True,
    )
    workers: int = _setting(
        "MCP_SERVER_WORKERS", 1, values.whole(1, 256), "processes that serve; sessions with more than one need Redis"
    )
    # ── who may enter ──
    allowed_hosts: tuple[str, ...] = _setting(
        "MCP_ALLOWED_HOSTS",
        (),
        values.entries,
        "Host names served besides loopback's, separated by commas; without a port: any port; * for all",
    )
    allowed_origins: tuple[str, ...] = _setting(
        "MCP_ALLOWED_ORIGINS",
        (),
        values.entries,
        "Origins of web pages let in besides loopback's, e.g. https://app.example.com; * for all",
    )
    auth_issuer: str | None = _setting(
        "MCP_AUTH_ISSUER", None, values.issuer, "issuer of the OAuth access tokens that are accepted; unset: no OAuth"
    )
    auth_resource: str | None = _setting(
        "MCP_AUTH_RESOURCE", None, values.url, "public URL of the MCP endpoint, which tokens must be issued for"
    )
    auth_jwks_url: str | None = _setting(
        "MCP_AUTH_JWKS_URL",
        None,
        values.secure_url,
        "where the issuer publishes its signing keys, for tokens that are JWTs",
    )
    auth_introspection_url: str | None = _setting(
        "MCP_AUTH_INTROSPECTION_URL", None, values.secure_url, "where the issuer is asked about tokens that are none"
    )
    auth_client_id: str | None = _setting("MCP_AUTH_CLIENT_ID", None, str, "this server's name when it asks there")
    auth_client_secret: str | None = _setting("MCP_AUTH_CLIENT_SECRET", None, str, "and its secret", secret=True)
    auth_scopes: tuple[str, ...] = _setting(
        "MCP_AUTH_SCOPES", (), values.entries, "scopes that every caller's token must carry, separated by commas"
    )
    auth_stream_seconds: float = _setting(
        "MCP_AUTH_STREAM_SECONDS",
        3600.0,
        values.seconds(1, 86_400),
        "an authenticated caller's stream ends after this, or when the token does",
        unit="s",
    )
    api_keys_file: Path | None = _setting(  # noqa: RUF009 - a field, made by dataclasses
        "MCP_API_KEYS_FILE", None, Path, "file of API keys, made by `mcpkit keys`; unset: no API keys"
    )
    api_keys_redis: bool = _setting(
        "MCP_API_KEYS_REDIS", False, values.flag, "1: API keys are kept in Redis, for all replicas, by `mcpkit keys`"
    )
    forwarded_allow_ips: tuple[str, ...] = _setting(
        "FORWARDED_ALLOW_IPS",
        ("127.0.0.1", "::1"),
        values.proxies,
        "proxies whose X-Forwarded-For tells a client's address: addresses, networks, or * for all; as uvicorn's",
    )
    metrics_token: str | None = _setting(
        "MCP_METRICS_TOKEN",
        None,
        values.key,
        "bearer token that reads /metrics, from anywhere, and nothing else; once it is set, nobody reads them without",
        secret=True,
    )


@dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class Bounds(Entry):
    """The settings of how much, and how long."""

    # ── one caller among others ──
    caller_share: int = _setting(
        "MCP_CALLER_SHARE",
        25,
        values.whole(1, 100),
        "what one caller may hold of every bound, in per cent of it; 100: all; callers without a name: by address",
        unit="%",
    )
    # ── limits of one HTTP request ──
    max_body_bytes: int = _setting(
        "MCP_MAX_BODY_BYTES", 4 * MIB, values.whole(1 * KIB, 1024 * MIB), "longest request body", unit="bytes"
    )
    max_pending_bytes: int = _setting(
        "MCP_MAX_PENDING_BYTES",
        32 * MIB,
        values.whole(64 * KIB, 1024 * 1024 * MIB),
        "most bytes of requests that are not answered yet, in this process, and of answers that are not read yet",
        unit="bytes",
    )
    max_connections: int = _setting(
        "MCP_MAX_CONNECTIONS",
        5000,
        values.whole(16, 1_000_000),
        "most connections to this process; beyond them idle ones are closed, then new ones refused",
    )
    max_header_bytes: int = _setting(
        "MCP_MAX_HEADER_BYTES", 32 * KIB, values.whole(1 * KIB, 1 * MIB), "longest header block", unit="bytes"
    )
    max_header_fields: int = _setting("MCP_MAX_HEADER_FIELDS", 100, values.whole(16, 10_000), "most header fields")
    max_uri_bytes: int = _setting(
        "MCP_MAX_URI_BYTES", 8 * KIB, values.whole(256, 1 * MIB), "longest request URI", unit="bytes"
    )
    max_json_depth: int = _setting("MCP_MAX_JSON_DEPTH", 64, values.whole(8, 512), "deepest nesting of JSON")
    max_json_values: int = _setting(
        "MCP_MAX_JSON_VALUES",
        50_000,
        values.whole(1_000, 10_000_000),
        "most values in one message; a member counts twice, an array or object three times",
    )
    max_batch: int = _setting("MCP_MAX_BATCH", 100, values.whole(1, 10_000), "most messages in a JSON-RPC batch")
    header_seconds: float = _setting(
        "MCP_HEADER_SECONDS", 10.0, values.seconds(0.1, 600), "time for a client to send its header block", unit="s"
    )
    body_silence_seconds: float = _setting(
        "MCP_BODY_SILENCE_SECONDS", 20.0, values.seconds(0.1, 600), "longest pause while a body arrives", unit="s"
    )
    request_seconds: float = _setting(
        "MCP_REQUEST_SECONDS", 60.0, values.seconds(0.1, 3600), "time for a whole request to arrive", unit="s"
    )
    # ── limits of what is served ──
    max_argument_bytes: int = _setting(
        "MCP_MAX_ARGUMENT_BYTES",
        1 * MIB,
        values.whole(1 * KIB, 1024 * MIB),
        "longest arguments of one call",
        unit="bytes",
    )
    max_result_bytes: int = _setting(
        "MCP_MAX_RESULT_BYTES", 1 * MIB, values.whole(1 * KIB, 1024 * MIB), "longest result of one call", unit="bytes"
    )
    tool_seconds: float = _setting(
        "MCP_TOOL_SECONDS", 60.0, values.seconds(0.01, 86_400), "time for a tool that sets none of its own", unit="s"
    )
    max_session_calls: int = _setting(
        "MCP_MAX_SESSION_CALLS", 100, values.whole(1, 100_000), "most calls in flight in one session"
    )
    max_sessions: int = _setting("MCP_MAX_SESSIONS", 10_000, values.whole(1, 1_000_000), "most sessions at a time")
    max_subscription_bytes: int = _setting(
        "MCP_MAX_SUBSCRIPTION_BYTES",
        32 * MIB,
        values.whole(64 * KIB, 1024 * 1024 * MIB),
        "most bytes of what is watched, by sessions (over Redis: of all replicas) and by streams, each",
        unit="bytes",
    )
    session_idle_seconds: float = _setting(
        "MCP_SESSION_IDLE_SECONDS", 1800.0, values.seconds(1, 604_800), "an unused session ends after this", unit="s"
    )
    max_calls: int = _setting("MCP_MAX_CALLS", 2000, values.whole(1, 1_000_000), "most calls in flight in this process")
    rate_per_second: float = _setting(
        "MCP_RATE_PER_SECOND",
        0.0,
        values.number(0, 1_000_000),
        "requests a second that one caller may send, over Redis to all replicas together; 0: any number",
    )
    rate_burst: int = _setting(
        "MCP_RATE_BURST", 50, values.whole(1, 1_000_000), "requests that a caller may send at once before that counts"
    )
    # ── event streams ──
    max_streams: int = _setting(
        "MCP_MAX_STREAMS", 4500, values.whole(1, 1_000_000), "most event streams that are open in this process"
    )
    max_caller_streams: int = _setting(
        "MCP_MAX_CALLER_STREAMS",
        1000,
        values.whole(1, 1_000_000),
        "most of these that one authenticated caller may open, if MCP_CALLER_SHARE allows it",
    )
    keep_alive_seconds: float = _setting(
        "MCP_KEEP_ALIVE_SECONDS",
        15.0,
        values.seconds(0.05, 3600),
        "a silent stream gets a comment this often",
        unit="s",
    )
    send_seconds: float = _setting(
        "MCP_SEND_SECONDS",
        30.0,
        values.seconds(0.1, 3600),
        "a client that reads nothing for this long is gone",
        unit="s",
    )
    max_stored_events: int = _setting(
        "MCP_MAX_STORED_EVENTS", 256, values.whole(1, 100_000), "events a session keeps for a client that reconnects"
    )
    max_stored_bytes: int = _setting(
        "MCP_MAX_STORED_BYTES", 1 * MIB, values.whole(1 * KIB, 1024 * MIB), "bytes of those events", unit="bytes"
    )
    stored_seconds: float = _setting(
        "MCP_STORED_SECONDS", 300.0, values.seconds(1, 86_400), "age after which such an event is dropped", unit="s"
    )
    retry_ms: int = _setting(
        "MCP_RETRY_MS",
        1000,
        values.whole(1, 600_000),
        "how long a client is told to wait before it reconnects",
        unit="ms",
    )


@dataclass(frozen=True, slots=True)
class Settings(Bounds):
    """What the environment says, checked. Make one with :meth:`load`; tests make one by keyword arguments."""

    # ── the model behind `sample` ──
    base_url: str | None = _setting(
        "BASE_URL", None, values.url, "base URL of an OpenAI-compatible API, e.g. https://api.openai.com/v1"
    )
    api_key: str | None = _setting("API_KEY", None, str, "key of that API", secret=True)
    model_name: str | None = _setting("MODEL_NAME", None, str, "model to ask there")
    model_images: bool = _setting(
        "MCP_MODEL_IMAGES", False, values.flag, "1: the chat shows the model the images among tools' results"
    )
    model_request_bytes: int = _setting(
        "MCP_MODEL_REQUEST_BYTES",
        384 * KIB,
        values.whole(16 * KIB, 64 * MIB),
        "largest request to the chat's model, images aside; older results are shortened, then older turns left out",
        unit="bytes",
    )
    sample_autodetect: bool = _setting(
        "MCP_SAMPLE_AUTODETECT", False, values.flag, "1: without BASE_URL, look for a model server on this machine"
    )
    # ── the example tools ──
    files_root: Path = _setting(  # noqa: RUF009 - a field, made by dataclasses
        "MCP_FILES_ROOT", FILES_ROOT, Path, "folder that the file tools and documents stay in"
    )
    database_path: Path = _setting(  # noqa: RUF009 - as above
        "MCP_DATABASE_PATH", DATABASE, Path, "file of the SQLite database"
    )
    weather_url: str = _setting(
        "MCP_WEATHER_URL",
        "https://api.open-meteo.com",
        values.url,
        "base URL of the weather service (Open-Meteo's API)",
    )
    # ── calls of tools ──
    tell_errors: Literal["own", "all", "tool_errors"] = _setting(
        "MCP_TELL_ERRORS",
        "own",
        values.one_of("own", "all", "tool_errors"),
        "exceptions that callers are told: ToolError alone, also ValueErrors that the author's own code raises, or all",
    )
    extra_arguments: Literal["refuse", "ignore"] = _setting(
        "MCP_EXTRA_ARGUMENTS",
        "refuse",
        values.one_of("refuse", "ignore"),
        "what becomes of a call with arguments that its tool doesn't know: it is refused, or they are dropped",
    )
    # ── the rest ──
    state_key: str | None = _setting(
        "MCP_STATE_KEY",
        None,
        values.key,
        "seals requestState; equal on all replicas; default: random at start",
        secret=True,
    )
    extensions: tuple[str, ...] = _setting(
        "MCP_EXTENSIONS", (), values.entries, "extensions to install, by name, separated by commas: tasks, telemetry, …"
    )
    log_level: str = _setting(
        "MCP_LOG_LEVEL",
        "warning",
        values.one_of("debug", "info", "warning", "error"),
        "least level of the server's log",
    )
    max_log_lines: int = _setting(
        "MCP_MAX_LOG_LINES",
        600,
        values.whole(16, 1_000_000),
        "most warnings and errors that are logged in a minute; how many were left out is said after it",
    )
    log_format: Literal["text", "json"] = _setting(
        "MCP_LOG_FORMAT", "text", values.one_of("text", "json"), "form of the server's log on stderr"
    )
    server_url: str = _setting(
        "MCP_SERVER_URL", "http://127.0.0.1:12000", values.url, "server that the example client connects to"
    )
    server_urls: tuple[str, ...] = _setting(
        "MCP_SERVER_URLS", (), values.urls, "servers that the chat connects to, separated by commas"
    )

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, dotenv: Path | None = DOTENV) -> Settings:
        """Read the environment (``os.environ`` by default) over the file ``dotenv``, which may be missing.

        An empty value counts as unset; names that look like settings and are none are logged once. Raises:
        SettingsError.
        """
        variables, file = process_variables(env), file_variables(dotenv)
        warn_once(_unknown(variables, file))
        return cls(**_values(file | variables))

    @classmethod
    def unknown(cls, env: Mapping[str, str] | None = None, dotenv: Path | None = DOTENV) -> dict[str, str | None]:
        """The variables that look like settings and are none, each with the name that was probably meant.

        Raises: SettingsError when the file can't be read.
        """
        return _unknown(process_variables(env), file_variables(dotenv))

    def __post_init__(self) -> None:
        """Check what was given by keyword: a value of another type would be taken for something else.

        Raises: SettingsError, naming the setting.
        """
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not one.default:
                object.__setattr__(self, one.name, _given(one, value))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect (NET-03)."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def authenticated(self) -> bool:
        """Whether callers have to say who they are."""
        return self.auth_issuer is not None or self.api_keys_file is not None or self.api_keys_redis

    @property
    def exposed(self) -> bool:
        """Whether anybody who can reach this machine can call."""
        return not self.loopback and not self.authenticated

    @classmethod
    def table(cls) -> tuple[Row, ...]:
        """All settings in order, for documentation and ``--help``."""
        return tuple(
            Row(one.name, about["env"], _as_text(one.default), about["unit"], about["meaning"], about["secret"])
            for one in fields(cls)
            for about in (one.metadata,)
        )


def _as_text(default: Any) -> Any:
    """A list as it would be written; everything else as it is."""
    return ",".join(default) if isinstance(default, tuple) and default else default


def _given(one: Any, value: Any) -> Any:
    about = one.metadata
    return values.given(one.name, value, _kind(one), one.default, about["parse"], shown=not about["secret"])


def _kind(one: Any) -> str:
    """The first word of the field's annotation: str, int, float, bool, Path, tuple[str, ...] or Literal[…]."""
    return str(one.type).partition("|")[0].partition("[")[0].strip()


def _unknown(variables: Mapping[str, str], file: Mapping[str, str]) -> dict[str, str | None]:
    return unknown_variables({**file, **variables}, file, [one.metadata["env"] for one in fields(Settings)])


def _values(given: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in fields(Settings):
        env: str = one.metadata["env"]
        text = given.get(env, "").strip()
        if text:
            found[one.name] = values.parsed(env, text, one.metadata["parse"], shown=not one.metadata["secret"])
    return found
