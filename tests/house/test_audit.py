"""What scripts/audit makes of pip-audit's report: a vulnerability fails, silence is never taken for soundness."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from tests.house.tree import ROOT

SOUND = {"name": "a", "version": "1", "vulns": []}
HOLED = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"], "aliases": []}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.fixture
def audit() -> ModuleType:
    """The script, loaded."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "required", "code", "said"),
    [
        ([SOUND], False, 0, "1 packages of requirements.lock: no known vulnerability"),
        ([SOUND, HOLED], False, 1, "b 2: CVE-1, mended in 2.1"),
        ([UNKNOWN], False, 0, "NOT AUDITED: no vulnerability service"),
        ([UNKNOWN], True, 1, "NOT AUDITED: no vulnerability service"),
        ([], False, 0, "NOT AUDITED: no vulnerability service"),
        ([], True, 1, "NOT AUDITED"),
        ([SOUND, UNKNOWN], False, 0, "unknown to the service: c"),
        ([SOUND, UNKNOWN], True, 1, "unknown to the service: c"),
    ],
)
def test_the_verdict(audit: ModuleType, packages: list[Any], required: bool, code: int, said: str) -> None:
    found, lines = audit.judge(audit.read({"dependencies": packages}), required=required)
    assert found == code
    assert said in "\n".join(lines)


@pytest.mark.parametrize(
    ("stdout", "stderr", "audited"),
    [
        (json.dumps({"dependencies": [SOUND]}), "", ["a"]),
        ("", "requests.exceptions.ConnectionError: nobody there", []),
        ("", "", []),
    ],
)
def test_a_service_is_asked(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str, audited: list[str]
) -> None:
    """Whoever can't be reached has said nothing; a lock that can't be read is no matter of the network."""
    ran = subprocess.CompletedProcess([], 1, stdout, stderr)
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: ran)
    assert audit.ask("osv").audited == audited
    ran.stdout, ran.stderr = "", "ERROR: requirement foo does not contain a hash"
    with pytest.raises(SystemExit, match="can't be read"):
        audit.ask("osv")


def test_nobody_to_ask_does_not_end_the_check(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CI may have no vulnerability service; it must say so."""

    def unreachable(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("pip-audit", 1)

    monkeypatch.setattr(audit.subprocess, "run", unreachable)
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.main() == 0
    assert "NOT AUDITED" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["audit", "--required"])
    assert audit.main() == 1
