"""An application with no resilience of its own: it passes a question on to a model, through the sidecar."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

BASE = os.environ["OPENAI_BASE_URL"]
KEY = os.environ["OPENAI_API_KEY"]
PORT = int(os.environ.get("PORT", "8000"))


class Handler(BaseHTTPRequestHandler):
    """`GET /?question`: what the model says."""

    def do_GET(self) -> None:
        question = self.path.partition("?")[2] or "hello"
        body = json.dumps({"model": "smart", "messages": [{"role": "user", "content": question}]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        try:
            with urlopen(Request(f"{BASE}/chat/completions", body, headers), timeout=60) as reply:  # noqa: S310
                status, said = 200, json.load(reply)["choices"][0]["message"]["content"]
        except HTTPError as error:
            status, said = 502, f"the model answers {error.code}"
        except URLError as error:
            status, said = 502, f"there is no sidecar: {error.reason}"
        text = f"{said}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """The sidecar's log has every call."""


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
