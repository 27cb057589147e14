"""A chat put together from what its user said, and run from its first line to its last.

What must never stand here: reading the command line (mcpkit/cli.py), the environment (mcpkit/settings/).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from mcpkit.client.options import ClientOptions
from mcpkit.host.chat import LEAVE, Chat, Watch
from mcpkit.host.config import Entry
from mcpkit.host.consent import Consent, Policy
from mcpkit.host.conversation import Conversation, Limits
from mcpkit.host.ending import code_of_interruption, ending
from mcpkit.host.exits import OK
from mcpkit.host.fleet import PATIENCE, Fleet, MemberOptions, State
from mcpkit.host.form import Form
from mcpkit.host.model import Model
from mcpkit.host.openai import OpenAIModel, find_local_model
from mcpkit.host.pins import Pins
from mcpkit.host.sampling import Sampler
from mcpkit.host.show import JsonLines, Lines, Show
from mcpkit.host.sign_in import SECONDS, Access
from mcpkit.host.terminal import Interrupted, Terminal, uninterrupted
from mcpkit.host.words import Language, Speech
from mcpkit.settings import Settings

START_SECONDS: Final = 10.0
"""The most that a chat waits for its servers before it begins; who signs in first has the time for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user wants."""

    entries: Sequence[Entry]
    settings: Settings
    by_name: bool = False
    approve: Policy = "ask"
    language: Language | None = None
    as_json: bool = False
    once: str | None = None
    """One question, instead of a conversation."""
    folder: Path | None = None
    """Where the definitions of tools and the history of lines are kept; None keeps nothing."""
    timeout: float | None = 120.0
    limits: Limits | None = None
    """None: those that the settings name."""
    connection: ClientOptions = field(default_factory=ClientOptions)
    """Headers and the like, for all servers."""
    access: Access = field(default_factory=Access)
    """In whose name servers are asked; who signs in is shown where by the chat."""


def run_chat(plan: Plan) -> int:
    """Chat until the user leaves; the exit code.

    Raises: ValueError for a server that can't be one; ModelError for an API_KEY that can't be one.
    """
    desk: list[Chat] = []
    terminal = Terminal(
        history=plan.folder / "history" if plan.folder and plan.once is None else None,
        complete=lambda line, word: desk[0].complete(line, word) if desk else (),
        plain=plan.as_json,
    )
    with terminal:
        parts = Parts(plan, terminal)
        try:
            terminal.attend(parts.open())
            desk.append(parts.chat)
            return _once(parts, plan.once) if plan.once is not None else _converse(parts)
        except Interrupted:
            return code_of_interruption()
        finally:
            terminal.attend(parts.close(), interruptible=False)


class Parts:
    """All that a chat is made of."""

    chat: Chat

    def __init__(self, plan: Plan, terminal: Terminal) -> None:
        self.plan = plan
        self.terminal = terminal
        self.speech = Speech(plan.language)
        self.show: Show = JsonLines(sys.stdout) if plan.as_json else self._lines()
        self.pins = Pins(plan.folder / "tools.json" if plan.folder else None)
        self.model: Model | None = None
        self.fleet: Fleet | None = None
        self._access = replace(plan.access, tell=self._tell if terminal.interactive else None)

    async def open(self) -> None:
        """Connect to the servers that are there."""
        plan = self.plan
        self.model = await configured_model(plan.settings)
        watch = Watch(self.pins, self.show, self.speech)
        self.fleet = watch.fleet = Fleet(
            plan.entries,
            by_name=plan.by_name,
            options=self._options,
            watch=watch,
            patience=PATIENCE,
            start_seconds=START_SECONDS + (SECONDS if plan.once is not None and self.terminal.interactive else 0),
        )
        await self.fleet.__aenter__()
        watch.begin()
        for member in self.fleet.members:
            if member.state is State.CONNECTING:
                self.show.server(member)
        ask = self.terminal.ask if self.terminal.interactive else None
        consent = Consent(plan.approve, self.pins, ask, self.speech)
        settings = plan.settings
        limits = plan.limits or Limits(request_bytes=settings.model_request_bytes, images=settings.model_images)
        conversation = (
            Conversation(self.model, self.fleet, self.show, consent, limits) if self.model is not None else None
        )
        self.chat = Chat(self.fleet, conversation, self.show, self.speech)

    async def close(self) -> None:
        """End every connection."""
        if self.fleet is not None:
            await self.fleet.close()
        if self.model is not None:
            await self.model.close()

    def _lines(self) -> Lines:
        if self.terminal.interactive and self.plan.once is None:
            return Lines(sys.stdout, self.speech, aside=self.terminal.around)
        return Lines(sys.stdout, self.speech, aside=write_aside)

    def _tell(self, server: str, page: str) -> None:
        self.show.notice("sign_in", server=server, page=page)

    def _options(self, entry: Entry) -> MemberOptions:
        """What a server may ask of this chat's user and model."""
        plan, interactive = self.plan, self.terminal.interactive
        options: MemberOptions = {**plan.connection, "timeout": plan.timeout, "auth": self._access.of(entry)}
        if interactive:
            form = Form(self.terminal.ask, self.speech)
            options["elicitation_handler"] = form.fill
            options["elicitation_url_handler"] = form.open
        if self.model is not None and (plan.approve == "auto" or (plan.approve == "ask" and interactive)):
            ask = self.terminal.ask if plan.approve == "ask" else None
            options["sampling_handler"] = Sampler(self.model, self.speech, ask)
        return options


async def configured_model(settings: Settings) -> Model | None:
    """The model that the settings name; a local one where they allow to look for it; None.

    Raises: ModelError.
    """
    if settings.base_url and settings.model_name:
        return OpenAIModel(settings.base_url, settings.model_name, settings.api_key)
    return await find_local_model() if settings.sample_autodetect and not settings.base_url else None


def write_aside(line: str) -> None:
    """Beside the conversation: it goes to stderr, so that a pipe holds the conversation alone."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _once(parts: Parts, question: str) -> int:
    """The question's own exit code; else that of a server that the chat had to do without."""
    code = parts.terminal.attend(parts.chat.heard(question))
    members = parts.fleet.members if parts.fleet is not None else []
    return code or next((member.code for member in members if member.state is not State.READY), OK)


def _converse(parts: Parts) -> int:
    assert parts.fleet is not None
    if parts.model is None:
        parts.show.notice("no_model")
    parts.show.notice("greeting", tools=len(parts.fleet.offers), ready=len(parts.fleet.ready))
    while True:
        try:
            line = parts.terminal.read("> ")
            if line is None or line.strip().lower() in LEAVE:
                return OK
            _one_turn(parts, line)
        except KeyboardInterrupt:
            if ending():
                raise
            with uninterrupted():
                parts.show.notice("quit_hint")


def _one_turn(parts: Parts, line: str) -> None:
    try:
        parts.terminal.attend(parts.chat.heard(line))
    except Interrupted:
        if ending():
            raise
        with uninterrupted():
            parts.show.notice("cancelled")
