"""The command line: ``mcpkit list | call | read | prompt | ping | chat | doctor | serve``.

``python mcp_client.py`` offers the same words for a client; both come here. What must never stand here: the work of a
command (mcpkit/host, mcpkit/run.py).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from mcpkit.client import ClientError, MCPClient
from mcpkit.client.display import clean
from mcpkit.client.oauth import FileStore
from mcpkit.host.commands import Commands, UsageError
from mcpkit.host.config import ConfigError, Entry
from mcpkit.host.doctor import examine, report
from mcpkit.host.ending import code_of_interruption, ended_by_signals
from mcpkit.host.exits import EXIT_CODES, OK, UNREAD, USAGE, exit_code
from mcpkit.host.model import ModelError
from mcpkit.host.program_file import load_program, place_of_call
from mcpkit.host.sign_in import Access, url_of
from mcpkit.host.start import Plan, run_chat
from mcpkit.host.targets import connection, headers_of, many_servers, one_server
from mcpkit.host.words import language_of
from mcpkit.settings import Settings, SettingsError, environment

if TYPE_CHECKING:
    from mcpkit.server import Server

USES: Final = {
    "list": "[TARGET]                    what a server offers",
    "call": "[TARGET] NAME a=1 b=2       call a tool",
    "read": "[TARGET] URI                read a resource",
    "prompt": "[TARGET] NAME k=v           fill in a prompt",
    "ping": "[TARGET]                    how fast a server answers",
    "chat": "[TARGET …]                  talk with a model that has the tools of many servers",
    "doctor": "[TARGET …]                  what is wrong with the set-up, and how to mend it",
    "login": "[TARGET]                    sign in to a server, in a browser",
    "logout": "[TARGET]                    forget that",
    "keys": "add | list | revoke | rotate    the API keys of a server",
    "serve": "FILE.py[:NAME]              serve the Server in a Python file",
}
TOKENS: Final = "tokens.json"
DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY")
"""Without one of these there is no window to open a browser in, and one of text would take the terminal."""
CLIENT_COMMANDS: Final = tuple(name for name in USES if name not in {"keys", "serve"})
TARGETS: Final = """TARGET is a URL or a command in quotes; a command may also stand at the end, after --.
Without one it is MCP_SERVER_URL; for chat MCP_SERVER_URLS, else the two examples on 18080 and 18081."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with the code for usage."""
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(words: Sequence[str] | None = None, prog: str = "mcpkit") -> int:
    """Run a command; the exit code."""
    given = list(sys.argv[1:] if words is None else words)
    if not given or given[0] in {"-h", "--help", "help"}:
        print(overview(prog, USES if prog == "mcpkit" else CLIENT_COMMANDS))
        return OK if given else USAGE
    name, *rest = given
    if name not in USES:
        print(f"{prog}: there is no command {clean(name, 40)}; there are {', '.join(USES)}", file=sys.stderr)
        return USAGE
    command = rest[rest.index("--") + 1 :] if "--" in rest else []
    parser = parser_of(f"{prog} {name}", name)
    options = parser.parse_intermixed_args(rest[: rest.index("--")] if "--" in rest else rest)
    options.command_name, options.program = name, prog
    if name not in {"keys", "serve"}:  # which has settings of its own for that
        set_up_log(verbose=options.verbose)
        set_up_streams()
    return _guarded(parser, lambda: COMMANDS[name](options, command))


def set_up_streams() -> None:
    """Text that a stream's encoding can't hold is shown with gaps rather than ending the program."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def set_up_log(*, verbose: bool) -> None:
    """The client's log is for those who want it: what matters is told in the answer."""
    logger = logging.getLogger("mcpkit")
    if verbose:
        logging.basicConfig(level=logging.DEBUG)
    elif not logger.handlers:
        logger.addHandler(logging.NullHandler())


def overview(prog: str, names: Sequence[str] | dict[str, str]) -> str:
    """What ``--help`` says."""
    lines = [f"  {name:<7} {USES[name]}" for name in names]
    more = f"{prog} COMMAND --help says more."
    return "\n".join([f"usage: {prog} COMMAND …", "", *lines, "", TARGETS, more, "", EXIT_CODES])


