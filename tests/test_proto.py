"""What `make proto` wrote is what proto/ says today."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sidecar.pb.beamline.flow.v1 import flow_pb2
from tests.kit.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CHECKED_IN = ROOT / "sidecar" / "pb"
SOURCES = sorted(path.relative_to(ROOT / "proto") for path in (ROOT / "proto").rglob("*.proto"))
VERSION = re.compile(r"# Protobuf Python Version: \S+|(?<=Domain\.PUBLIC,\n)(    \d+,\n){3}")
"""Where protoc names itself: another one's output is as current if the rest is the same."""


def written(folder: Path) -> dict[str, str]:
    names = [str(path.relative_to(folder)) for path in folder.rglob("*_pb2*") if path.suffix in {".py", ".pyi"}]
    return {name: VERSION.sub("", (folder / name).read_text()) for name in names}


def test_the_generated_files_are_current(tmp_path: Path) -> None:
    outputs = (f"--python_out={tmp_path}", f"--pyi_out={tmp_path}")
    command = (sys.executable, "-m", "grpc_tools.protoc", "--proto_path=proto", *outputs, *map(str, SOURCES))
    subprocess.run(command, cwd=ROOT, check=True, timeout=30)
    assert written(tmp_path) == written(CHECKED_IN), "proto/ and sidecar/pb/ differ: run `make proto`"


def test_nothing_in_the_package_needs_grpc_to_be_imported() -> None:
    generated = {"flow_pb2", "reflection_pb2", "__init__"}
    assert [path for path in CHECKED_IN.rglob("*.py") if path.stem not in generated] == []


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("Message", "message_id tenant_id trace_id message_type payload metadata timestamp_ms"),
        ("RouteRequest", "message policy_id context"),
        ("RouteDecision", "provider_id reason priority expected_latency_ms expected_cost metadata"),
        ("AdminPolicy", "policy_id providers sticky rules"),
        ("AdminProvider", "id weight"),
        ("AdminRule", "match prefer fallback"),
        ("UpsertPolicyRequest", "tenant_id policy"),
        ("UpsertPolicyResponse", "ok"),
        ("DeletePolicyRequest", "tenant_id policy_id"),
        ("DeletePolicyResponse", "ok"),
        ("GetPolicyRequest", "tenant_id policy_id"),
        ("GetPolicyResponse", "policy"),
        ("ListPoliciesRequest", "tenant_id"),
        ("ListPoliciesResponse", "policies"),
        ("CheckpointStatus", "current_cp cp2_plus_allowed updated_at_ms"),
        ("GetCheckpointStatusResponse", "status"),
        ("GetValidatorsHealthRequest", "tenant_id"),
        ("GetValidatorsHealthResponse", "validators"),
        ("ValidatorStatus", "name status timestamp_ms details"),
    ],
)
def test_real_fields_keep_the_first_numbers(message: str, numbers: str) -> None:
    """A Router in the field decodes by these numbers: a change here is a wrong answer there, not an error."""
    fields = flow_pb2.DESCRIPTOR.message_types_by_name[message].fields
    real = sorted(fields, key=lambda field: field.number)[: len(numbers.split())]
    assert [(field.name, field.number) for field in real] == [
        (name, number) for number, name in enumerate(numbers.split(), 1)
    ]
