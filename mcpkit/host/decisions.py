"""A question that is answered with yes or no: asked again until it is one of them.

Nothing that the user meant for somebody else counts as an answer, nor is it lost in one. What must never stand here:
what is asked, how a question is put.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeAlias

from mcpkit.host.words import Speech

Ask: TypeAlias = Callable[[str], Awaitable[str | None]]
"""Puts a question to the user; None when there is no answer: the end of input."""
Decision: TypeAlias = Literal["yes", "no", "always"]

ANSWERS: Final[dict[str, Decision]] = {
    **dict.fromkeys(
        (
            "y",
            "yes",
            "ok",
            "okay",
            "yeah",
            "yep",
            "sure",
            "是",
            "是的",
            "好",
            "好的",
            "可以",
            "允许",
            "同意",
            "行",
        ),
        "yes",
    ),
    **dict.fromkeys(("n", "no", "nope", "否", "不", "不是", "不要", "不行", "不可以", "拒绝", "取消"), "no"),
    **dict.fromkeys(("a", "always", "总是"), "always"),
}


async def decide(ask: Ask, speech: Speech, question: str, *, always: bool = False) -> Decision | None:
    """What the user decides; None at the end of input. "Always" is an answer only where it is offered."""
    hint = ""
    while True:
        said = await ask(hint + question)
        if said is None:
            return None
        decision = ANSWERS.get(unicodedata.normalize("NFKC", said).strip().lower().rstrip(".!。！"))
        if decision is not None and (always or decision != "always"):
            return decision
        hint = speech("answer_three" if always else "answer_two") + "\n"
