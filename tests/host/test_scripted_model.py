"""The scripted model server is understood by the official openai SDK, so our tests prove no private dialect."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.conftest import peer as environment
from tests.fixtures.scripted_peer import ScriptedModel

SCRIPT = Path(__file__).parents[1] / "peers" / "openai_asks.py"


def test_the_official_sdk_understands_every_kind_of_answer(peer: ScriptedModel) -> None:
    asking = [str(environment("openai")), str(SCRIPT), peer.url]
    done = subprocess.run(asking, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "models": ["scripted-1"],
        "whole": ["hi", "scripted-1", 18],
        "streamed": ["ab", 18, "tool_calls"],
        "calls": [["f", json.dumps({"long": "x" * 20})], ["g", "{}"]],
        "refused": [401, 429, 500],
    }
