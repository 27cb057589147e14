"""Arithmetic: the four operations, the remainder, and `calculate` with its own small parser.

Every input ends within milliseconds, because length, depth and the size of each intermediate result are bounded.
What must never stand here: eval, compile, a name that reaches Python's own, anything of MCP but ToolError.
"""

from __future__ import annotations

import math
import operator
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from mcpkit import ToolError

Number: TypeAlias = int | float

MAX_CHARACTERS: Final = 1000
MAX_DEPTH: Final = 50
MAX_BITS: Final = 1000
"""Larger integers are refused: up to here every JSON reader can hold them, if only as a double."""

MOST_SHOWN: Final = 4
"""Operands that an error repeats."""

BY_ZERO: Final = "Division by zero is not allowed"
TOO_LARGE: Final = f"The result is too large: numbers may have up to {MAX_BITS} bits"


def add(a: Number, b: Number) -> Number:
    """Add two numbers.

    Args:
        a: The first number.
        b: The number to add to it.
    """
    return _apply(operator.add, a, b)


def subtract(a: Number, b: Number) -> Number:
    """Subtract the second number from the first.

    Args:
        a: The number to subtract from.
        b: The number to take away.
    """
    return _apply(operator.sub, a, b)


def multiply(a: Number, b: Number) -> Number:
    """Multiply two numbers.

    Args:
        a: The first factor.
        b: The second factor.
    """
    return _apply(operator.mul, a, b)


def divide(a: Number, b: Number) -> Number:
    """Divide the first number by the second.

    Args:
        a: The dividend.
        b: The divisor; must not be zero.
    """
    return _apply(operator.truediv, a, b)


def modulo(a: Number, b: Number) -> Number:
    """Give the remainder of dividing the first number by the second; it has the sign of the second.

    Args:
        a: The dividend.
        b: The divisor; must not be zero.
    """
    return _apply(operator.mod, a, b)


def calculate(expression: str) -> Number:
    """Work out an arithmetic expression.

    Knows + - * / // % ** ^ and parentheses, × and ÷, full-width signs, pi and e, and the functions abs, ceil, exp,
    floor, log, log10, max, min, round, sqrt, sin, cos and tan (angles in radians).

    Args:
        expression: For example "(1 + 2) * 3", "sqrt(2) / 2" or "（８－２）×３".
    """
    if len(expression) > MAX_CHARACTERS:
        raise ToolError(f"The expression is too long: {MAX_CHARACTERS} characters are the limit")
    return _Parser(_tokens("".join(map(_narrow, expression)))).value()


def _apply(operation: Callable[..., Number], *operands: Number) -> Number:
    """Call ``operation``; whatever it can't do becomes an error that names the reason."""
    try:
        result = operation(*operands)
    except ZeroDivisionError:
        raise ToolError(BY_ZERO) from None
    except OverflowError:
        raise ToolError(TOO_LARGE) from None
    except (TypeError, ValueError):
        name = getattr(operation, "__name__", "the operation").strip("_")
        raise ToolError(f"{name} is not defined for {_listed(operands)}") from None
    return _bounded(result)


def _bounded(value: Number) -> Number:
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise ToolError(TOO_LARGE)
    elif not math.isfinite(value):
        raise ToolError(TOO_LARGE)
    return value


def _listed(values: tuple[Number, ...]) -> str:
    few = [_shown(value) for value in values[:MOST_SHOWN]]
    return ", ".join(few if len(values) <= MOST_SHOWN else [*few, f"… ({len(values)} values)"])


def _shown(value: Number) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"


def _power(base: Number, exponent: Number) -> Number:
    """Raise to a power, refusing before the work is done what would not fit after it."""
    if isinstance(base, int) and isinstance(exponent, int) and (base.bit_length() - 1) * exponent > MAX_BITS:
        raise OverflowError
    result = base**exponent
    if isinstance(result, complex):
        raise ToolError("The result is not a real number")
    power: Number = result
    return power


