"""`sidecar schema`: the JSON Schema of the policy file, for editors."""

from __future__ import annotations


def schema() -> int:
    """Prints it. Exit code 0."""
    import json

    from sidecar.settings.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
