"""The example prompts: templates of messages that a user picks in the client.

A prompt returns a text, or messages in order. What a caller gives is put in as data, in a fence of its own.
What must never stand here: a call to a model.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from mcpkit import Message
from routers.base_router import MCPBaseRouter

LANGUAGES: Final = (
    "c",
    "c++",
    "c#",
    "go",
    "java",
    "javascript",
    "kotlin",
    "php",
    "python",
    "ruby",
    "rust",
    "sql",
    "swift",
)


def register_prompts(router: MCPBaseRouter) -> None:
    """Offer the example prompts."""
    router.prompt(title="Review code", completions={"language": LANGUAGES})(code_review)
    router.prompt(title="Find the cause of an error")(debug_workflow)
    router.prompt(title="Assistant")(assistant)


def code_review(language: str, code: str) -> str:
    """Ask for a review of a piece of code.

    Args:
        language: The programming language, for example "python".
        code: The code to review.
    """
    return (
        f"Please review this {language} code. Say what is wrong first, then what could be clearer, "
        f"then what is good; quote the lines you mean.\n\n{fenced(code, language)}"
    )


def debug_workflow(error: str, context: str = "") -> list[Message]:
    """Work through an error step by step: several messages, with the assistant's part begun.

    Args:
        error: The error message or traceback.
        context: What was being done when it happened.
    """
    situation = f"I was doing this: {context}\n\n" if context else ""
    return [
        Message(f"{situation}I see this error:\n\n{fenced(error)}"),
        Message("Let us find the cause together. First: what does the error say, in plain words?", "assistant"),
        Message("Explain it, list the likely causes with the most likely first, and say how to check each."),
    ]


def assistant(
    role: str = "a careful software engineer", tone: Literal["friendly", "formal", "brief"] = "friendly"
) -> list[Message]:
    """Set up a persona for the conversation that follows.

    Args:
        role: Who the assistant should be.
        tone: How it should speak.
    """
    return [
        Message(
            f"For this conversation you are {role}. Speak in a {tone} way. "
            "Say so when you do not know something, and ask when a question can be read in two ways."
        ),
        Message("Understood. What can I do for you?", "assistant"),
    ]


def fenced(text: str, language: str = "") -> str:
    """A Markdown code block that the text itself can't end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
