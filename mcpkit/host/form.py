"""A server's question to the user (elicitation) as a form on the terminal, one line a field.

The user sees who asks, may decline or leave at every step, and is never asked for a value without knowing its name.
Nothing is opened or executed: of a page, the whole address is shown. What must never stand here: the wire.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from mcpkit.client.answers import Elicitation, ElicitationAnswer
from mcpkit.client.deadline import paused
from mcpkit.client.display import clean
from mcpkit.client.schemas import UnusableSchema, problems
from mcpkit.host.decisions import Ask, decide
from mcpkit.host.words import Speech
from mcpkit.jsonrpc.codec import load
from mcpkit.jsonrpc.errors import ParseError
from mcpkit.jsonrpc.messages import JsonObject

TRUTHS: Final = {"y": True, "yes": True, "true": True, "是": True, "n": False, "no": False, "false": False, "否": False}
MOST_FIELDS: Final = 50


class Form:
    """The elicitation handlers of every client of a chat."""

    def __init__(self, ask: Ask, speech: Speech) -> None:
        self._ask = ask
        self._speech = speech

    async def fill(self, asked: Elicitation) -> ElicitationAnswer:
        """The form's content, "decline" or "cancel"."""
        with paused():
            head = self._speech("elicits", server=clean(asked.server, 80), text=clean(asked.message, lines=True))
            wants = await decide(self._ask, self._speech, f"{head}\n{self._speech('fills')}")
            if wants is None:
                return "cancel"
            if wants != "yes":
                return "decline"
            return await self._fields(asked)

    async def open(self, asked: Elicitation) -> ElicitationAnswer:
        """Whether the user has opened the page (ELIC-27)."""
        address = clean(asked.url, 2_000)
        question = self._speech(
            "opens",
            server=clean(asked.server, 80),
            text=clean(asked.message, lines=True),
            url=address,
            host=urlsplit(address).hostname,
        )
        with paused():
            answer = await decide(self._ask, self._speech, question)
        return "cancel" if answer is None else answer == "yes"

    async def _fields(self, asked: Elicitation) -> ElicitationAnswer:
        properties = asked.schema.get("properties", {})
        required = asked.schema.get("required", [])
        content: JsonObject = {}
        for name, schema in list(properties.items())[:MOST_FIELDS]:
            field = schema if isinstance(schema, dict) else {}
            optional = name not in required or "default" in field
            typed = await self._field(label(name, field, name in required), field, optional)
            if typed is None:
                return "cancel"
            if typed.strip() or not optional:
                content[name] = value_of(typed, field)
        return content

    async def _field(self, question: str, field: JsonObject, optional: bool) -> str | None:
        """What the user types for one field, once it fits; nothing where it may be left out; None to leave."""
        told = ""
        while True:
            typed = await self._ask(told + question)
            if typed is None or (optional and not typed.strip()):
                return typed
            wrong = _problem(field, value_of(typed, field))
            if wrong is None:
                return typed
            told = self._speech("unfit", why=clean(wrong, 200)) + "\n"


def label(name: str, field: JsonObject, required: bool) -> str:
    """What stands before the cursor."""
    title = clean(field.get("title") or name, 100)
    about = [clean(field.get("description"), 200), ", ".join(choices(field))]
    more = "; ".join(part for part in about if part)
    default = f" [{clean(str(field['default']), 80)}]" if "default" in field else "" if required else " []"
    return f"  {title}{f' ({more})' if more else ''}{default}: "


def choices(field: JsonObject) -> list[str]:
    """What may be chosen, where the field says so."""
    items = field.get("items")
    within = items if isinstance(items, dict) else field
    options = within.get("enum") or [
        one.get("const") for one in (within.get("oneOf") or within.get("anyOf") or []) if isinstance(one, dict)
    ]
    return [clean(str(option), 80) for option in options if option is not None][:50]


def value_of(typed: str, field: JsonObject) -> Any:
    """What was typed as the type that the field has; as it is where it does not fit, for the check to say so."""
    text, kind = typed.strip(), field.get("type")
    if kind == "boolean":
        return TRUTHS.get(text.lower(), text)
    if kind == "array":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind in {"integer", "number"}:
        try:
            return load(text.encode())
        except ParseError:
            return text
    return typed


def _problem(field: JsonObject, value: Any) -> str | None:
    try:
        return next(iter(problems(field, value)), None)
    except UnusableSchema:
        return None
