"""The server that you clone, run and edit: settings → server → routers → run.

Start it with ``python mcp_server.py`` (HTTP) or ``python mcp_server.py --stdio``; every setting comes from the
environment or `.env`. What must never stand here: the work of a tool, a rule of the protocol.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from mcpkit import Server, Settings, SettingsError, __version__
from mcpkit.run import serve, url_of
from mcpkit.settings import environment
from routers.base_router import MCPBaseRouter
from routers.info_router import server_information
from routers.prompt_router import register_prompts
from routers.resource_router import register_resources
from routers.sampling_router import register_sampling
from routers.tool_router import register_tools

if TYPE_CHECKING:
    from fastapi import FastAPI

HERE: Final = Path(__file__).resolve().parent
DOTENV: Final = Path(".env")


class MCPServer:
    """The application: a server with everything in `routers/`, as a FastAPI app (:attr:`app`) or run by itself."""

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        settings: Settings | None = None,
        workers: int | None = None,
    ) -> None:
        """``host``, ``port`` and ``workers`` win over the settings, which are :func:`load_settings` when not given.

        Raises: SettingsError.
        """
        settings = settings or load_settings()
        self.settings = replace(
            settings,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
            workers=settings.workers if workers is None else workers,
        )
        self.server = Server("mcp-server", __version__)
        self.server.configure(self.settings)
        self.router = MCPBaseRouter(self.server, self.settings)
        self._register_methods()

    def _register_methods(self) -> None:
        """Register what the server offers: add your own here, or override this in a subclass.

        A plain JSON-RPC method is a name and a function, sync or async, from its params to its result::

            self.router.register_method("hello", lambda params: {"hello": params.get("name", "world")})
        """
        register_tools(self.router, self.settings)
        register_resources(self.router, self.settings)
        register_prompts(self.router)
        register_sampling(self.router, self.settings)

    @cached_property
    def app(self) -> FastAPI:
        """The FastAPI application: the MCP URLs, and `GET /` with what the server says of itself.

        Raises: SettingsError.
        """
        from mcpkit.fastapi import create_app  # noqa: PLC0415 - a stdio server starts without FastAPI

        try:
            return create_app(self.server, self.settings, describe=partial(server_information, self.server))
        except ValueError as error:
            raise SettingsError(f"MCP_ALLOWED_HOSTS or MCP_ALLOWED_ORIGINS: {error}") from None

    def run(self, *, stdio: bool = False) -> None:
        """Serve until told to stop.

        Raises: SettingsError; SystemExit with code 2, after one clear line, when the address can't be had.
        """
        serve(self.server if stdio else self.app, self.settings, stdio=stdio)


def load_settings() -> Settings:
    """The environment over `.env`: the one of the folder it is started in, or else the one beside this file.

    An MCP client starts this program in a folder of its own. So `data/` lies beside this file too, and a relative path
    in `.env` is one beside that `.env`; only one in the environment starts from the working folder.
    Raises: SettingsError.
    """
    dotenv = found_dotenv()
    settings = Settings.load(dotenv=dotenv)
    given, written = environment(None), environment(dotenv, {})

    def placed(name: str, path: Path) -> Path:
        if given.get(name):
            return path
        return (dotenv.absolute().parent if written.get(name) else HERE) / path

    return replace(
        settings,
        files_root=placed("MCP_FILES_ROOT", settings.files_root),
        database_path=placed("MCP_DATABASE_PATH", settings.database_path),
    )


def found_dotenv() -> Path:
    """Where `.env` is, or would be."""
    return DOTENV if DOTENV.exists() else HERE / DOTENV


def main(argv: Sequence[str] | None = None, server_class: type[MCPServer] = MCPServer) -> None:
    """Do what the command line says."""
    parser = command_line()
    given = parser.parse_args(argv)
    try:
        server = server_class(given.host, given.port, workers=given.workers)
        if given.print_config:
            print(json.dumps(client_config(given.print_config, server.settings), indent=2))  # noqa: T201 - what was asked for
        else:
            server.run(stdio=given.stdio)
    except SettingsError as error:
        parser.error(str(error))


def client_config(client: str, settings: Settings) -> dict[str, Any]:
    """What to put into the configuration of an MCP client, so that it finds this server."""
    remote = {"url": f"{url_of(settings.host, settings.port)}/api"}
    local = {"command": sys.executable, "args": [str(Path(sys.argv[0]).resolve()), "--stdio"]}
    if found_dotenv() == DOTENV and Path.cwd() != HERE:  # which would not be found from another folder
        local = {**local, "cwd": str(Path.cwd())}
    typed = {"type": "http", **remote}
    configs: dict[str, dict[str, Any]] = {
        "claude": {"mcpServers": {"mcpkit": local}},
        "cursor": {"mcpServers": {"mcpkit": remote}},
        "vscode": {"servers": {"mcpkit": typed}},
        "json": {"mcpServers": {"mcpkit": typed, "mcpkit-stdio": local}},
    }
    return configs[client]


class _Arguments(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def command_line() -> argparse.ArgumentParser:
    """What can be said on the command line; ``--help`` lists the settings too."""
    settings = "\n".join(f"  {row.env:<28}{row.meaning} (default: {row.default})" for row in Settings.table())
    parser = _Arguments(
        description="An MCP server over HTTP, or over stdin and stdout.",
        epilog=f"settings, from the environment or .env (here, or else beside {Path(__file__).name}):\n{settings}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", type=_host, help="address to listen on, instead of MCP_SERVER_HOST")
    parser.add_argument("--port", type=_port, help="port to listen on, instead of MCP_SERVER_PORT; 0 takes a free one")
    parser.add_argument("--workers", type=_workers, help="processes that serve, instead of MCP_SERVER_WORKERS")
    parser.add_argument("--stdio", action="store_true", help="serve stdin and stdout instead of HTTP")
    parser.add_argument(
        "--print-config",
        choices=("claude", "cursor", "vscode", "json"),
        help="print what a client needs to find this server, and end",
    )
    return parser


def _host(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or set(text) & set(" /?#@"):
        raise argparse.ArgumentTypeError(f"{text!r} is no host: give a name or an address such as 127.0.0.1")
    return text


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers: give one from 1 to 256")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    main()
