"""Whether OpenAI takes a JSON schema as strict.

Both vendors hold a model to a schema, but OpenAI takes only one in which each object requires all its properties and
allows no others (its guide to structured outputs); it answers 400 to any other. Anthropic's may have optional ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sidecar.llm import Document

_UNSUPPORTED = frozenset(
    {"allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"}
)


def fits_strict(schema: Document) -> bool:
    """Whether it can be sent with `strict`. Any JSON may stand below its top level."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return False
    left: list[Any] = [schema]
    while left:
        node = left.pop()
        if type(node) is not dict or not _UNSUPPORTED.isdisjoint(node):
            return False
        properties = node.get("properties")
        if properties is not None or node.get("type") == "object":
            if type(properties) is not dict or node.get("additionalProperties") is not False:
                return False
            required = node.get("required", [])
            if type(required) is not list or any(name not in required for name in properties):
                return False
            left += properties.values()
        for name in ("$defs", "definitions"):
            definitions = node.get(name, {})
            if type(definitions) is not dict:
                return False
            left += definitions.values()
        choices = node.get("anyOf", [])
        if type(choices) is not list:
            return False
        left += choices
        if "items" in node:
            left.append(node["items"])
    return True
