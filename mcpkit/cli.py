"""The command line: ``mcpkit list | call | read | prompt | ping | chat | doctor | serve``.

``python mcp_client.py`` offers the same words for a client; both come here. What must never stand here: the work of a
command (mcpkit/host, mcpkit/run.py).
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
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
from mcpkit.client.options import ClientOptions
from mcpkit.host.commands import Commands, UsageError
from mcpkit.host.config import ConfigError, Entry, Input, entries_of, read_config
from mcpkit.host.doctor import examine, report
from mcpkit.host.exits import EXIT_CODES, INTERRUPTED, OK, UNREAD, USAGE, exit_code
from mcpkit.host.model import ModelError
from mcpkit.host.start import Plan, run_chat
from mcpkit.host.terminal import ask_hidden
from mcpkit.host.words import language_of
from mcpkit.settings import Settings, SettingsError, environment

if TYPE_CHECKING:
    from mcpkit.server import Server

EXAMPLES: Final = ("http://127.0.0.1:18080/api", "http://127.0.0.1:18081/api")
"""Where examples/math_server.py and examples/modulo_server.py listen."""
USES: Final = {
    "list": "[TARGET]                    what a server offers",
    "call": "[TARGET] NAME a=1 b=2       call a tool",
    "read": "[TARGET] URI                read a resource",
    "prompt": "[TARGET] NAME k=v           fill in a prompt",
    "ping": "[TARGET]                    how fast a server answers",
    "chat": "[TARGET …]                  talk with a model that has the tools of many servers",
    "doctor": "[TARGET …]                  what is wrong with the set-up, and how to mend it",
    "keys": "add | list | revoke | rotate    the API keys of a server",
    "serve": "FILE.py[:NAME]              serve the Server in a Python file",
}
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
    options.command_name = name
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
        parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
        parser.add_argument("--stdio", action="store_true", help="serve stdin and stdout instead of HTTP")
        return parser
    parser.add_argument("--config", type=Path, metavar="FILE", help='a file with "mcpServers" or "servers"')
    parser.add_argument("--server", metavar="NAME", help="which server of that file; or a URL or command")
    parser.add_argument("--header", action="append", default=[], metavar="'Name: value'", help="sent to HTTP servers")
    parser.add_argument("--token", help="a bearer token for HTTP servers")
    parser.add_argument("--timeout", type=float, help="seconds of silence after which a call is given up")
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    parser.add_argument("--verbose", action="store_true", help="the client's log on stderr")
    if name == "call":
        parser.add_argument("--args", metavar="JSON", help="the arguments as one JSON object")
    if name == "chat":
        _chat_arguments(parser)
    return parser


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
    entry = _entry(options, words, command, spare=1 if name == "read" else 0)
    needed = {"call": "a tool's NAME", "read": "a URI", "prompt": "a prompt's NAME"}.get(name)
    if needed and not words:
        raise UsageError(f"give {needed}")
    if not needed and words:
        raise UsageError(f"{words[0]} is neither a URL nor a command; a command of one word stands after --")
    return asyncio.run(_asked(name, words, entry, options))


async def _asked(name: str, words: list[str], entry: Entry, options: argparse.Namespace) -> int:
    async with MCPClient(entry.target, **_connection(options)) as client:
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
    entries, _ = _entries(options, command, settings)
    plan = Plan(
        entries,
        settings,
        by_name=options.by_name,
        approve=options.approve,
        language=options.lang or language_of(variables),
        as_json=options.json,
        once=options.once,
        folder=_folder(variables),
        connection=_connection(options),
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
    try:
        settings = Settings.load()
        entries, named = _entries(options, command, settings)
    except SettingsError as error:
        settings = error
    findings = examine(entries, settings, named=named, options=_connection(options))
    return asyncio.run(report(findings, as_json=options.json, out=sys.stdout))


def _serve(options: argparse.Namespace, command: list[str]) -> int:
    from mcpkit.run import serve  # noqa: PLC0415 - a client needs no server

    if len(options.words) != 1:
        raise UsageError("give one Python file, as FILE.py or FILE.py:NAME")
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
    file = Path(path).resolve()
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses and pickles look for it there
    sys.path.insert(0, str(file.parent))
    spec.loader.exec_module(module)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Server)}
    if name:
        found = {key: value for key, value in found.items() if key == name}
    if len({id(server) for server in found.values()}) != 1:
        names = ", ".join(found) or "none"
        raise UsageError(f"{path} must hold one mcpkit.Server, or name it after a colon; there is: {names}")
    return next(iter(found.values()))


# ── from words to servers ───────────────────────────────────────────────────────────────────────────────────────────


def _entry(options: argparse.Namespace, words: list[str], command: list[str], *, spare: int) -> Entry:
    """The one server that is meant; its word is taken out of ``words``, of which ``spare`` are not to be taken."""
    if command:
        return entries_of([command])[0]
    if options.config is not None:
        first, *others = _configured(options)
        if others:
            names = ", ".join(entry.name for entry in (first, *others))
            raise UsageError(f"{options.config} names several servers: say --server with one of {names}")
        return first
    if options.server is not None:
        return entries_of([options.server])[0]
    for place in {0, len(words) - 1} if len(words) > spare else ():
        if names_a_server(words[place]):
            return entries_of([words.pop(place)])[0]
    return entries_of([Settings.load().server_url])[0]


def _entries(options: argparse.Namespace, command: list[str], settings: Settings) -> tuple[list[Entry], bool]:
    """The servers of a chat, and whether the user has named them."""
    targets: list[str | Sequence[str]] = [*options.words, *([command] if command else [])]
    if options.config is not None:
        return _configured(options) + entries_of(targets), True
    if options.server is not None:
        targets.append(options.server)
    if not targets:
        return entries_of(settings.server_urls or EXAMPLES), bool(settings.server_urls)
    return entries_of(targets), True


def _configured(options: argparse.Namespace) -> list[Entry]:
    ask = _ask_input if sys.stdin.isatty() else None
    entries = read_config(options.config, environment(), ask, only=options.server)
    if not entries:
        raise ConfigError(f"{options.config} has no such server" if options.server else f"{options.config} is empty")
    return entries


def _ask_input(wanted: Input) -> str:
    about = f" [{wanted.default}]" if wanted.default is not None else ""
    about += f" ({', '.join(wanted.options)})" if wanted.options else ""
    question = f"{clean(wanted.description, 200)}{about}: "
    typed = ask_hidden(question) if wanted.secret else input(question)
    if not typed and wanted.default is None:
        raise ConfigError(f"the input {wanted.id} was not given")
    if wanted.options and typed not in wanted.options:
        raise ConfigError(f"the input {wanted.id} must be one of {', '.join(wanted.options)}")
    return typed or wanted.default or ""


def names_a_server(word: str) -> bool:
    """A URL, a command line of several words, or a Python file; never ``name=value``."""
    head = word.split("=", 1)[0]
    return "://" in head or " " in head.strip() or (head.endswith(".py") and Path(head).is_file())


def _connection(options: argparse.Namespace) -> ClientOptions:
    headers = {}
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"{clean(header, 40)} is not of the form 'Name: value'")
        headers[name.strip()] = value.strip()
    if options.token is not None:
        headers["Authorization"] = f"Bearer {options.token}"
    made: ClientOptions = {"headers": headers}
    if options.timeout is not None:
        made["timeout"] = options.timeout
    return made


def _folder(variables: dict[str, str]) -> Path:
    """Where a program may keep what it remembers of its runs."""
    if sys.platform == "win32" and variables.get("LOCALAPPDATA"):
        return Path(variables["LOCALAPPDATA"]) / "mcpkit"
    return Path(variables.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "mcpkit"


def _guarded(parser: Parser, work: Callable[[], int]) -> int:
    """Run it; whatever happens becomes one line and a code."""
    try:
        return work()
    except (UsageError, ConfigError, SettingsError, ValueError) as error:
        print(f"{parser.prog}: {clean(str(error), 400)}", file=sys.stderr)
        return USAGE
    except (ClientError, ModelError) as error:
        print(f"{parser.prog}: {clean(str(error), 400)}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
