"""What servers answer, as text for a model or a reader: every kind of content becomes words, nothing unseen is left.

What must never stand here: protocol, a judgement of what the text says.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Final

from mcpkit.client.display import clean
from mcpkit.client.results import CallToolResult, Content, ReadResourceResult, ResourceContents
from mcpkit.host.model import Image

IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""What models take."""
LARGEST_IMAGE: Final = 5 * 1024 * 1024
MOST_IMAGES: Final = 8
"""Of one result."""


def result_text(result: CallToolResult, limit: int) -> str:
    """A tool's answer, cut to ``limit`` characters with a word that it was."""
    text = content_text(result.content)
    if not text.strip() and "structuredContent" in result:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    return cut(text, limit)


def images_in(result: CallToolResult) -> tuple[Image, ...]:
    """The images of an answer that models take, in its blocks and its embedded resources."""
    found = []
    for block in result.content:
        part = block.resource if block.type == "resource" else block
        if part is None or str(part.mime_type).lower() not in IMAGES:
            continue
        data = part.get("data", part.get("blob"))
        if isinstance(data, str) and len(data) <= LARGEST_IMAGE and part.bytes:
            found.append(Image(str(part.mime_type).lower(), base64.b64encode(part.bytes).decode()))
    return tuple(found[:MOST_IMAGES])


def content_text(blocks: Iterable[Content]) -> str:
    """Blocks of content one after the other; what is no text is named by kind and size."""
    return "\n".join(_block(block) for block in blocks)


def resource_text(result: ReadResourceResult, limit: int) -> str:
    """A resource's contents."""
    return cut("\n".join(_contents(part) for part in result.contents), limit)


def cut(text: str, limit: int) -> str:
    """Safe to read, and no longer than ``limit`` characters."""
    whole = clean(text[: limit * 2], limit * 2, lines=True)
    if len(text) <= limit and len(whole) <= limit:
        return whole
    return f"{whole[:limit]}… [cut: {len(text)} characters in all]"


def _block(block: Content) -> str:
    match block.type:
        case "text":
            return str(block.get("text", ""))
        case "resource" if block.resource is not None:
            return _contents(block.resource)
        case "resource_link":
            return f"[resource {block.uri}]"
    return f"[{block.type or 'content'} {block.mime_type or ''}, {len(block.bytes)} bytes]"


def _contents(part: ResourceContents) -> str:
    if isinstance(part.get("text"), str):
        return part.text
    return f"[resource {part.uri} {part.mime_type or ''}, {len(part.bytes)} bytes]"
