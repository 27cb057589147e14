"""Cursors: opaque to the client, and complete in themselves, so that any worker can go on with any list.

A cursor names the last item that was shown, not a position: items that come and go between two pages neither
repeat nor hide others. What must never stand here: a page size, the lists.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from mcpkit.jsonrpc.errors import InvalidParams

_MARK: Final = b"1:"
_LONGEST: Final = 8192


def encode_cursor(after: str) -> str:
    """The cursor of what follows the item called ``after``."""
    return urlsafe_b64encode(_MARK + after.encode("utf-8", "surrogatepass")).rstrip(b"=").decode("ascii")


def decode_cursor(cursor: Any) -> str:
    """The name after which a page begins.

    Raises: InvalidParams when the cursor is none of ours (PAGE-03).
    """
    if not isinstance(cursor, str) or len(cursor) > _LONGEST:
        raise _invalid()
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        after = raw.removeprefix(_MARK).decode("utf-8", "surrogatepass")
    except (UnicodeError, binascii.Error):
        raise _invalid() from None
    if not raw.startswith(_MARK) or encode_cursor(after) != cursor:
        raise _invalid()
    return after


def _invalid() -> InvalidParams:
    return InvalidParams("Invalid cursor; list again without one")
