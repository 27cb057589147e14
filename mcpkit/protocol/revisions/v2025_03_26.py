"""The revision 2025-03-26: what its successor, 2025-06-18, changed, told backwards in the order of that changelog.

What must never stand here: a change that 2024-11-05 lacks (its own file).
"""

from __future__ import annotations

from typing import Any

from mcpkit.protocol.revisions.blocks import in_blocks, in_sampling, text_block, text_instead_of_structure
from mcpkit.protocol.revisions.revision import Chain, Change, Inexpressible, derive
from mcpkit.protocol.revisions.shape import drop, each, prune, within
from mcpkit.protocol.revisions.v2025_06_18 import V2025_06_18

_without_meta = drop("_meta")
_without_title = drop("title")
_undated = prune("annotations", "lastModified")
_plain_block = Chain(_without_meta, _undated, within("resource", _without_meta))


def _link_as_text(block: dict[str, Any]) -> dict[str, Any]:
    if block.get("type") != "resource_link":
        return block
    name, uri, description = block.get("title") or block.get("name"), block.get("uri"), block.get("description")
    return text_block(f"{name}: {uri}" if not description else f"{name}: {uri}\n{description}", block)


def _titled_by_annotation(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool's title stands among its annotations here (SHAPE table)."""
    if "title" not in tool:
        return tool
    named = {name: member for name, member in tool.items() if name != "title"}
    named["annotations"] = {"title": tool["title"], **tool.get("annotations", {})}
    return named


def _no_forms(question: dict[str, Any]) -> dict[str, Any]:
    raise Inexpressible("this client's protocol revision has no elicitation; ask for an argument instead")


V2025_03_26 = derive(
    V2025_06_18,
    "2025-03-26",
    changes=[
        Change("Batches went", set={"batch": True}),
        Change(
            "Structured tool output",
            lower={"tools/list": each("tools", drop("outputSchema")), "tools/call": text_instead_of_structure},
        ),
        Change(
            "Elicitation",
            lower={"elicitation/create": _no_forms, "clientCapabilities": drop("elicitation")},
            lower_params={"initialize": within("capabilities", drop("elicitation"))},
        ),
        Change("Links to resources in tool results and prompts", lower=in_blocks(_link_as_text)),
        Change(
            "_meta on tools, resources, prompts and content; annotations say when something was modified",
            lower={
                "tools/list": each("tools", _without_meta),
                "resources/list": each("resources", Chain(_without_meta, _undated)),
                "resources/templates/list": each("resourceTemplates", Chain(_without_meta, _undated)),
                "resources/read": each("contents", _without_meta),
                "prompts/list": each("prompts", _without_meta),
                **in_blocks(_plain_block),
                **in_sampling(_plain_block),
            },
        ),
        Change(
            "completion/complete knows the arguments chosen so far",
            lower_params={"completion/complete": Chain(drop("context"), within("ref", _without_title))},
        ),
        Change(
            "Titles beside names",
            lower={
                "tools/list": each("tools", _titled_by_annotation),
                "resources/list": each("resources", _without_title),
                "resources/templates/list": each("resourceTemplates", _without_title),
                "prompts/list": each("prompts", Chain(_without_title, each("arguments", _without_title))),
                "implementation": _without_title,
                "initialize": within("serverInfo", _without_title),
            },
            lower_params={"initialize": within("clientInfo", _without_title)},
        ),
    ],
)
