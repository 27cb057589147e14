"""A few hundred inputs for every target of scripts/fuzz: the targets themselves are sound, and what they promise holds.

Minutes of the same, led by coverage, are scripts/fuzz.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpkit.jsonrpc import codec
from mcpkit.protocol import pagination
from tests.fuzz.mutations import inputs
from tests.fuzz.targets import messages, protocol
from tests.fuzz.targets.every import TARGETS
from tests.house.tree import ROOT

INPUTS = 300


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_hundred_inputs(name: str) -> None:
    """RPC-13, HDR-02, MRS-01, STEST-05 to 09: never an exception but the declared ones, and no promise broken."""
    for data in inputs(TARGETS[name], INPUTS):
        try:
            TARGETS[name].run(data)
        except Exception as error:
            error.add_note(f"found by the target {name} with {data!r}")
            raise


def test_every_name_stands_once() -> None:
    assert all(name == target.name and target.seeds for name, target in TARGETS.items())
    assert len(TARGETS) >= 20


def test_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The targets can fail: a reader that takes every spelling of a cursor is caught by the inputs above."""

    def lenient(cursor: str) -> str:
        return pagination.decode_cursor(cursor.rstrip("="))

    monkeypatch.setattr(protocol, "decode_cursor", lenient)
    with pytest.raises(AssertionError):
        list(map(protocol.cursor, inputs(TARGETS["cursor"], INPUTS)))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("_bare", lambda data: data),
        ("_weight", lambda data, most: data.count(b",")),
        ("_members_at_the_edges", lambda data: {"id": 77, "method": "x"}),
    ],
)
def test_a_wrong_count_is_found(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    """Escapes that are overlooked, brackets that are not counted, an id from nowhere."""
    monkeypatch.setattr(codec, name, wrong)
    with pytest.raises(AssertionError):
        list(map(messages.values, inputs(TARGETS["values"], INPUTS)))


def test_a_reproducer_can_be_run_again(tmp_path: Path) -> None:
    """What scripts/fuzz writes is run by the line that it prints, without a fuzzer."""
    (tmp_path / "crash").write_bytes(TARGETS["json"].seeds[0])
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--again", "json", str(tmp_path / "crash")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "holds" in ran.stdout) == (0, True), ran.stderr
