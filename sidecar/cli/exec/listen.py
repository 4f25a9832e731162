"""Where the sidecar of `sidecar exec` listens: on free loopback ports, whatever its policy file says.

The file's own addresses may be in use by a `sidecar run`, and the program is told
where to call. It calls plain HTTP, which never leaves the machine: TLS is switched
off. What decides who may call is another matter. The program sends neither a token
nor a certificate, and to ask for none would let every local user spend the file's
keys, which its owner did not want: such a file is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sidecar.config.places import line_of
from sidecar.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from sidecar.config import Loaded

FREE = "127.0.0.1:0"
_TLS = ("http_tls", "grpc_tls", "admin_tls")


def on_free_ports(loaded: Loaded) -> Loaded:
    """The same policy with other listeners. Raises `ConfigError` for one whose callers must show a credential."""
    listen = loaded.settings.listen
    places = [("listen", name, "client_ca") for name in _TLS if (tls := getattr(listen, name)) and tls.client_ca]
    asked = [*([("listen", "http_token")] if listen.http_token else []), *places]
    if asked:
        problem = "is asked of callers, and a program under `sidecar exec` does not send it"
        raise ConfigError(
            [
                Mistake(str(loaded.path), line_of(place, dict(loaded.lines)), ".".join(place), problem, allowed="unset")
                for place in asked
            ],
            files=loaded.files,
        )
    ours = {"http": FREE, "grpc": FREE, "admin": FREE, "probe": "", **dict.fromkeys(_TLS)}
    return replace(loaded, settings=loaded.settings.model_copy(update={"listen": listen.model_copy(update=ours)}))
