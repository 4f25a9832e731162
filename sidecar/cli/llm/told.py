"""What the sidecar tells of an answer, in its headers and its refusals, for people and for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sidecar.cli.llm.conversation import KEY_VARIABLE
from sidecar.cli.output import harmless, lasting
from sidecar.dialects.llm_error_reading import read_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.cli.llm.answers import Answer
    from sidecar.dialects.llm_error_reading import LlmError
    from sidecar.llm import Usage

_OURS = "x-sidecar-"
_NUMBERS = frozenset({"attempts", "config"})
_FIRST = ("route", "upstream", "model", "attempts", "dropped", "request-id")
"""In the order in which people ask for them."""

_IN_WORDS = {
    "circuit_open": "no target may be asked, their circuit breakers are open (see sidecar circuits)",
    "rate_limited": "too many calls by a limit of the policy file, or every target rests",
    "overloaded": "the sidecar or its way to the provider is full",
    "draining": "the sidecar is shutting down",
    "no_route": "no route of the sidecar takes this call",
    "not_translatable": "no target can carry this call",
    "upstream_connect_failed": "no provider could be reached",
    "upstream_reset": "the provider broke the connection",
    "upstream_protocol_error": "the provider's answer could not be read",
    "upstream_auth_failed": "the provider refuses the key of the policy file",
    "deadline_exceeded": "no answer came in time",
    "forbidden_token": "the sidecar asks its callers for a token ($SIDECAR_HTTP_TOKEN)",
}
"""The sidecar's own refusals; words of its own stand behind."""


def told(fields: Mapping[str, str]) -> dict[str, Any]:
    """The sidecar's headers by their names without `x-sidecar-`, numbers as numbers, lists as lists."""
    headers = {name.removeprefix(_OURS): value for name, value in fields.items() if name.startswith(_OURS)}
    found: dict[str, Any] = {
        name.replace("-", "_"): int(headers[name]) if headers[name].isdecimal() and name in _NUMBERS else headers[name]
        for name in (*_FIRST, *sorted(headers.keys() - set(_FIRST)))
        if name in headers
    }
    if "dropped" in found:
        found["dropped"] = found["dropped"].split(", ")
    wait = again_in(fields)
    if wait is not None:
        found["retry_after"] = wait
    return found


def head_lines(status: int, fields: Mapping[str, str]) -> list[str]:
    """Those headers for `-v`, behind the status."""
    pairs = told(fields).items()
    words = [(key.replace("_", " "), ", ".join(value) if isinstance(value, list) else value) for key, value in pairs]
    return [f"< {status}", *(f"< {harmless(f'{name}: {value}')}" for name, value in words)]


def cost_lines(answer: Answer) -> list[str]:
    """What only the end can tell, for `-v`."""
    lines = [f"< first byte: {answer.first_byte:.3f} s", f"< total: {answer.total:.3f} s"]
    if answer.usage is not None:
        lines.append(f"< tokens: {answer.usage.input} in, {answer.usage.output} out")
    return lines


def by(answer: Answer) -> str:
    """`by openai/gpt-4o, 2 attempts, 840.0 ms, 512 tokens`."""
    fields = answer.fields
    upstream, model = fields.get("x-sidecar-upstream", ""), fields.get("x-sidecar-model") or answer.model
    parts = [f"by {'/'.join(filter(None, (upstream, model))) or 'whom nobody says'}"]
    attempts = fields.get("x-sidecar-attempts", "")
    if attempts:
        parts.append(f"{attempts} attempt{'s' * (attempts != '1')}")
    parts.append(lasting(answer.total))
    if answer.usage is not None:
        parts.append(f"{answer.usage.total} token{'s' * (answer.usage.total != 1)}")
    return harmless(", ".join(parts))


def usage_document(usage: Usage | None) -> dict[str, int] | None:
    return None if usage is None else {"input": usage.input, "output": usage.output, "cached": usage.cached}


def refusal(status: int, fields: Mapping[str, str], body: bytes) -> str:
    """An error answer in words."""
    ours = fields.get("proxy-status", "").startswith("sidecar")
    return in_words(read_error(status, body), fields, ours=ours)


def why(answer: Answer) -> str:
    """What is wrong with an answer that is none."""
    assert answer.error is not None, "only asked of an answer that has one"
    text = in_words(answer.error, answer.fields, ours=answer.ours)
    if answer.status in {401, 403} and not answer.ours:
        return f"{text}. Is the key right (-k, ${KEY_VARIABLE[answer.dialect]})?"
    return text


def in_words(error: LlmError, fields: Mapping[str, str], *, ours: bool) -> str:
    """`why it is, again in 5 s: its own message (503 circuit_open)`; whose words they are is said of a provider's."""
    known = _IN_WORDS.get(error.code)
    if known is None or not (ours or error.code.startswith("upstream_")):
        upstream = fields.get("x-sidecar-upstream", "")
        known = "" if ours or not (upstream and (error.code or error.type)) else f"{upstream} says"
    wait = again_in(fields)
    if wait is not None:
        known = f"{known}, again in {wait:g} s" if known else f"again in {wait:g} s"
    name = " ".join(filter(None, (str(error.status or ""), error.code or error.type)))
    message = error.message.rstrip(".") if name else error.message
    return harmless(f"{f'{known}: ' if known else ''}{message}{f' ({name})' if name else ''}")


def again_in(fields: Mapping[str, str]) -> float | None:
    """Seconds until it makes sense to come back, as far as a number says so."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(fields.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return round(seconds, 1)
    return None
