"""Explanations of described calls, and short words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidecar.described import described
from sidecar.explaining import Explainer
from tests.kit.policy_file import load

if TYPE_CHECKING:
    from collections.abc import Mapping


def explained(
    file: str, method: str, url: str, *headers: str, model: str = "", environ: Mapping[str, str] | None = None
) -> Any:
    """What `sidecar explain` says as JSON; a header is `Name: value`."""
    loaded = load(file, environ)
    pairs = [(name, value) for name, _, value in (header.partition(":") for header in headers)]
    return Explainer.of(loaded).explain(described(method, url, pairs, loaded.settings), model)


def refused(document: Any) -> tuple[int, str]:
    return document["refusal"]["status"], document["refusal"]["message"]


def chain(document: Any) -> list[str]:
    """Targets in order, those that are skipped in brackets."""
    return [f"({one['target']})" if one.get("skipped") else one["target"] for one in document["targets"]]


def sends(document: Any) -> list[str]:
    """Where each target's requests go."""
    return [f"{one['urls'][0]} + {one['path']}" for one in document["targets"] if not one["static"]]


def source(told: Any) -> tuple[Any, str]:
    """A value and where it comes from; of what the file sets also the line."""
    return told["value"], f"{told['line']} {told['from']}" if "line" in told else told["from"]
