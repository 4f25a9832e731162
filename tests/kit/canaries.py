"""A secret with a name of its own in every place where there may be one, so that a leak tells where it came from.

Those of the policy file (`CONFIGURED`), those that a caller sends (`SENT`), those that an upstream answers
(`ANSWERED`).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.kit.scripted import CLOSE, RESET, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def canary(name: str) -> str:
    return f"canary-{name}-5eC7eT"


CONFIGURED = (
    "http-token", "admin-token", "literal", "environment", "file", "default", "query", "code", "proxy", "openai",
    "anthropic", "rpc", "match", "redis", "otlp", "static",
)  # fmt: skip
SENT = (
    "caller-authorization", "caller-cookie", "caller-key", "caller-query", "caller-body", "caller-userinfo",
    "caller-wrong-token", "caller-wrong-admin", "caller-metadata", "caller-message", "caller-garbage",
)  # fmt: skip
ANSWERED = (
    "reply-body", "reply-cookie", "reply-reason", "reply-garbage", "reply-error", "reply-event", "reply-location",
)  # fmt: skip
ALL = (*CONFIGURED, *SENT, *ANSWERED)


def forms(name: str) -> Iterator[bytes]:
    """As it stands, and as it may have been written: percent-encoded, in base64 by itself or as a password."""
    text = canary(name)
    yield text.encode()
    yield quote(text, safe="").encode()
    for plain in (text, f"user:{text}", f":{text}"):
        yield base64.b64encode(plain.encode()).rstrip(b"=")


def found_in(told: bytes) -> list[str]:
    """The secrets that stand in it in one form or another."""
    return [name for name in ALL if any(form in told for form in forms(name))]


def policy(folder: Path, url: str, collector: str) -> Path:
    """A policy file with all of `CONFIGURED`, beside it the files that it names. `$CANARY` must be set for it.

    `url` is that of the upstreams, `collector` is where traces go, HOST:PORT.
    """
    (folder / "admin.token").write_text(canary("admin-token") + "\n")
    (folder / "one.key").write_text(canary("file") + "\n")
    (folder / "anthropic.key").write_text(canary("anthropic") + "\n")
    path = folder / "sidecar.toml"
    path.write_text(f"""
[listen]
http = "127.0.0.1:0"
grpc = "127.0.0.1:0"
admin = "127.0.0.1:0"
probe = "127.0.0.1:0"
http_token = "{canary("http-token")}"

[admin]
token = {{ file = "admin.token" }}

[telemetry]
log_level = "debug"
otlp = "http://user:{canary("otlp")}@{collector}"

[redis]
url = "redis://:{canary("redis")}@127.0.0.1:1/0"
share_breakers = true

[limits]
header_timeout = "1s"
drain = "1s"

[policies.default]
retry = {{ tries = 2, backoff = "1ms" }}
timeout = {{ attempt = "2s", connect = "1s" }}

[upstreams.service]
url = "{url}"
headers = {{ X-API-Key = "{canary("literal")}", Authorization = "Bearer ${{CANARY}}", Cookie = {{ file = "one.key" }} }}
default_headers = {{ X-Auth-Token = "{canary("default")}" }}
query = {{ api-key = "{canary("query")}", code = "{canary("code")}" }}

[upstreams.proxied]
url = "http://service.invalid"
proxy = "http://user:{canary("proxy")}@127.0.0.1:1"

[upstreams.openai]
protocol = "openai"
url = "{url}/v1"
api_key = "{canary("openai")}"

[upstreams.anthropic]
protocol = "anthropic"
url = "{url}/v1"
api_key = {{ file = "anthropic.key" }}

[upstreams.rpc]
protocol = "grpc"
url = "grpc://127.0.0.1:1"
headers = {{ authorization = "{canary("rpc")}" }}

[routes.service]
match = {{ path = "/service/*" }}
chain = ["service"]
rate_limit = {{ per_second = 1000, key = "api_key" }}

[routes.few]
match = {{ path = "/few/*" }}
chain = ["service"]
rate_limit = {{ per_hour = 1, key = "header:X-API-Key", store = "redis" }}

[routes.proxied]
match = {{ path = "/proxied/*" }}
chain = ["proxied", "static/sorry"]

[routes.matched]
match = {{ path = "/matched", headers = {{ X-API-Key = "{canary("match")}" }} }}
chain = ["service"]

[routes.rpc]
match = {{ grpc = "canary.*" }}
chain = ["rpc"]

[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai", "anthropic"]

[models.smart]
chain = ["openai/large", "anthropic/large"]

[static.sorry]
status = 503
headers = {{ Set-Cookie = "{canary("static")}" }}
""")
    return path


def mistaken(text: str) -> str:
    """The same file with mistakes where secrets are: what is told of them must not repeat any."""
    wrong = text.replace("tries = 2", 'tries = "${CANARY}"').replace("[limits]", '[limits]\nmax_headers = "${CANARY}"')
    wrong = wrong.replace('http_token = "', 'http_token = "with\\nbreak ')
    return wrong + f'\n[upstreams.more]\nurl = "${{CANARY}}"\napi_keys = "{canary("openai")}"\n'


_EVENTS = "Content-Type: text/event-stream"
_ERROR = json.dumps({"error": {"message": canary("reply-error"), "type": canary("reply-error"), "code": "x"}}).encode()


def _stream(*events: str) -> bytes:
    """A stream of events that breaks off behind them: its connection ends without a last chunk."""
    text = "".join(f"data: {event}\n\n" for event in events).encode()
    head = f"HTTP/1.1 200 OK\r\n{_EVENTS}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n" % (len(text), text)


SERVICE_SAYS = (
    reply("200 OK", f"Set-Cookie: id={canary('reply-cookie')}", body=canary("reply-body").encode()),
    reply(f"500 {canary('reply-reason')}", body=canary("reply-body").encode()),
    reply("401 Unauthorized", f"WWW-Authenticate: Bearer {canary('reply-cookie')}", body=canary("reply-body").encode()),
    reply("429 Too Many Requests", "Retry-After: 0", body=_ERROR),
    reply(
        "302 Found", f"Location: http://user:{canary('reply-location')}@elsewhere.invalid/?{canary('reply-location')}"
    ),
    f"HTTP/1.1 {canary('reply-garbage')}\r\n\r\n".encode(),
    f"HTTP/1.1 200 OK\r\nBad Field {canary('reply-garbage')}\r\n\r\n".encode(),
    f"HTTP/1.1 200 OK\r\nContent-Length: {canary('reply-garbage')}\r\n\r\n".encode(),
    f"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{canary('reply-body')}".encode() + CLOSE,
    RESET,
    CLOSE,
)
"""One after the other; what ends with `CLOSE` is said before the connection ends."""

LLM_SAYS = (
    reply("401 Unauthorized", "Content-Type: application/json", body=_ERROR),
    reply("400 Bad Request", "Content-Type: application/json", body=_ERROR),
    reply("500 Oh", "Content-Type: application/json", body=_ERROR),
    reply("404 Not Found", "Content-Type: application/json", body=_ERROR),
    reply("200 OK", "Content-Type: application/json", body=canary("reply-garbage").encode()),
    _stream(canary("reply-event"), json.dumps({"error": {"message": canary("reply-error")}})) + CLOSE,
    _stream(json.dumps({"choices": [{"delta": {"content": canary("reply-event")}}]})) + CLOSE,
)
