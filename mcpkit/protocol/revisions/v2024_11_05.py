"""The revision 2024-11-05: what its successor, 2025-03-26, changed, told backwards. The oldest there is."""

from __future__ import annotations

from typing import Any

from mcpkit.protocol.revisions.blocks import in_blocks, in_sampling, text_block
from mcpkit.protocol.revisions.revision import Change, HttpRules, derive
from mcpkit.protocol.revisions.shape import drop, each, within
from mcpkit.protocol.revisions.v2025_03_26 import V2025_03_26


def _audio_as_text(block: dict[str, Any]) -> dict[str, Any]:
    if block.get("type") != "audio":
        return block
    kind = block.get("mimeType", "audio")
    return text_block(f"[{kind} left out: this client's protocol revision carries no audio]", block)


V2024_11_05 = derive(
    V2025_03_26,
    "2024-11-05",
    changes=[
        Change("Streamable HTTP may be resumed", set={"http": HttpRules(sessions=True)}),
        Change("Batches", set={"batch": False}),
        Change("Tool annotations", lower={"tools/list": each("tools", drop("annotations"))}),
        Change("Progress says a message", lower={"notifications/progress": drop("message")}),
        Change("Audio content", lower={**in_blocks(_audio_as_text), **in_sampling(_audio_as_text)}),
        Change(
            "Completion is a capability",
            lower={
                "capabilities": drop("completions"),
                "initialize": within("capabilities", drop("completions")),
            },
        ),
    ],
)
