"""Kubernetes manifests as `kubectl kustomize` builds them, held against the API's own schemas.

No cluster is asked: kubectl has kustomize built in, and both it and the schemas are
Python packages of the tests.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.kit.commands import PYTHON

Object = dict[str, Any]

KUBECTL = Path(PYTHON).with_name("kubectl")
OLDEST = "v1.29.0"
"""The first Kubernetes in which sidecar containers are on by default."""
NEWEST = "v1.37.0"


@dataclass(frozen=True)
class Built:
    """What a kustomization stands for."""

    objects: list[Object]

    def of(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    @property
    def workload(self) -> Object:
        """Its one Deployment or Job."""
        (one,) = self.of("Deployment") + self.of("Job")
        return one

    @property
    def pod(self) -> Object:
        """The pod's template: metadata and spec."""
        template: Object = self.workload["spec"]["template"]
        return template

    @property
    def sidecar(self) -> Object:
        """The sidecar's container."""
        first: Object = self.pod["spec"]["initContainers"][0]
        return first

    @property
    def policy(self) -> str:
        """The policy file."""
        (config_map,) = self.of("ConfigMap")
        text: str = config_map["data"]["sidecar.toml"]
        return text


@cache
def built(folder: Path) -> Built:
    """What `kubectl kustomize FOLDER` prints. It must succeed and warn of nothing."""
    ended = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return Built(list(yaml.safe_load_all(ended.stdout)))


def quantity(text: str) -> float:
    """Bytes, as Kubernetes writes them: `128Mi`."""
    units = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
    return float(text[:-2]) * units[text[-2:]]


def mistakes(manifest: Object, kubernetes: str) -> list[str]:
    """What the API server of that Kubernetes would not take, or would silently drop: unknown fields are mistakes."""
    if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        return _unlike(manifest, _read_by_operator(manifest))
    version = re.sub(r"\.[^/]*", "", manifest["apiVersion"]).replace("/", "-")  # networking.k8s.io/v1: networking-v1
    definitions = Resource.from_contents(_schema(kubernetes, "_definitions"))
    registry: Registry[Any] = definitions @ Registry()
    validator = Draft202012Validator(_schema(kubernetes, f"{manifest['kind'].lower()}-{version}"), registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


@cache
def _schema(kubernetes: str, name: str) -> Any:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"{kubernetes}-local-strict"
    return json.loads((folder / f"{name}.json").read_text())


def _read_by_operator(manifest: Object) -> Object:
    """What the Prometheus Operator's model makes of it: a field that it does not know is gone."""
    # Half a million lines of models: imported where one is read, and not looked at by mypy.
    models = importlib.import_module("cloudcoil.models.prometheus_operator.v1")
    model = getattr(models, manifest["kind"]).model_validate(manifest)
    read: Object = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return read


def _unlike(written: Any, read: Any, path: str = "$") -> list[str]:
    if isinstance(written, dict) and isinstance(read, dict):
        unknown = [f"{path}.{key}: unknown" for key in written if key not in read]
        return unknown + [
            each for key in written if key in read for each in _unlike(written[key], read[key], f"{path}.{key}")
        ]
    if isinstance(written, list) and isinstance(read, list):
        pairs = enumerate(zip(written, read, strict=True))
        return [each for at, (one, other) in pairs for each in _unlike(one, other, f"{path}[{at}]")]
    return [] if written == read else [f"{path}: {written!r} is read as {read!r}"]
