"""The manifests of examples/kubernetes: they build, the API takes each field, and they agree with each other, with the
policy files in them and with the image.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from sidecar.config import load
from sidecar.settings import Settings, parse_address
from tests.kit.commands import ROOT
from tests.kit.manifests import NEWEST, OLDEST, Built, built, mistakes, quantity

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "kubernetes"
FOLDERS = ("base", "overlays/llm", "overlays/fleet", "overlays/job")
SECRETS = {"overlays/llm": "/run/secrets/providers", "overlays/fleet": "/run/secrets/redis"}
"""Where the sidecar's container has its Secret."""
NONROOT = 65532
SLACK = 2.0
"""Seconds that the kubelet leaves to a container at least, and that a sidecar needs beside its drain."""

pytestmark = pytest.mark.parametrize("folder", FOLDERS)


def of(folder: str) -> Built:
    return built(EXAMPLE / folder)


def environment(container: dict[str, Any]) -> dict[str, str]:
    """What the container is told; a value from a Secret is not in the manifest."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def settings(folder: str, tmp_path: Path) -> Settings:
    """What the policy file says in the container's own environment. The Secret's files are where a test may write."""
    built_from = of(folder)
    (tmp_path / "openai").write_text("sk-openai")
    (tmp_path / "anthropic").write_text("sk-anthropic")
    (tmp_path / "url").write_text("redis://:password@redis:6379/0")
    text = re.sub(r"/run/secrets/\w+", str(tmp_path), built_from.policy)
    (tmp_path / "sidecar.toml").write_text(text)
    return load(tmp_path / "sidecar.toml", environment(built_from.sidecar)).settings


def seconds_of_grace(folder: str) -> float:
    return float(of(folder).pod["spec"]["terminationGracePeriodSeconds"])


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
def test_the_api_knows_every_field(folder: str, kubernetes: str) -> None:
    ours = [each for each in of(folder).objects if each["kind"] != "PodMonitor"]  # which test_kubernetes_pages.py reads
    wrong = {f"{each['kind']} {each['metadata']['name']}": mistakes(each, kubernetes) for each in ours}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_the_sidecar_is_a_native_one_and_starts_first(folder: str) -> None:
    assert of(folder).sidecar["name"] == "sidecar"
    assert of(folder).sidecar["restartPolicy"] == "Always"
    assert len(of(folder).pod["spec"]["initContainers"]) == 1


def test_every_container_is_what_the_restricted_pod_security_standard_asks_for(folder: str) -> None:
    pod = of(folder).pod["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        context = {**pod["securityContext"], **container["securityContext"]}
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {"requests", "limits"} <= container["resources"].keys()
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "configMap"} | (
        {"secret"} if folder in SECRETS else set()
    )


def test_traffic_and_admin_stay_in_the_pod_and_probes_go_where_the_policy_listens(folder: str, tmp_path: Path) -> None:
    listen = settings(folder, tmp_path).listen
    for text in (listen.http, listen.grpc, listen.admin):
        assert not text or getattr(parse_address(text), "loopback", False)
    probe = parse_address(listen.probe)
    assert probe is not None
    assert not probe.loopback
    sidecar = of(folder).sidecar
    assert sidecar["ports"] == [{"name": "probe", "containerPort": probe.port}]
    asked = {kind: sidecar[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": {"path": "/readyz", "port": "probe"},
        "livenessProbe": {"path": "/livez", "port": "probe"},
        "readinessProbe": {"path": "/readyz", "port": "probe"},
    }
    (ingress,) = policy_named(folder, "sidecar")["ingress"]
    assert [port["port"] for port in ingress["ports"]] == [probe.port]


def policy_named(folder: str, name: str) -> dict[str, Any]:
    (found,) = (each["spec"] for each in of(folder).of("NetworkPolicy") if each["metadata"]["name"] == name)
    assert isinstance(found, dict)
    return found


def test_the_application_is_led_to_where_the_sidecar_listens(folder: str, tmp_path: Path) -> None:
    listen = settings(folder, tmp_path).listen
    told = environment(of(folder).pod["spec"]["containers"][0])
    http = f"http://{listen.http}"
    places = {
        "SIDECAR_HTTP": http, "SIDECAR_GRPC": listen.grpc, "OPENAI_BASE_URL": f"{http}/v1", "ANTHROPIC_BASE_URL": http
    }  # fmt: skip
    led = {name: value for name, value in told.items() if name in places}
    assert led == {name: places[name] for name in led}
    assert "SIDECAR_HTTP" in led
    assert ("SIDECAR_GRPC" in led) == bool(listen.grpc)


def test_the_pods_grace_is_longer_than_the_drain(folder: str, tmp_path: Path) -> None:
    limits = settings(folder, tmp_path).limits
    assert limits.drain + limits.linger + SLACK <= seconds_of_grace(folder)
    # A workload that says nothing has 30 s; the component's own policy file fits that.
    assert (limits.drain + limits.linger + SLACK <= 30) == (folder != "overlays/llm")
    # What is left to a native sidecar when the application has used up the grace: two seconds, and no callers.
    assert limits.linger < SLACK


def test_what_is_kept_fits_the_memory_limit(folder: str, tmp_path: Path) -> None:
    limits = settings(folder, tmp_path).limits
    most = quantity(of(folder).sidecar["resources"]["limits"]["memory"])
    assert (100 << 20) + limits.replay_total + limits.max_held_bytes < most


def test_the_policy_is_a_folder_under_a_name_that_does_not_change(folder: str) -> None:
    (config_map,) = of(folder).of("ConfigMap")
    assert config_map["metadata"]["name"] == "sidecar"  # no hash: a changed policy is a reload, not a rollout
    sidecar = of(folder).sidecar
    mounts = {mount["mountPath"]: mount for mount in sidecar["volumeMounts"]}
    assert mounts["/etc/sidecar"] == {"name": "sidecar-policy", "mountPath": "/etc/sidecar", "readOnly": True}
    assert all(mount["readOnly"] and "subPath" not in mount for mount in mounts.values())
    assert {"name": "sidecar-policy", "configMap": {"name": "sidecar"}} in of(folder).pod["spec"]["volumes"]
    assert sidecar["args"] == ["run", "-c", "/etc/sidecar/sidecar.toml"]


def test_only_the_sidecar_has_the_secrets_and_they_are_files(folder: str) -> None:
    pod = of(folder).pod["spec"]
    assert "volumeMounts" not in pod["containers"][0]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert "envFrom" not in container
        assert [each["name"] for each in container["env"] if "valueFrom" in each] == []
    secrets = [volume for volume in pod["volumes"] if "secret" in volume]
    named = set(re.findall(r'file = "([\w/]+)/\w+"', of(folder).policy))
    mounts = {mount["name"]: mount["mountPath"] for mount in of(folder).sidecar["volumeMounts"]}
    assert (
        {mounts[volume["name"]] for volume in secrets} == named == ({SECRETS[folder]} if folder in SECRETS else set())
    )
    for volume in secrets:
        assert volume["secret"]["defaultMode"] == 0o444  # the files are root's, and the process is not


def test_selectors_find_the_pod(folder: str) -> None:
    labels = of(folder).pod["metadata"]["labels"]
    found = [each["spec"]["podSelector"] for each in of(folder).of("NetworkPolicy")]
    found += [
        each["spec"]["selector"] for kind in ("PodMonitor", "PodDisruptionBudget") for each in of(folder).of(kind)
    ]
    assert found
    for selector in found:
        assert selector["matchLabels"].items() <= labels.items()


def test_metrics_are_scraped_where_the_probe_listens(folder: str) -> None:
    monitors = of(folder).of("PodMonitor")
    assert len(monitors) == (folder in {"overlays/llm", "overlays/fleet"})
    for monitor in monitors:
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["path"] == "/metrics"
        assert endpoint["port"] in {port["name"] for port in of(folder).sidecar["ports"]}


def test_the_network_lets_the_pod_reach_what_its_policy_names_and_nothing_else(folder: str, tmp_path: Path) -> None:
    open_ports = {
        port["port"] for each in of(folder).of("NetworkPolicy") for rule in each["spec"].get("egress") or ()
        for port in rule["ports"]
    }  # fmt: skip
    told = settings(folder, tmp_path)
    named = {url for upstream in told.upstreams.values() for url in (upstream.url, *upstream.urls) if url}
    named |= {told.redis.url} if folder == "overlays/fleet" else set()
    assert open_ports == {53} | {urlsplit(url).port or 443 for url in named}


def test_the_image_is_one_that_a_kustomization_can_name(folder: str) -> None:
    assert of(folder).sidecar["image"] == "sidecar:latest"
    assert of(folder).sidecar["securityContext"]["runAsUser"] == NONROOT
    assert of(folder).sidecar["securityContext"]["runAsGroup"] == NONROOT
    assert environment(of(folder).sidecar)["PYTHONDONTWRITEBYTECODE"] == "1"
