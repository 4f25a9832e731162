"""Decides over HTTP, one after the other. No retry, no breaker, no second address: that is the sidecar's business.

python examples/beamline/decide_http.py --count 20
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from http.client import HTTPConnection

DECIDE = {
    "version": "1",
    "message": {"type": "text.generate", "payload": "Hello, world!", "metadata": {"model": "gpt-4"}},
    "policy_id": "demo-policy",
}


def decide(sidecar: HTTPConnection) -> tuple[int, str, str]:
    """Status, who answered, and what: the provider, or the error's text."""
    headers = {"Content-Type": "application/json", "X-Tenant-ID": "demo"}
    sidecar.request("POST", "/api/v1/routes/decide", json.dumps(DECIDE), headers)
    reply = sidecar.getresponse()
    document = json.load(reply)
    by = reply.headers.get("X-Sidecar-Upstream", "sidecar")
    return reply.status, by, document["provider_id"] if reply.status == 200 else document["error"]["message"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sidecar", default="127.0.0.1:7070", help="its http listener (127.0.0.1:7070)")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two (0.05)")
    asked = parser.parse_args()
    sidecar = HTTPConnection(asked.sidecar, timeout=30)
    tally: Counter[str] = Counter()
    for _ in range(asked.count):
        status, by, said = decide(sidecar)
        print(status, by, said, flush=True)
        tally[f"{status} by {by}"] += 1
        time.sleep(asked.pause)
    print("all in all:", ", ".join(f"{count} times {what}" for what, count in tally.items()))


if __name__ == "__main__":
    main()