def parser_of(prog: str, name: str) -> Parser:
    """What may stand after a command."""
    parser = Parser(
        prog=prog,
        description=f"{name} {USES[name]}",
        epilog=f"{TARGETS}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if name == "keys":
        from mcpkit.host.keys import add_arguments  # noqa: PLC0415 - a client needs none

        add_arguments(parser)
        return parser
    parser.add_argument("words", nargs="*", metavar="WORD")
    if name == "serve":
        parser.add_argument("--host", help="address to listen on, instead of MCP_SERVER_HOST")
        parser.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one")
        parser.add_argument("--stdio", action="store_true", help="serve stdin and stdout instead of HTTP")
        return parser
    parser.add_argument("--config", type=Path, metavar="FILE", help='a file with "mcpServers" or "servers"')
    parser.add_argument("--server", metavar="NAME", help="which server of that file; or a URL or command")
    parser.add_argument("--header", action="append", default=[], metavar="'Name: value'", help="sent to HTTP servers")
    parser.add_argument("--token", help="a bearer token for HTTP servers")
    parser.add_argument(
        "--timeout", type=_seconds, help="seconds of silence after which a call, or the handshake, is given up"
    )
    if name not in {"login", "logout"}:
        parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    parser.add_argument("--verbose", action="store_true", help="the client's log on stderr")
    if name == "call":
        parser.add_argument("--args", metavar="JSON", help="the arguments as one JSON object")
    if name == "chat":
        _chat_arguments(parser)
    if name == "login":
        parser.add_argument("--client-id", metavar="ID", help="of a client registered with the server beforehand")
        parser.add_argument(
            "--callback-port", type=_port, default=0, metavar="PORT", help="where the browser comes back to"
        )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e9:
        raise ValueError
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError
    return port


_seconds.__name__, _port.__name__ = "number of seconds", "port"  # as argparse calls them


def _chat_arguments(parser: Parser) -> None:
    parser.add_argument("--once", metavar="TEXT", help="one question; its answer goes to stdout")
    parser.add_argument("--lang", choices=("en", "zh"), help="language of the chat's own words (default: the locale's)")
    parser.add_argument(
        "--approve",
        choices=("ask", "auto", "never"),
        default="ask",
        help="whether tools that may change something, or don't say, are called: after asking, always, never",
    )
    parser.add_argument("--by-name", action="store_true", help="tools by the server's name in the file, not server0_")


# ── the commands ────────────────────────────────────────────────────────────────────────────────────────────────────


def _one_server(options: argparse.Namespace, command: list[str]) -> int:
    name = options.command_name
    words = list(options.words)
    entry = one_server(options, words, command, spare=1 if name == "read" else 0)
    needed = {"call": "a tool's NAME", "read": "a URI", "prompt": "a prompt's NAME"}.get(name)
    if needed and not words:
        raise UsageError(f"give {needed}")
    if not needed and words:
        raise UsageError(f"{words[0]} is neither a URL nor a command; a command of one word stands after --")
    return asyncio.run(_asked(name, words, entry, options))


async def _asked(name: str, words: list[str], entry: Entry, options: argparse.Namespace) -> int:
    auth = _access(options).of(entry)
    async with MCPClient(entry.target, auth=auth, **connection(options)) as client:
        commands = Commands(client, as_json=options.json)
        work: dict[str, Callable[[], Coroutine[Any, Any, int]]] = {
            "list": commands.list,
            "ping": commands.ping,
            "call": lambda: commands.call(words[0], words[1:], options.args),
            "read": lambda: commands.read(words[0]),
            "prompt": lambda: commands.prompt(words[0], words[1:]),
        }
        return await work[name]()


def _chat(options: argparse.Namespace, command: list[str]) -> int:
    settings, variables = Settings.load(), environment()
    entries, _ = many_servers(options, command, settings)
    plan = Plan(
        entries,
        settings,
        by_name=options.by_name,
        approve=options.approve,
        language=options.lang or language_of(variables),
        as_json=options.json,
        once=options.once,
        folder=_folder(variables),
        connection=connection(options),
        access=_access(options),
    )
    if options.timeout is not None:
        plan = replace(plan, timeout=options.timeout)
    if plan.once is not None and not (settings.sample_autodetect or (settings.base_url and settings.model_name)):
        raise UsageError("no model is configured: set MODEL_NAME, BASE_URL and API_KEY in .env or the environment")
    return run_chat(plan)


def _doctor(options: argparse.Namespace, command: list[str]) -> int:
    settings: Settings | SettingsError
    entries: list[Entry] = []
    named = False
    access, unknown = Access(), {}
    try:
        unknown = Settings.unknown()
        settings = Settings.load()
        entries, named = many_servers(options, command, settings)
        access = replace(_access(options), tell=None)
    except SettingsError as error:
        settings = error
    findings = examine(entries, settings, named=named, options=connection(options), access=access, unknown=unknown)
    return asyncio.run(report(findings, as_json=options.json, out=sys.stdout))


def _login(options: argparse.Namespace, command: list[str]) -> int:
    entry = _url(options, command)
    access = replace(_access(options), tell=_say_page, client_id=options.client_id, port=options.callback_port)
    kept = asyncio.run(_signed_in(entry, access, options))
    where = f"what it gave is kept in {_folder(environment()) / TOKENS}" if kept else "it wants no sign-in"
    print(f"{clean(entry.place, 200)} lets you in; {where}")
    return OK


async def _signed_in(entry: Entry, access: Access, options: argparse.Namespace) -> bool:
    async with MCPClient(entry.target, auth=access.of(entry), **connection(options)) as client:
        if "tools" in client.server_capabilities:
            await client.list_tools()  # there are servers that let everybody in so far
    return await access.remember(entry)


def _logout(options: argparse.Namespace, command: list[str]) -> int:
    entry = _url(options, command)
    known = asyncio.run(_access(options).forget(entry))
    print(f"{'forgotten' if known else 'nothing was kept'}: {clean(entry.place, 200)}")
    return OK


def _url(options: argparse.Namespace, command: list[str]) -> Entry:
    words = list(options.words)
    entry = one_server(options, words, command, spare=0)
    if words or url_of(entry) is None:
        raise UsageError("give one server's URL: only those can be signed in to")
    return entry


def _serve(options: argparse.Namespace, command: list[str]) -> int:
    from mcpkit.run import only_loading, serve  # noqa: PLC0415 - a client needs no server

    if len(options.words) != 1:
        raise UsageError("give one Python file, as FILE.py or FILE.py:NAME")
    with only_loading():
        server = load_server(options.words[0])
    settings = Settings.load()
    settings = replace(
        settings,
        host=settings.host if options.host is None else options.host,
        port=settings.port if options.port is None else options.port,
    )
    serve(server, settings, stdio=options.stdio)
    return OK


def _keys(options: argparse.Namespace, command: list[str]) -> int:
    from mcpkit.host import keys  # noqa: PLC0415 - a client needs none

    print("\n".join(asyncio.run(keys.run(options, Settings.load()))))
    return OK


COMMANDS: Final[dict[str, Callable[[argparse.Namespace, list[str]], int]]] = {
    **dict.fromkeys(("list", "call", "read", "prompt", "ping"), _one_server),
    "chat": _chat,
    "login": _login,
    "logout": _logout,
    "doctor": _doctor,
    "keys": _keys,
    "serve": _serve,
}


def load_server(place: str) -> Server:
    """The server in a Python file: the one with the name after the colon, or the only one there is.

    Raises: UsageError.
    """
    from mcpkit.server import Server  # noqa: PLC0415 - a client needs no server

    path, _, name = place.rpartition(":") if place.rpartition(":")[0].endswith(".py") else (place, "", "")
    module = load_program(path)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Server)}
    names = ", ".join(found) or "none"
    if name in found:
        return found[name]
    if name and found:
        raise UsageError(f"{path} has no mcpkit.Server called {name}; there is: {names}")
    if not found:
        classes = {key: one for key, one in vars(module).items() if isinstance(one, type) and issubclass(one, Server)}
        own = next((one.__name__ for one in classes.values() if one is not Server), None)
        there = f"the class {own} only: call it" if own else "none"
        if made := place_of_call(path, {"Server", *classes}):
            there = f"none at the file's top level, where it is looked for; {made}"
        called = f" called {name}" if name else ""
        free = "" if name in vars(module) else name
        raise UsageError(
            f'{path} must hold one mcpkit.Server{called}: write `{free or "server"} = {own or "Server"}("name")`'
            f"{' outside of functions and conditions' if made else ''}; there is: {there}"
        )
    if len({id(server) for server in found.values()}) > 1:
        raise UsageError(f"{path} must hold one mcpkit.Server, or name it after a colon; there is: {names}")
    return next(iter(found.values()))


