"""Where variables come from: the environment, over a file that may be missing. The only reader of both.

What must never stand here: what a variable means.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Final

from mcpkit.settings.values import SettingsError

DOTENV: Final = Path(".env")


def environment(dotenv: Path | None = DOTENV, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """All variables of the environment (or of ``env``) over those of the file ``dotenv``.

    Raises: SettingsError when the file can't be read.
    """
    return file_variables(dotenv) | process_variables(env)


def process_variables(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of the environment, or of ``env``."""
    return dict(os.environ if env is None else env)


def file_variables(path: Path | None = DOTENV) -> dict[str, str]:
    """The variables of a file, which may be missing.

    Raises: SettingsError when it can't be read.
    """
    return _dotenv(path)


def _dotenv(path: Path | None) -> dict[str, str]:
    try:
        if path is None or not path.exists():
            return {}
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} can't be read: it is not UTF-8 text") from None
    return _assignments(path, text)


def _assignments(path: Path, text: str) -> dict[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415 - most starts have no such file, and need not pay for it
    from dotenv.parser import parse_stream  # noqa: PLC0415

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise SettingsError(f"{path} line {binding.original.line} is not of the form NAME=value")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}
