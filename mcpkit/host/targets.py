"""From the words of a command line to servers: which are meant, and how they are reached.

What must never stand here: connecting, the names of commands.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mcpkit.client.display import clean
from mcpkit.client.options import ClientOptions
from mcpkit.client.target import lacks_scheme
from mcpkit.host.commands import UsageError
from mcpkit.host.config import ConfigError, Entry, Input, entries_of, read_config
from mcpkit.host.terminal import ask_hidden
from mcpkit.settings import Settings, environment

EXAMPLES: Final = ("http://127.0.0.1:18080/api", "http://127.0.0.1:18081/api")
"""Where examples/math_server.py and examples/modulo_server.py listen."""


def one_server(options: argparse.Namespace, words: list[str], command: list[str], *, spare: int) -> Entry:
    """The one server that is meant; its word is taken out of ``words``, of which ``spare`` are not to be taken.

    Raises: UsageError, ConfigError, SettingsError.
    """
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


def many_servers(options: argparse.Namespace, command: list[str], settings: Settings) -> tuple[list[Entry], bool]:
    """The servers of a chat, and whether the user has named them.

    Raises: UsageError, ConfigError.
    """
    targets: list[str | Sequence[str]] = [*options.words, *([command] if command else [])]
    if options.config is not None:
        return _configured(options) + entries_of(targets), True
    if options.server is not None:
        targets.append(options.server)
    if not targets:
        return entries_of(settings.server_urls or EXAMPLES), bool(settings.server_urls)
    return entries_of(targets), True


def names_a_server(word: str) -> bool:
    """A URL, a command line of several words, or a file that is run; never ``name=value``.

    An address without a scheme is meant as a server, too: that it lacks one is then said.
    """
    head = word.split("=", 1)[0]
    if "://" in head or " " in head.strip() or ("=" not in word and lacks_scheme(word)):
        return True
    return head.endswith((".py", ".js", ".mjs", ".cjs")) and Path(head).is_file()


def headers_of(options: argparse.Namespace) -> dict[str, str]:
    """The ``--header`` fields.

    Raises: UsageError.
    """
    headers = {}
    for header in options.header:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"{clean(header, 40)} is not of the form 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


def connection(options: argparse.Namespace) -> ClientOptions:
    """How servers are spoken to.

    Raises: UsageError.
    """
    made: ClientOptions = {"headers": headers_of(options)}
    if options.timeout is not None:
        made["timeout"] = made["init_timeout"] = options.timeout
    return made


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
    typed = ask_hidden(question) if wanted.secret else _asked(question)
    if typed is None:
        raise ConfigError(f"the input {wanted.id} was not given")
    chosen = typed or wanted.default or ""
    if wanted.options and chosen not in wanted.options:
        raise ConfigError(f"the input {wanted.id} must be one of {', '.join(wanted.options)}")
    return chosen


def _asked(question: str) -> str | None:
    """A line of the terminal, asked for beside the output; None at the end of input."""
    sys.stderr.write(question)
    sys.stderr.flush()
    try:
        return input()
    except EOFError:
        return None
