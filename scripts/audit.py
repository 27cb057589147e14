"""Reads what pip-audit says of requirements.lock and decides: vulnerable, sound, or not asked at all.

pip-audit passes over what its service doesn't know and then finds nothing; that must never look like a clean bill.
What must never stand here: a list of vulnerabilities to ignore.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

SERVICES = ("pypi", "osv")
SECONDS = 60
LOCK = "requirements.lock"


class Findings(NamedTuple):
    """What was asked about, what nobody knew, and what is wrong."""

    audited: list[str]
    unknown: list[str]
    vulnerable: list[str]


def read(report: Mapping[str, Any]) -> Findings:
    """pip-audit's JSON."""
    asked = [each for each in report.get("dependencies", []) if "skip_reason" not in each]
    unknown = [each["name"] for each in report.get("dependencies", []) if "skip_reason" in each]
    vulnerable = [
        f"{each['name']} {each['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no release'}"
        for each in asked
        for one in each["vulns"]
    ]
    return Findings([each["name"] for each in asked], unknown, vulnerable)


def judge(found: Findings, *, required: bool) -> tuple[int, list[str]]:
    """The exit code, and what to say."""
    if found.vulnerable:
        advice = "raise it (scripts/lock --upgrade-package NAME, and the floor in requirements.txt):"
        return 1, [f"VULNERABLE, {advice}", *found.vulnerable]
    if not found.audited:
        return int(required), [
            "NOT AUDITED: no vulnerability service could be asked from here (PyPI's JSON interface, or OSV).",
            f"Nothing is known of the {len(found.unknown)} packages in {LOCK}; run it where there is one.",
        ]
    lines = [f"{len(found.audited)} packages of {LOCK}: no known vulnerability"]
    if found.unknown:
        lines.append(f"NOT AUDITED, unknown to the service: {', '.join(sorted(found.unknown))}")
    return int(required and bool(found.unknown)), lines


def ask(service: str) -> Findings:
    """One service's findings; empty ones when it can't be reached."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", LOCK, "--require-hashes", "--disable-pip"]
    command += ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        return read(json.loads(ran.stdout))
    except subprocess.TimeoutExpired:
        print(f"{service} does not answer within {SECONDS} s", file=sys.stderr)
    except ValueError:  # no report: pip-audit's last line says why
        said = ran.stderr.strip().splitlines()
        if any("requirement" in line.lower() for line in said[-1:]):
            raise SystemExit(f"{LOCK} can't be read: {said[-1]}") from None
        print(f"{service}: {said[-1][:200] if said else 'no answer'}", file=sys.stderr)
    return Findings([], [], [])


def main() -> int:
    """Ask one service after the other until one knows something."""
    found = Findings([], [], [])
    for service in SERVICES:
        found = max(found, ask(service), key=lambda each: (len(each.audited), len(each.unknown)))
        if found.audited:
            break
    code, lines = judge(found, required="--required" in sys.argv)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
