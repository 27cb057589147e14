"""The chat: what a user types becomes a turn of the conversation or a command; both use all servers there are.

What must never stand here: the tool loop (conversation.py), how a line is read (terminal.py), settings.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from mcpkit.client.display import clean
from mcpkit.client.errors import ClientError
from mcpkit.client.results import Prompt
from mcpkit.host.conversation import Conversation
from mcpkit.host.exits import OK, USAGE, exit_code
from mcpkit.host.fleet import Fleet, Member
from mcpkit.host.model import ChatMessage, ModelError
from mcpkit.host.offers import MOST_NAMED, Offered
from mcpkit.host.pins import Pins
from mcpkit.host.readable import content_text, cut, resource_text
from mcpkit.host.show import Show, server_row
from mcpkit.host.words import Speech

LEAVE: Final = frozenset({"quit", "exit", "/quit", "/exit", "退出"})
COMMANDS: Final = ("/tools", "/prompts", "/prompt", "/read", "/servers", "/clear", "/help")
READ_CHARACTERS: Final = 20_000


class Watch:
    """Tells the user how it stands with the servers, and what is odd about their tools; each oddity once."""

    def __init__(self, pins: Pins, show: Show, speech: Speech) -> None:
        self._pins = pins
        self._show = show
        self._speech = speech
        self._begun = False
        self._told: set[str] = set()
        self.fleet: Fleet | None = None

    def __call__(self, member: Member) -> None:
        """A member's state or lists have changed."""
        self._show.server(member)
        if self.fleet is None:
            return
        mine = [one for one in self.fleet.offers.values() if one.prefix == member.prefix]
        seen = [(one, self._pins.see(one)) for one in mine]
        self._tell("changed", [one for one, state in seen if state == "changed"])
        self._tell("older_pins", [one for one, state in seen if state == "older"])
        if self._begun:
            self._tell_what_is_left_out()

    def begin(self) -> None:
        """The servers have had their time to join: what is odd about all of them together can be told."""
        self._begun = True
        self._tell_what_is_left_out()

    def _tell_what_is_left_out(self) -> None:
        for why in self.fleet.left_out if self.fleet is not None else ():
            if why not in self._told:
                self._told.add(why)
                self._show.notice("left_out", why=why)

    def _tell(self, key: str, tools: list[Offered]) -> None:
        """One line for all tools of a server of which it has not been told."""
        new = [one for one in tools if one.fingerprint not in self._told]
        self._told.update(one.fingerprint for one in new)
        if new:
            names = ", ".join(one.name for one in new[:MOST_NAMED])
            more = self._speech("more", count=len(new) - MOST_NAMED) if len(new) > MOST_NAMED else ""
            self._show.notice(key, name=names + more, count=len(new))


class Chat:
    """One user's side of it; without a model (``conversation`` None) the commands still work."""

    def __init__(self, fleet: Fleet, conversation: Conversation | None, show: Show, speech: Speech) -> None:
        self._fleet = fleet
        self._conversation = conversation
        self._show = show
        self._speech = speech

    async def heard(self, line: str) -> int:
        """Do what the user typed; the exit code it would have, were it all."""
        text = line.strip()
        if not text:
            return OK
        try:
            if text.startswith("/"):
                return await self._command(text)
            self._speech.heard(text)
            return await self._turn(text)
        except ModelError as error:
            said = self._speech("model_says", said=clean(error.said, 300)) if error.said else ""
            self._show.notice("model_failed", why=f"{error}{said}")
            return exit_code(error)
        except ClientError as error:
            self._show.notice("left_out", why=cut(str(error), 500))
            return exit_code(error)

    def complete(self, line: str, word: str) -> Sequence[str]:
        """What the word that is being typed may become."""
        head = line[: len(line) - len(word)].split()
        if not head:
            return [f"{command} " for command in COMMANDS if command.startswith(word)] if word.startswith("/") else []
        members = self._fleet.ready
        if head == ["/prompt"]:
            known = [f"{member.prefix}_{prompt.name} " for member in members for prompt in member.prompts]
        elif head[:1] == ["/prompt"]:
            prompts = [p for m in members for p in m.prompts if head[1] in {p.name, f"{m.prefix}_{p.name}"}]
            known = [f"{argument.name}=" for prompt in prompts for argument in prompt.arguments]
        elif head == ["/read"]:
            known = [resource.uri for member in members for resource in member.resources]
        else:
            known = []
        return [
            name for name in known if name.startswith(word) and name == clean(name, 500) + name[len(name.rstrip()) :]
        ]

    async def _turn(self, text: str, before: Sequence[ChatMessage] = ()) -> int:
        if self._conversation is None:
            self._show.notice("no_model")
            return USAGE
        await self._conversation.turn(text, before)
        return self._conversation.code

    # ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _command(self, text: str) -> int:
        name, _, rest = text.partition(" ")
        if name in {"/tools", "/prompts", "/servers"}:
            rows = {"/tools": self._tools, "/prompts": self._prompts, "/servers": self._servers}[name]()
            self._show.listing(name[1:], rows)
            return OK
        if name in {"/read", "/prompt"}:
            if not rest.strip():
                return self._misused("usage", usage="/read URI" if name == "/read" else "/prompt NAME k=v")
            return await (self._read if name == "/read" else self._prompt)(rest.strip())
        if name == "/help":
            self._show.notice("help")
        elif name == "/clear":
            if self._conversation is not None:
                self._conversation.clear()
            self._show.notice("cleared")
        else:
            return self._misused("unknown_command", name=name[:40])
        return OK

    def _misused(self, key: str, **values: str) -> int:
        self._show.notice(key, **values)
        return USAGE

    def _servers(self) -> list[dict[str, str]]:
        return [server_row(member) for member in self._fleet.members]

    def _tools(self) -> list[dict[str, str]]:
        offers = self._fleet.offers.values()
        return [{"name": one.name, "what": clean(one.tool.description or one.tool.title, 300)} for one in offers]

    def _prompts(self) -> list[dict[str, str]]:
        return [
            {
                "name": f"{member.prefix}_{prompt.name}",
                "arguments": _signature(prompt),
                "what": clean(prompt.description or prompt.title, 300),
            }
            for member in self._fleet.ready
            for prompt in member.prompts
        ]

    async def _read(self, uri: str) -> int:
        member, result = await self._fleet.read(uri)
        text = resource_text(result, READ_CHARACTERS)
        title = f"{clean(uri, 200)} ({member.prefix})"
        self._show.notice("read", uri=uri, server=member.prefix)
        self._show.text(text)
        self._show.text_ends(text)
        if self._conversation is not None:
            self._conversation.attach(title, text)
        return OK

    async def _prompt(self, words: str) -> int:
        try:
            name, *given = shlex.split(words)
            arguments = dict(word.split("=", 1) for word in given)
        except ValueError:
            return self._misused("usage", usage="/prompt NAME k=v")
        result = await self._fleet.prompt(name, arguments)
        said = [(message.role, cut(content_text([message.content]), READ_CHARACTERS)) for message in result.messages]
        if not said:
            self._show.notice("silent")
            return OK
        *before, (_, last) = said
        self._show.text(last)
        self._show.text_ends(last)
        history = [ChatMessage("assistant" if role == "assistant" else "user", text) for role, text in before]
        return await self._turn(last, history)


def _signature(prompt: Prompt) -> str:
    return " ".join(clean(argument.name, 60) + ("=" if argument.required else "=?") for argument in prompt.arguments)
