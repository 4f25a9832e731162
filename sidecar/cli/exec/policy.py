"""The policy of `sidecar exec` without a file: the providers that the environment speaks of.

The program keeps its own credentials: what it sends is passed on, so none stands in
the policy. An address that the environment names is where the calls go on to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.cli.trouble import BAD_USAGE, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider whose SDKs take its address from a variable. They append `below` to it before the call's own path."""

    name: str
    keys: tuple[str, ...]
    """Variables in which SDKs find a credential."""
    address: str
    """The variable with the address …"""
    usual: str
    """… and what it is when nobody says it."""
    below: str
    match: str
    """The route's, in TOML."""


PROVIDERS = (
    Provider("openai", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", "https://api.openai.com/v1", "", '{ path = "/v1/*" }'),
    Provider(
        "anthropic", ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"), "ANTHROPIC_BASE_URL", "https://api.anthropic.com",
        "/v1", '{ path = "/v1/*", headers = { anthropic-version = "*" } }',
    ),
)  # fmt: skip

_HEAD = """\
[listen]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
admin = "127.0.0.1:0"

[telemetry]
log_level = "warning"
access_log = "errors"

# There is no other target to go to: a circuit that opened at half would make half of the calls failing all of them.
[policies.default.circuit_breaker]
failure_rate = 0.9
"""

_PROVIDER = """
[upstreams.{name}]
protocol = "{name}"
url = {url}

[routes.{name}]
match = {match}
chain = ["{name}"]
"""


def spoken_of(environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """The providers with a key or an address in the environment; an empty variable is none."""
    return tuple(one for one in PROVIDERS if any(environ.get(name) for name in (*one.keys, one.address)))


def policy_from(environ: Mapping[str, str]) -> str:
    """The text of a policy file. Raises `Trouble`: the environment speaks of no provider, or its address is none."""
    providers = spoken_of(environ)
    if not providers:
        keys = ", ".join(key for one in PROVIDERS for key in one.keys)
        raise Trouble(f"exec: none of {keys} is set: set one, or name a policy file with -c", BAD_USAGE)
    return _HEAD + "".join(
        _PROVIDER.format(name=one.name, url=quoted(_url(one, environ)), match=one.match) for one in providers
    )


def quoted(text: str) -> str:
    """The text as a TOML string in which `${` stands for itself."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${")
    return '"' + "".join(f"\\u{ord(c):04x}" if c < " " or c == "\x7f" else c for c in escaped) + '"'


def _url(provider: Provider, environ: Mapping[str, str]) -> str:
    from sidecar.settings.texts import check_url
    from sidecar.settings.values import SettingError

    given = environ.get(provider.address) or provider.usual
    try:
        check_url(given, ("http", "https"))
        given.encode()
    except SettingError as error:
        hint = f" (did you mean {error.nearest!r}?)" if error.nearest else ""
        raise Trouble(f"{provider.address}: {error}{hint}", BAD_USAGE) from None
    except UnicodeEncodeError:
        raise Trouble(f"{provider.address}: is not UTF-8", BAD_USAGE) from None
    return given.rstrip("/") + provider.below
