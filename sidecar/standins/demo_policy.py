"""The policy file of `sidecar demo`. `$names` are filled in when the demo starts."""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY = Template("""\
[listen]
http = "$http"
admin = "$admin"
grpc = "$rpc"

[telemetry]
access_log = false             # the demo tells its own story
log_level  = "error"
log_format = "console"

[limits]
linger = "0s"                  # Ctrl-C ends it at once

[upstreams.steady]             # answers well
url = "$steady"

[upstreams.flaky]              # every second answer is a 500
url = "$flaky"
circuit_breaker = { failure_rate = 0.9 }

[upstreams.slow]               # takes three seconds; nobody here waits longer than 0.4
url = "$slow"
timeout = { attempt = "400ms" }
circuit_breaker = { failure_threshold = 3 }

[upstreams.gone]               # nobody listens there
url = "$gone"

[upstreams.moody]              # well, then unwell, then well again
url = "$moody"
circuit_breaker = { failure_threshold = 3, recovery_first = "1s", recovery_timeout = "4s" }

[routes.steady]
match = { path = "/steady/*" }
chain = ["steady"]

[routes.flaky]
match = { path = "/flaky/*" }
chain = ["flaky"]

[routes.slow]
match = { path = "/slow/*" }
chain = ["slow", "steady"]

[routes.gone]
match = { path = "/gone/*" }
chain = ["gone", "steady"]

[routes.chain]
match = { path = "/chain/*" }
chain = ["gone", "slow", "static/sorry"]

[routes.limited]
match = { path = "/limited/*" }
chain = ["steady"]
rate_limit = { per_minute = 30, burst = 3, key = "ip" }

[routes.moody]
match = { path = "/moody/*" }
chain = ["moody"]
retry = { tries = 1 }          # so that the breaker is seen alone

[upstreams.c-gateway]          # takes decides over HTTP
protocol = "c-gateway"
url = "$gateway"
circuit_breaker = { recovery_first = "1s", recovery_timeout = "4s" }

[upstreams.router]             # takes them over gRPC
protocol = "router"
url = "$router"
circuit_breaker = { recovery_first = "1s", recovery_timeout = "4s" }

[routes.decide]
match = { path = "/api/v1/routes/decide", methods = ["POST"] }
chain = ["c-gateway", "router"]
idempotent = true

[routes.rpc]
match = { grpc = "beamline.flow.v1.*" }
chain = ["router", "c-gateway"]

[upstreams.openai]             # an LLM provider, and faulty
protocol = "openai"
url = "$openai"
api_key = "sk-demo"
circuit_breaker = { failure_rate = 0.9 }

[upstreams.anthropic]          # another one, of the other dialect
protocol = "anthropic"
url = "$anthropic"
api_key = "sk-demo"

[upstreams.small]              # two requests in three seconds
protocol = "openai"
url = "$small"

[routes.openai]                # OpenAI's clients
match = { path = "/v1/*" }
chain = ["openai"]
on_break = "continue"
retry = { tries = 1 }

[routes.anthropic]             # Anthropic's
match = { path = "/v1/*", headers = { anthropic-version = "*" } }
chain = ["anthropic"]
on_break = "continue"
retry = { tries = 1 }

[models.smart]
chain = ["openai/gpt-4o", { upstream = "anthropic", model = "claude-haiku-4-5", prefill = true }]

[models.small]
chain = ["small/tiny", "anthropic/claude-haiku-4-5"]

[static.sorry]
status = 200
headers = { content-type = "application/json" }
body = '{"service": "static/sorry", "note": "all are away: this answer stands in the policy file"}'
""")


def policy(http: str, rpc: str, admin: str, urls: Mapping[str, str]) -> str:
    """The text, with where the sidecar listens and the upstreams' URLs by name."""
    return POLICY.substitute(urls, http=http, rpc=rpc, admin=admin)
