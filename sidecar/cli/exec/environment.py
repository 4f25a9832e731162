"""The environment of a program that `sidecar exec` runs: its own, and where the sidecar is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OPENAI = "OPENAI_BASE_URL"
ANTHROPIC = "ANTHROPIC_BASE_URL"

_NO_PROXY = ("no_proxy", "NO_PROXY")
_NEIGHBOURS = ("127.0.0.1", "localhost")


def environment(
    own: Mapping[str, str], addresses: Mapping[str, str], base_urls: Iterable[str] = (OPENAI, ANTHROPIC)
) -> dict[str, str]:
    """`own` with the listeners' addresses in it. `base_urls` are the variables for SDKs that lead to the sidecar.

    What an SDK's base URL stands for is up to the SDK: OpenAI's holds the version, Anthropic's does not. Whatever
    path the user's own address had, it belongs to the upstream's URL and not to the sidecar's.
    """
    http = f"http://{addresses['http']}"
    values = {OPENAI: f"{http}/v1", ANTHROPIC: http}
    return {
        **own,
        **{name: values[name] for name in base_urls},
        **_past_proxies(own),
        "SIDECAR_HTTP": http,
        "SIDECAR_GRPC": addresses["grpc"],
        "SIDECAR_ADMIN": f"http://{addresses['admin']}",
    }


def _past_proxies(own: Mapping[str, str]) -> dict[str, str]:
    """`NO_PROXY` with this machine in it: SDKs obey `HTTP_PROXY` for loopback too.

    Programs differ in which spelling they prefer, so both are set; one that was not there takes the other's value.
    """
    given = {name: own.get(name) or own.get(other, "") for name, other in zip(_NO_PROXY, _NO_PROXY[::-1], strict=True)}
    return {name: _with_neighbours(value) for name, value in given.items()}


def _with_neighbours(listed: str) -> str:
    entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
    if "*" in entries:  # nothing goes through a proxy; some readers know the sign only when it stands alone
        return listed
    return ",".join([*entries, *(name for name in _NEIGHBOURS if name not in entries)])