def _round(value: Number, digits: Number = 0) -> Number:
    if digits != int(digits) or abs(digits) > 300:
        raise ValueError
    return round(value, int(digits)) if digits else round(value)


FUNCTIONS: Final[dict[str, Callable[..., Number]]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "exp": math.exp,
    "floor": math.floor,
    "log": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "round": _round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}
CONSTANTS: Final[dict[str, Number]] = {"pi": math.pi, "e": math.e}

OPERATIONS: Final[dict[str, Callable[..., Number]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
    "^": _power,
}
BINDING: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "**": 4, "^": 4}
SIGN_BINDING: Final = 3  # -2 ** 2 is -4, as in mathematics and in Python

# Width is the only difference that is folded: other compatibility forms change the meaning, 2² would become 22.
SIGNS: Final = {"×": "*", "✕": "*", "·": "*", "÷": "/", "−": "-", "–": "-"}
TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|//|[-+*/%^(),]))"
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _narrow(character: str) -> str:
    if unicodedata.decomposition(character).startswith(("<wide>", "<narrow>")):
        character = unicodedata.normalize("NFKC", character)
    return SIGNS.get(character, character)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    text = text.rstrip()
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            raise ToolError(f"Unexpected {_quoted(rest[0])} at position {len(text) - len(rest) + 1}")
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    tokens.append(_Token("end", "", len(text) + 1))
    return tokens


def _quoted(text: str) -> str:
    return f"'{text}'" if text.isprintable() else f"U+{ord(text[0]):04X}"


class _Parser:
    """Precedence climbing over the tokens, computing as it goes; two frames a level, at most MAX_DEPTH levels."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = iter(tokens)
        self._next = next(self._tokens)
        self._depth = 0

    def value(self) -> Number:
        result = self._expression(0)
        if self._next.kind != "end":
            raise self._unexpected()
        return result

    def _advance(self) -> _Token:
        token = self._next
        self._next = next(self._tokens, token)
        return token

    def _accept(self, sign: str) -> bool:
        if self._next.text != sign:
            return False
        self._advance()
        return True

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise self._unexpected(f", expected '{sign}'")

    def _unexpected(self, hint: str = "") -> ToolError:
        if self._next.kind == "end":
            return ToolError(f"The expression ends too early{hint}")
        return ToolError(f"Unexpected '{_clipped(self._next.text)}' at position {self._next.at}{hint}")

    def _expression(self, binding: int) -> Number:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolError(f"The expression is nested too deeply: {MAX_DEPTH} levels are the limit")
        left = self._operand()
        while BINDING.get(self._next.text, 0) > binding:
            sign = self._advance().text
            # A power binds to the right: 2 ** 3 ** 2 is 2 ** 9.
            left = _apply(OPERATIONS[sign], left, self._expression(BINDING[sign] - (sign in ("**", "^"))))
        self._depth -= 1
        return left

    def _operand(self) -> Number:
        token = self._advance()
        if token.kind == "number":
            return _literal(token.text)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            inner = self._expression(0)
            self._expect(")")
            return inner
        if token.text in ("+", "-"):
            operand = self._expression(SIGN_BINDING)
            return -operand if token.text == "-" else operand
        self._next = token
        raise self._unexpected()

    def _named(self, token: _Token) -> Number:
        if token.text in CONSTANTS:
            return CONSTANTS[token.text]
        if token.text not in FUNCTIONS:
            known = ", ".join(sorted([*CONSTANTS, *FUNCTIONS]))
            raise ToolError(f"Unknown name '{_clipped(token.text)}'; known are {known}")
        self._expect("(")
        arguments = [self._expression(0)]
        while self._accept(","):
            arguments.append(self._expression(0))
        self._expect(")")
        return _apply(FUNCTIONS[token.text], *arguments)


def _literal(text: str) -> Number:
    return _bounded(int(text) if text.isdigit() else float(text))


def _clipped(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
