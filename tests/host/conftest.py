"""The scripted model server, in its own process, for every test of the host. Never a rule of what it should say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

SCRIPT = Path(__file__).parents[1] / "fixtures" / "scripted_model.py"


@dataclass(slots=True)
class ScriptedModel:
    """The peer as a test sees it: tell it what to answer, ask it what it was asked."""

    url: str

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def script(self, *steps: dict[str, Any]) -> None:
        with urlopen(Request(f"{self.url}/script", json.dumps(steps).encode()), timeout=10):
            pass

    @property
    def asked(self) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/asked", timeout=10) as answer:
            asked: list[dict[str, Any]] = json.load(answer)
            return asked


@pytest.fixture(scope="session")
def _scripted_model_process() -> Iterator[str]:
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture
def peer(_scripted_model_process: str) -> ScriptedModel:
    """A model server without a script."""
    peer = ScriptedModel(_scripted_model_process)
    peer.script()
    return peer
