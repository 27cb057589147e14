"""Alerts and dashboard: the rules' own tests, and that every metric they name is one that the server exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mcp_server import MCPServer
from mcpkit import Settings
from tests.conftest import require
from tests.house.tree import ROOT

FOLDER = ROOT / "deploy" / "observability"
METRIC = re.compile(r"\b((?:mcp_server|process)_[a-z_]+)\b")
ONLY_WITH_REDIS = {"mcp_server_redis_up"}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return (
        [rule["expr"] for rule in rules()]
        + shown
        + [entry.get("query", "") for entry in dashboard["templating"]["list"]]
    )


async def exported(root: Path) -> set[str]:
    """The names that a server shows after one call."""
    settings = Settings(files_root=root / "files", database_path=root / "app.db")
    door = httpx.ASGITransport(MCPServer(settings=settings).app)
    async with httpx.AsyncClient(transport=door, base_url="http://localhost") as http:
        params = {"name": "add", "arguments": {"a": 1, "b": 2}}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        assert (await http.post("/api", json=call)).status_code == 200
        answer = await http.get("/metrics")
        assert answer.status_code == 200, answer.text
    return set(METRIC.findall(answer.text))


async def test_every_metric_that_is_watched_is_exported(tmp_path: Path) -> None:
    watched = {name for expression in expressions() for name in METRIC.findall(expression)}
    assert watched, "nothing is watched"
    missing = watched - await exported(tmp_path) - ONLY_WITH_REDIS
    assert not missing, f"watched but not exported: {sorted(missing)}"


def test_every_alert_has_a_runbook_that_exists() -> None:
    for name in ("operations.md", "operations.zh-CN.md"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        headings = {heading.lower() for heading in re.findall(r"^#+ (\w+)", text, flags=re.MULTILINE)}
        for rule in rules():
            if "alert" in rule:
                anchor = rule["annotations"]["runbook"].partition("#")[2]
                assert anchor in headings, f"docs/{name} has no runbook for {rule['alert']}"


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    document = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text(encoding="utf-8"))
    tests = [test for group in document["tests"] for test in group["alert_rule_test"]]
    fired = {test["alertname"] for test in tests if test.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in rules() if "alert" in rule}


def test_the_dashboard_asks_each_metric_that_is_a_matter_of_its_own() -> None:
    """Nobody has to look for a metric that has no panel."""
    shown = {name for expression in expressions() for name in METRIC.findall(expression)}
    families = {name.removesuffix("_bucket").removesuffix("_count") for name in shown}
    assert {
        *("mcp_server_operation_duration_seconds", "mcp_server_session_duration_seconds", "mcp_server_sessions"),
        *("mcp_server_streams", "mcp_server_active_calls", "mcp_server_event_store_bytes", "mcp_server_redis_up"),
        "mcp_server_build_info",
    } <= families


@pytest.mark.prometheus
@pytest.mark.parametrize(
    "words",
    [("test", "rules", "alerts_test.yaml"), ("check", "config", "--syntax-only", "prometheus.yaml")],
    ids=" ".join,
)
def test_promtool_is_content(words: tuple[str, ...]) -> None:
    require(shutil.which("promtool"), "promtool is missing: it comes with Debian's package prometheus")
    done = subprocess.run(
        ["promtool", *words],
        cwd=FOLDER,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
