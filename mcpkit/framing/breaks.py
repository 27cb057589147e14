"""Characters of JSON that some readers take for the end of a line, though neither framing does.

What must never stand here: I/O, what a message means.
"""

from __future__ import annotations

import re
from typing import Final

_BREAK: Final = re.compile(rb"\xc2\x85|\xe2\x80[\xa8\xa9]")
_ESCAPES: Final = {b"\xc2\x85": rb"\u0085", b"\xe2\x80\xa8": rb"\u2028", b"\xe2\x80\xa9": rb"\u2029"}


def escape_breaks(json: bytes) -> bytes:
    """The same JSON text with U+0085, U+2028 and U+2029 escaped: they stand in strings only, if at all."""
    if b"\xe2\x80" in json or b"\xc2\x85" in json:
        return _BREAK.sub(lambda found: _ESCAPES[found[0]], json)
    return json
