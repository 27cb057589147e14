"""The image without a container engine: the Dockerfile's own steps, re-run in a temporary root, and what must hold."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml

from mcpkit.settings import Settings
from mcpkit.transports.program import LATE_SECONDS
from tests.fixtures.redis_server import redis_server
from tests.house.tree import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = DOCKERFILE.split("\nFROM ")
FINAL = STAGES[-1]


def instructions(word: str, text: str = FINAL) -> list[str]:
    return [line.removeprefix(word).strip() for line in text.splitlines() if line.startswith(word + " ")]


def environment() -> dict[str, str]:
    [line] = instructions("ENV")
    return dict(pair.split("=", 1) for pair in shlex.split(line))


def test_the_image_is_small_quiet_and_nobodys() -> None:
    assert len(STAGES) == 3, "a stage that builds, and a stage that runs"
    assert instructions("USER") == ["10001"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert instructions("EXPOSE") == [str(Settings().port)]
    assert environment()["MCP_SERVER_HOST"] == "0.0.0.0", "a container that listens on loopback answers nobody"
    [command] = instructions("CMD")
    assert json.loads(command) == ["python", "mcp_server.py"], "exec form: signals reach the server"


def test_every_variable_of_the_image_is_a_setting() -> None:
    known = {row.env for row in Settings.table()} | {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert set(environment()) <= known


def test_the_build_context_holds_what_is_copied_and_no_more() -> None:
    copied = {shlex.split(line)[0] for text in STAGES for line in instructions("COPY", text)}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert let_in == copied


def test_compose_runs_three_servers_behind_the_tested_proxy() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    servers = [name for name in services if name.startswith("mcp")]
    proxy = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    assert sorted(servers) == sorted(re.findall(r"server (mcp\d):12000", proxy))
    assert services["nginx"]["volumes"] == ["./deploy/nginx/nginx.conf:/etc/nginx/nginx.conf:ro"]
    [idle] = re.findall(r"keepalive_timeout (\d+)s;", proxy)
    for name in servers:
        drain = float(services[name]["environment"]["MCP_DRAIN_SECONDS"])
        assert drain > float(idle), "a server closes what nginx still keeps: a request on it is lost"
        assert (
            int(services[name]["stop_grace_period"].removesuffix("s")) > drain + Settings().grace_seconds + LATE_SECONDS
        )
        assert services[name]["read_only"] is True
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"
        known = {row.env for row in Settings.table()}
        assert set(services[name]["environment"]) <= known


def test_the_unit_starts_what_there_is() -> None:
    unit = (ROOT / "deploy" / "systemd" / "mcpkit.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/mcpkit/.venv/bin/python /opt/mcpkit/mcp_server.py" in unit
    [seconds] = re.findall(r"TimeoutStopSec=(\d+)", unit)
    assert int(seconds) > Settings().grace_seconds
    known = {row.env for row in Settings.table()} | {"PYTHONUNBUFFERED"}
    [line] = re.findall(r"^Environment=(.*)$", unit, flags=re.MULTILINE)
    assert {pair.split("=")[0] for pair in line.split()} <= known


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is optional: the unit is read above too")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    unit, program = tmp_path / "etc/systemd/system/mcpkit.service", tmp_path / "opt/mcpkit/.venv/bin/python"
    for path in (unit, program):
        path.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/systemd/mcpkit.service", unit)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = ["systemd-analyze", "verify", f"--root={tmp_path}", "--man=no", "--recursive-errors=no", unit.name]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_can_do_what_deployments_ask_of_it() -> None:
    """Redis, OAuth and OpenTelemetry are extras of the library, and compose.yaml is nothing without the first."""
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    lines = (ROOT / "deploy/requirements.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(lines[2:]) == sorted(line for extra in ("redis", "auth", "otel") for line in optional[extra])
    assert lines[1] == "-r ../requirements.txt"


def copy(line: str, root: Path) -> None:
    """What COPY does with one file or folder."""
    name, where = shlex.split(line)
    source, target = ROOT / name, root / where
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def step(line: str, folder: Path, places: dict[str, Path], python: Path) -> None:
    """What RUN does, as far as it is pip's work: the places of the image stand in a folder of ours."""
    line = re.sub(r"--mount=\S+ +", "", line)
    for place, ours in places.items():
        line = line.replace(place, str(ours))
    for words in map(shlex.split, line.split("&&")):
        if words[0] == "pip":
            files = [str(found) for word in words[2:] if "*" in word for found in Path("/").glob(word.lstrip("/"))]
            kept = [word for word in words[1:] if "*" not in word]
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", *kept, *files]
            subprocess.run(pip, cwd=folder, check=True, timeout=280)


def everything(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


@pytest.mark.redis
@pytest.mark.slow
def test_the_steps_make_a_server_that_answers_its_health_check_and_its_stop_signal(tmp_path: Path) -> None:
    """Build stage, final stage, start, health, drain, end; nothing is written outside of /data and /tmp."""
    build, root, data, python = (tmp_path / name for name in ("build", "app", "data", "python/bin/python"))
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "python")], check=True, timeout=120)
    places = {"/wheels": tmp_path / "wheels", "/data": data}
    build.mkdir()
    for line in instructions("COPY", STAGES[1]):
        copy(line, build)
    for line in instructions("RUN", STAGES[1]):
        step(line, build, places, python)
    for line in instructions("RUN"):
        step(line, root.parent, places, python)
    root.mkdir()
    for line in instructions("COPY"):
        copy(line, root)
    before = everything(root, tmp_path / "python")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    given = {name: value.replace("/data", str(data)) for name, value in environment().items()}
    with redis_server(tmp_path / "redis") as redis:
        shared = {"MCP_SERVER_PORT": port, "MCP_SERVER_REDIS_URL": redis.url, "MCP_EXTENSIONS": "tasks,telemetry"}
        env = {"PATH": f"{python.parent}:{os.environ['PATH']}", **given, **shared}
        [command] = instructions("CMD")
        server = subprocess.Popen(json.loads(command), cwd=root, env=env, stderr=subprocess.PIPE, text=True)
        try:
            healthy(env, server)
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=30)
            assert server.returncode == 0, said
            assert "Traceback" not in said
        finally:
            if server.poll() is None:
                server.kill()
                server.communicate()
    assert everything(root, tmp_path / "python") == before, "a read-only root would not have let it"


def healthy(env: dict[str, str], server: subprocess.Popen[str]) -> None:
    """Ask the image's own health check until it is content."""
    [line] = instructions("HEALTHCHECK")
    check = json.loads(line[line.index("[") :])
    deadline = time.monotonic() + 30
    while subprocess.run(check, env=env, capture_output=True, timeout=10, check=False).returncode != 0:
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the health check is never content"
