"""scripts/test installs what the tests that it runs ask for: one folder is run within seconds of a fresh clone.

The scripts run in a copy, and every program that would install something is a stand-in that notes its arguments.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.started import ROOT

NOTES = '#!/bin/sh\necho "$(basename "$0") $*" >>"$NOTES"\n'
TOOLS = ("sh", "basename", "cat", "cksum", "dirname", "find", "grep", "id", "mkdir", "rm", "sed")
TESTS = {
    "jsonrpc/test_plain.py": "",
    "sessions/test_shared.py": "@pytest.mark.redis",
    "client/test_one.py": 'peer("mcp1")',
    "client/test_other.py": "",
    "real/test_both.py": "from others import kinds",
    "real/others.py": "pytest.mark.node\nkinds = ['mcp2', 'sdk1']",
    "test_suite.py": 'pytest.mark.node\nrun("scripts/conformance")',
}
PEERS = ("mcp1.txt", "mcp2.txt", "sdk1.npm", "server2.npm")
DEV = "requirements-dev.txt"
EVERYTHING = {DEV, "mcp1.txt", "mcp2.txt", "node", "sdk1", "server2", "redis-server", "conformance"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name, text in TESTS.items():
        (tmp_path / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / name).write_text(text)
    (tmp_path / "tests/peers").mkdir()
    for name in PEERS:
        (tmp_path / "tests/peers" / name).write_text(f"package-of-{name.partition('.')[0]}")
    for name in ("requirements.txt", DEV):
        (tmp_path / name).touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in TOOLS:
        (programs / name).symlink_to(shutil.which(name) or name)
    stand_ins = [programs / name for name in ("apt-get", "npm", "sudo")]
    stand_ins += [tmp_path / f"{place}/bin/python" for place in (".venv", ".venv-peers/mcp1", ".venv-peers/mcp2")]
    for stand_in in stand_ins:
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(NOTES)
        stand_in.chmod(0o755)
    return tmp_path


def installed(copy: Path, *words: str, **variables: str) -> tuple[set[str], str]:
    """What was installed, each by one word, and how pytest was called."""
    notes = copy / "notes"
    env = {"PATH": str(copy / "programs"), "NOTES": str(notes), **variables}
    command = [str(copy / "scripts/test"), *words]
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = notes.read_text().splitlines()
    known = {name.removesuffix(".npm"): name.removesuffix(".npm") for name in EVERYTHING}
    found = {
        known[name]
        for line in lines
        if " install " in line
        for name in known
        if line.endswith((name, f"package-of-{name}")) or f"{name}@" in line
    }
    return found, lines[-1]


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (("tests/jsonrpc",), {DEV}),
        (("tests/jsonrpc", "-k", "batch", "-q"), {DEV}),
        (("tests/jsonrpc", "--junitxml", "out/made.xml"), {DEV}),
        (("tests/jsonrpc/test_plain.py::test_x[a::b]",), {DEV}),
        (("tests/client/test_other.py",), {DEV}),
        (("tests/client",), {DEV, "mcp1.txt"}),
        (("-x", "tests/sessions", "tests/jsonrpc"), {DEV, "redis-server"}),
        (("tests/real/test_both.py",), {DEV, "mcp2.txt", "node", "sdk1"}),
        (("tests/test_suite.py",), {DEV, "node", "conformance"}),
        ((), EVERYTHING),
        (("tests",), EVERYTHING),
        (("-k", "batch"), EVERYTHING),
    ],
)
def test_a_part_installs_what_it_asks_for(copy: Path, words: tuple[str, ...], needs: set[str]) -> None:
    found, called = installed(copy, *words)
    assert found == needs
    assert called == " ".join(("python -m pytest", *words)), "and every word goes to pytest"


@pytest.mark.parametrize("word", ["tests/jsonrp", "test_plain.py", "tests/jsonrpc/test_other.py::test_x"])
def test_a_path_that_is_not_there_is_told_before_anything_is_installed(copy: Path, word: str) -> None:
    notes = copy / "notes"
    env = {"PATH": str(copy / "programs"), "NOTES": str(notes)}
    command = [str(copy / "scripts/test"), word]
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == f"test: there is no {word.partition('::')[0]} in {copy}\n"
    assert not notes.exists()


def test_in_ci_everything_is_installed(copy: Path) -> None:
    assert installed(copy, "tests/jsonrpc", CI="true")[0] == EVERYTHING
