"""Requests that came whole, head and body in one piece, read at a glance: known lines, one length, nothing odd.

Clients say the same lines over and over; what was found sound once is looked up. Whatever needs a second look is left
to the framer and the parser behind it (http1.py): this reads less than they do, and never otherwise. What must never
stand here: sockets, what a target or a field means.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from mcpkit.framing.http1 import METHODS

Field: TypeAlias = tuple[bytes, bytes]
"""A name in lower case, and a value."""
Whole: TypeAlias = "tuple[Familiar, bytes]"
"""A head and the body."""

LONGEST_HEAD: Final = 4096
"""Bytes of a head that is read here."""
LONGEST_LINE: Final = 256
"""Bytes of a line that is remembered."""
MOST_LINES: Final = 1024
MOST_DIGITS: Final = 18
"""Of a length."""
CONSTANT: Final = frozenset(
    {
        *(b"host", b"user-agent", b"connection", b"content-type", b"content-length", b"origin", b"referer"),
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma", b"priority"),
        *(b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site"),
        *(b"mcp-protocol-version", b"mcp-method", b"mcp-name", b"x-forwarded-proto", b"x-forwarded-host"),
    }
)
"""Fields whose lines are remembered. Never one that may hold a secret, or that is new in every request."""
_LENGTH: Final = b"content-length"
_CONNECTION: Final = b"connection"
_ODD: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_TOKEN: Final = b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
_TEXT: Final = bytes([*b"\t", *range(0x20, 0x7F), *range(0x80, 0x100)])
_BLANK: Final = b" \t"


class Lines:
    """Field lines that are known to be sound, of all connections."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[bytes, Field] = {}

    def fields(self, lines: list[bytes]) -> list[Field] | None:
        """What these lines say; None where one is unusual."""
        known = self.known
        fields = [known[line] if line in known else self._field(line) for line in lines]
        return None if None in fields else fields  # type: ignore[return-value]  # looked for

    def _field(self, line: bytes) -> Field | None:
        name, _, value = line.partition(b": ")
        if not name or name.translate(None, _TOKEN) or not value or value.translate(None, _TEXT):
            return None
        if value[0] in _BLANK or value[-1] in _BLANK:  # parsers differ in what they keep of it
            return None
        field = name.lower(), value
        if field[0] in CONSTANT and len(line) <= LONGEST_LINE:
            if len(self.known) >= MOST_LINES:
                self.known.clear()
            self.known[line] = field
        return field


class Familiar:
    """A head but for its length: one object for as long as a client repeats it."""

    __slots__ = ("_after", "_apart", "_at", "_before", "_fields", "_least", "line", "place", "verdict")

    def __init__(self, line: bytes, fields: list[Field]) -> None:
        self.line = line
        self.place: Any = None
        """What whoever serves requests knows of this head's."""
        self.verdict: Any = None
        """What whoever judges heads has found of this one."""
        self._fields = fields
        self._at: int | None = None

    def fields(self, size: int) -> list[Field]:
        """The fields of a request with this head and a body of that size, in their order."""
        fields = self._fields.copy()
        if self._at is not None:
            fields[self._at] = (_LENGTH, b"%d" % size)
        return fields

    def vary(self, at: int, before: bytes, after: bytes) -> None:
        """The field at ``at`` tells the length, in digits between these bytes."""
        self._at, self._before, self._after = at, before, after
        self._expect(len(self._fields[at][1]))

    def size_in(self, data: bytes) -> int:
        """How long the body is, where these bytes are this head, with its own length, and a body; 0 elsewhere."""
        size = len(data) - self._apart
        if self._least <= size < 10 * self._least and data.startswith(b"%b%d%b" % (self._before, size, self._after)):
            return size
        if not data.startswith(self._before):
            return 0
        begins = len(self._before)
        digits = data.find(b"\r", begins, begins + MOST_DIGITS + 1) - begins
        if digits <= 0 or self._least == 10 ** (digits - 1):
            return 0
        self._expect(digits)
        return self.size_in(data)

    def _expect(self, digits: int) -> None:
        """Lengths have so many digits: another number of them would shift what is the head and what the body."""
        self._least = 10 ** (digits - 1)
        self._apart = len(self._before) + digits + len(self._after)


class WholeRequests:
    """Reads the requests of one connection. A head that differs from the last one by its length alone costs least."""

    __slots__ = ("_last", "_lines")

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._last: Familiar | None = None
        """The head of the request that was read last, if the next one may repeat it."""

    def read(self, data: bytes) -> Whole | None:
        """One whole request, where these bytes are that and nothing else; None sends them the usual way."""
        last = self._last
        if last is not None:
            size = last.size_in(data)
            if size:
                return last, data[-size:]
            self._last = None
        return self._anew(data)

    def _anew(self, data: bytes) -> Whole | None:
        end = data.find(b"\r\n\r\n", 0, LONGEST_HEAD)
        if end < 0:
            return None
        line, *lines = data[:end].split(b"\r\n")
        fields = self._lines.fields(lines)
        if fields is None:
            return None
        named, body = dict(fields), data[end + 4 :]
        if len(named) < len(fields) or not _is_usual(named, len(body)):
            return None
        head = Familiar(line, fields)
        if body:
            at = [*named].index(_LENGTH)
            begins = data.index(b"\r\n%b\r\n" % lines[at]) + 2
            ends = begins + len(lines[at])
            head.vary(at, data[: ends - len(named[_LENGTH])], data[ends : end + 4])
            self._last = head
        return head, body


def _is_usual(named: dict[bytes, bytes], size: int) -> bool:
    """Whether these fields frame a body of this size in the plainest way, and ask for nothing else."""
    if b"host" not in named or not _ODD.isdisjoint(named):
        return False
    if _CONNECTION in named and named[_CONNECTION].lower() != b"keep-alive":
        return False
    return named[_LENGTH] == b"%d" % size if _LENGTH in named else size == 0


def in_origin_form(line: bytes) -> bool:
    """Whether a request line is HTTP/1.1's and names a path on this server, as it is to be looked up.

    The line of a whole request that this is true of says the same to every parser.
    """
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    visible = not target.translate(None, bytes(range(0x21, 0x7F)))
    return method in METHODS and version == b"HTTP/1.1" and target.startswith(b"/") and b"#" not in target and visible
