"""The Kubernetes files, checked without a cluster: against the API's schema, against each other, and built."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mcpkit.settings import Settings
from mcpkit.transports.program import LATE_SECONDS
from tests.house.tree import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
VERSION = "1.31"
FOREIGN = ("kustomize.config.k8s.io", "gateway.networking.k8s.io")
"""Kinds that are not part of Kubernetes itself."""


def documents() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.relative_to(FOLDER)}", document)
        for path in sorted(FOLDER.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def one(kind: str, named: str = "mcpkit") -> dict[str, Any]:
    [found] = [
        document
        for name, document in documents()
        if document["kind"] == kind and name.startswith("base/") and document["metadata"]["name"] == named
    ]
    return found


@pytest.mark.parametrize(("name", "document"), documents(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_object_fits_the_api(name: str, document: dict[str, Any]) -> None:
    if not document["apiVersion"].startswith(FOREIGN):
        kubernetes_validate.validate(document, VERSION, strict=True)


def test_three_replicas_roll_without_a_gap() -> None:
    spec = one("Deployment")["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert one("PodDisruptionBudget")["spec"]["minAvailable"] == 2
    pod = spec["template"]["spec"]
    [container] = pod["containers"]
    slept = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = slept + float(one("ConfigMap")["data"]["MCP_DRAIN_SECONDS"]) + Settings().grace_seconds + LATE_SECONDS
    assert slept > 0
    assert pod["terminationGracePeriodSeconds"] > needed, "or the kubelet kills what still answers"


def test_the_container_may_do_nothing_it_need_not() -> None:
    pod = one("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/data", "/tmp"} <= written


def test_probes_ask_what_the_server_answers() -> None:
    [container] = one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        hosts = [header["value"] for header in container[probe]["httpGet"]["httpHeaders"]]
        assert hosts == ["localhost"], "a probe must come with a Host that the server lets in"


def test_every_variable_is_a_setting() -> None:
    known = {row.env for row in Settings.table()}
    for name, document in documents():
        if document["kind"] in {"ConfigMap", "Secret"}:
            given = {**document.get("data", {}), **document.get("stringData", {})}
            assert set(given) <= known, f"{name} sets what the server doesn't know"


def test_labels_and_ports_meet() -> None:
    deployment, service, policy = one("Deployment"), one("Service"), one("NetworkPolicy")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        policy["spec"]["podSelector"]["matchLabels"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [port] = container["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert policy["spec"]["ingress"][0]["ports"][0]["port"] == port["containerPort"] == Settings().port


def test_the_policy_lets_out_what_the_server_needs_and_no_more() -> None:
    """Names, Redis, and the model's endpoint: by https, and never the cluster's own addresses."""
    names, redis, outside = one("NetworkPolicy")["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in names["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert redis["ports"][0]["port"] == 6379
    assert redis["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "redis"}}}]
    assert [port["port"] for port in outside["ports"]] == [443]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(outside["to"][0]["ipBlock"]["except"])


def test_prometheus_finds_every_pod_by_its_address() -> None:
    config = yaml.safe_load((ROOT / "deploy/observability/prometheus.yaml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]
    [lookup] = job["dns_sd_configs"]
    pods = one("Service", "mcpkit-pods")
    assert lookup["names"][0].split(".")[0] == pods["metadata"]["name"]
    assert lookup["port"] == pods["spec"]["ports"][0]["port"] == Settings().port
    assert pods["spec"]["clusterIP"] == "None"
    assert pods["spec"]["selector"] == one("Service")["spec"]["selector"]
    expressions = (ROOT / "deploy/observability/alerts.yaml").read_text(encoding="utf-8")
    assert f'job="{job["job_name"]}"' in expressions


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is optional: the files are checked one by one too")
@pytest.mark.parametrize("folder", ["base", "overlays/production"])
def test_kustomize_builds_it(folder: str) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / folder)], check=False, capture_output=True, text=True, timeout=60
    )
    assert built.returncode == 0, built.stderr
    for document in yaml.safe_load_all(built.stdout):
        if not document["apiVersion"].startswith(FOREIGN):
            kubernetes_validate.validate(document, VERSION, strict=True)
