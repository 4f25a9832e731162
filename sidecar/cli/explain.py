"""`sidecar explain METHOD URL`: what a call would meet by a policy file, each value with the line that says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.mistakes import policy
from sidecar.cli.output import aligned, print_json, print_line
from sidecar.cli.trouble import BAD_USAGE, NOT_WELL, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]
Row = tuple[str, str, str]

_SWITCHED = {"rate_limit", "concurrency", "circuit_breaker"}
"""Tables that may be off."""
_OFF_AT_ZERO = ("deadline", "timeout.", "circuit_breaker.slow_call")
_ON_GRPC = {"grpc", "router"}
"""Protocols whose answers have codes instead of statuses."""


def explain(
    method: str,
    url: str,
    *,
    headers: Sequence[str] = (),
    model: str | None = None,
    config: str | None = None,
    as_json: bool = False,
) -> int:
    """Exit code 0 when the call would be served, 1 when it would be refused, 2 for a bad file or no such request."""
    from sidecar.described import described
    from sidecar.errors import InvalidRequest
    from sidecar.explaining import Explainer

    pairs = [_header(header) for header in headers]
    loaded = policy(config, as_json=as_json)
    if loaded is None:
        return BAD_USAGE
    try:
        call = described(method.upper(), url, pairs, loaded.settings)
    except InvalidRequest as wrong:
        raise Trouble(wrong.message, BAD_USAGE) from None
    document = Explainer.of(loaded).explain(call, model or "")
    if as_json:
        print_json(document)
    else:
        for line, style in lines(document):
            print_line(line, style)
    return 0 if document["refusal"] is None else NOT_WELL


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise Trouble(f"{text!r} is no header: it is 'Name: value'", BAD_USAGE)
    return name, value


def lines(document: Json) -> Iterator[tuple[str, str]]:
    """Lines for people, with their styles: what is asked, where it goes, and then the values."""
    yield _asked(document["request"]), "bold"
    route, chain, targets = document["route"], document["chain"], document["targets"]
    if route is not None:
        yield f"route  {route['name']}  ({_source(route)})", ""
    if document["refusal"] is not None:
        yield _refused(document["refusal"]), "bold red"
    if chain is not None:
        yield f"chain  {_chain(chain, document)}  ({_source(chain)})", ""
        rows = [(f"  {number}", one["target"], _sent(one)) for number, one in enumerate(targets, 1)]
        yield from ((line, "") for line in (aligned(rows) if rows else ()))
    for note in document["notes"]:
        yield f"note   {note}", "yellow"
    if chain is None:
        return
    yield "", ""
    yield f"route {route['name']}", "bold"
    yield from _values(rows_of(document["policy"]))
    yield from _of_targets(targets)


def _of_targets(targets: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """The values of each target that can be tried; of a later one only what differs."""
    first: dict[str, Row] = {}
    first_number = 0
    for number, target in enumerate(targets, 1):
        if target["static"] or target["skipped"]:
            continue
        idle = "retry.statuses" if target["protocol"] in _ON_GRPC else "retry.grpc_codes"
        rows = {row[0]: row for row in rows_of(target["policy"]) if row[0] != idle}
        other = [row for row in rows.values() if _says(first.get(row[0])) != _says(row)]
        head = f"target {number}  {target['target']}"
        yield "", ""
        if not first or rows.keys() != first.keys():
            yield head, "bold"
            yield from _values(list(rows.values()))
        elif other:
            yield f"{head}  as target {first_number}, but", "bold"
            yield from _values(other)
        else:
            yield f"{head}  as target {first_number}", "bold"
        if not first:
            first, first_number = rows, number


def _says(row: Row | None) -> Row | None:
    """Of two protocols that give the same value each counts for its own target."""
    return (*row[:2], "protocol") if row is not None and row[2].startswith("protocol ") else row


def _values(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    for line in aligned(rows):
        yield f"  {line}", ""


def rows_of(policy: Mapping[str, Json], above: str = "") -> list[Row]:
    """Key, value and where it comes from."""
    rows = []
    for name, told in policy.items():
        key = f"{above}{name}"
        if "from" in told and "value" in told:
            rows.append((key, _value(key, told), _source(told)))
        else:
            rows += rows_of(told, f"{key}.")
    return rows


def _value(key: str, told: Json) -> str:
    from sidecar.settings.written import duration, size

    value, unit = told["value"], told.get("unit")
    if key in _SWITCHED and value is False:
        return "off"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str):
        return value
    if unit == "s":
        return "off" if not value and key.startswith(_OFF_AT_ZERO) else duration(value)
    return str(size(value)) if unit == "bytes" else f"{value:g}" if isinstance(value, float) else str(value)


def _source(told: Json) -> str:
    if "line" not in told:
        return str(told["from"])
    file, here = Path(told["file"]), Path.cwd()
    near = file.relative_to(here) if file.is_relative_to(here) else file
    return f"{near}:{told['line']} {told['from']}"


def _asked(request: Json) -> str:
    said = f"{request['method']} {request['target']}  at {request['host']}"
    if request["wire"] == "grpc":
        said = f"GRPC {request['target'].removeprefix('/')}"
    return said + (f", model {request['model']}" if request["model"] else "")


def _refused(refusal: Json) -> str:
    return f"refused with {refusal.get('status') or refusal['grpc_code']} {refusal['code']}: {refusal['message']}"


def _chain(chain: Json, document: Json) -> str:
    by = chain["by"]
    if by == "list":
        return f"none: the sidecar answers with the names in [models] and what {', '.join(chain['asks'])} list"
    if by == "model":
        return f"of the model {document['llm']['model']}"
    return "by weight, then in this order" if by == "traffic" else "of the route"


def _sent(target: Json) -> str:
    if target["static"]:
        return "answers whatever came before"
    if target["skipped"]:
        return f"skipped, {target['skipped']}"
    share = f"{100 * target['share']:.3g} %, " if "share" in target else ""
    url, *more = target["urls"]
    at = _joined(str(url), target["path"])
    further = f" and {len(more)} more" if more else ""
    breaker = f", breaker {target['breaker']}" if target["breaker"] else ""
    return f"{share}{at}{further}{breaker}"


def _joined(url: str, path: str) -> str:
    """As it is sent: the path stands behind that of the URL, which a slash at its end does not double."""
    return f"{url} {path}" if url.startswith("unix:") else url.removesuffix("/") + path