def _access(options: argparse.Namespace) -> Access:
    """In whose name servers are asked; a user at a terminal may sign in."""
    variables = environment()
    here = sys.stdin.isatty() and sys.stderr.isatty()
    return Access(
        FileStore(_folder(variables) / TOKENS),
        options.token,
        headers_of(options),
        tell=_say_page if here else None,
        browser=sys.platform in {"win32", "darwin"} or not {"BROWSER", *DISPLAYS}.isdisjoint(variables),
        program="mcpkit" if options.program == "mcpkit" else f"python {options.program}",
    )


def _say_page(server: str, page: str) -> None:
    print(f"{server} wants you to sign in: open {page}", file=sys.stderr, flush=True)


def _folder(variables: dict[str, str]) -> Path:
    """Where a program may keep what it remembers of its runs."""
    if sys.platform == "win32" and variables.get("LOCALAPPDATA"):
        return Path(variables["LOCALAPPDATA"]) / "mcpkit"
    return Path(variables.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mcpkit"


def _guarded(parser: Parser, work: Callable[[], int]) -> int:
    """Run it; whatever happens becomes one line and a code."""
    try:
        with ended_by_signals():
            return work()
    except (UsageError, ConfigError, SettingsError, ValueError) as error:
        print(f"{parser.prog}: {clean(str(error), 400)}", file=sys.stderr)
        return USAGE
    except (ClientError, ModelError) as error:
        print(f"{parser.prog}: {clean(str(error), 800)}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return code_of_interruption()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
