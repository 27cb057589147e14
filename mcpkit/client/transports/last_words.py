"""What a process wrote to its standard error, and which of its lines says what went wrong.

The last line is seldom the one: behind the message stand a stack, a version, the place of a log. What must never stand
here: reading a pipe.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from mcpkit.client.bodies import without_escapes
from mcpkit.client.display import clean

_MOST: Final = 300
_LONGEST: Final = 500
_SHOWN: Final = 300

_NAMED: Final = re.compile(
    r"(?:Uncaught |Unhandled exception[.:] |Caused by: |Exception in thread \S+ |\[cause\]: )?"
    r"(?:[\w$]+[.:]{1,2})*\w*(?:Error|Exception|Exit|Panic)(?: \[\w+\]| \(\w+\))?: \S.*"
)
"""``ModuleNotFoundError: …``, ``Error: Cannot find module …``, ``java.lang.IllegalStateException: …``."""
_SAID: Final = re.compile(
    r"(?:[\w./@-]+: )?(?:fatal|FATAL|panic|error|ERROR)(?:\[\w+\]| error)?: \S.*"
    r"|.*(?:Error response from daemon|[Cc]ommand not found|: not found\b|[Nn]o such file or directory"
    r"|[Pp]ermission denied|\((?:LoadError|NameError|ArgumentError)\)|[Cc]an't locate |No solution found"
    r"|[Uu]nknown (?:option|argument|command)|cannot open shared object|Address already in use"
    r"|is not recognized as an internal).*"
    r"|thread '.*' panicked at '.*"
)
"""``error: …``, ``panic: …``, ``sh: 1: uvx: not found``, ``docker: Error response from daemon: …``."""
_NPM: Final = re.compile(r"npm (?:ERR!|error) (?!(?:code|errno|syscall|path)\b|A complete log|Log files|\s*$)(.*\S.*)")
_PANIC: Final = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at .*:\d+:\d+:$")
_LEVELLED: Final = re.compile(r".*\b(?:ERROR|CRITICAL|FATAL|SEVERE)\b.*\w.*|.*\blevel[\"=: ]+(?:error|fatal)\b.*")
_NO_WORDS: Final = re.compile(
    r"at .*|File \".*|[\W_]*|Node\.js v.*|note: run with .RUST_BACKTRACE.*|goroutine \d+.*|exit status \d+|\.\.\. .*"
    r"|Require stack:|- .*|npm (?:ERR!|error).*|Traceback \(most.*|Bun v.*|For further .*|See .*|Run .* for .*"
)
"""What stands around a message, and says nothing."""


class LastWords:
    """Keeps the newest lines; a process that never ends must not fill the memory."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MOST)

    def heard(self, line: str) -> None:
        """Another line."""
        self._lines.append(without_escapes(line[: 2 * _LONGEST])[:_LONGEST])

    def __str__(self) -> str:
        """The line that says what went wrong, fit to be shown; empty where nothing was said."""
        return clean(_telling([clean(line, _LONGEST) for line in self._lines]), _SHOWN)


def _telling(lines: Sequence[str]) -> str:
    lines = [line for line in lines if line]
    npm = next((found[1] for line in lines if (found := _NPM.fullmatch(line)) is not None), None)
    panic = next((after for line, after in pairwise(lines) if _PANIC.fullmatch(line)), None)
    if panic is not None:
        return f"panicked: {panic}"
    for kind in (_NAMED, _SAID):
        named = [line for line in lines if kind.fullmatch(line) and not _NPM.fullmatch(line)]
        if named:
            return named[-1]
    if npm is not None:
        return npm
    worded = [line for line in lines if not _NO_WORDS.fullmatch(line)]
    return next((line for line in reversed(worded) if _LEVELLED.fullmatch(line)), (worded or lines or [""])[-1])
