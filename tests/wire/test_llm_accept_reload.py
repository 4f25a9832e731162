"""A credential that a provider refused is changed in the file: the provider is asked again at once."""

from __future__ import annotations

import json

from tests.kit.running import running
from tests.kit.scripted import reply, scripted

JSON = "Content-Type: application/json"
REFUSED = reply("401 Unauthorized", JSON, body=b'{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}')
SAID = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
}
ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


def policy(url: str, key: str) -> str:
    return f"""
[upstreams.openai]
protocol = "openai"
url = "{url}/v1"
api_key = "{key}"
[routes.llm]
match = {{ path = "/v1/*" }}
chain = ["openai"]
"""


async def test_a_new_key_does_not_rest_for_what_the_old_one_did() -> None:
    said = reply("200 OK", JSON, body=json.dumps(SAID).encode())
    async with scripted(REFUSED, said) as provider, running(policy(provider.url, "sk-old")) as sidecar:
        seen = []
        for key in ("", "sk-old", "sk-new"):
            if key:
                sidecar.file.write_text(sidecar.file.read_text().replace("sk-old", key) + "\n")
                await sidecar.daemon.reload()
            answer = await sidecar.ask("/v1/chat/completions", JSON, method="POST", body=ASKED)
            seen.append((answer.status, answer.fields["x-sidecar-attempts"]))
        assert seen == [(502, "1"), (502, "0"), (200, "1")]
        assert provider.fields()["authorization"] == "Bearer sk-new"
