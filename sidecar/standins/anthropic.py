"""A stand-in for Anthropic: messages, their token counts, models, with faults.

python -m sidecar.standins.anthropic --port 9102 --fault status:status=529
curl -d '{"kind": "stall", "tokens": 5, "delay": 30}' localhost:9102/_fault
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sidecar.standins import anthropic_checks, anthropic_errors, anthropic_messages, llm_control
from sidecar.standins.anthropic_errors import wrong
from sidecar.standins.llm_answers import Answer, Thinking, prompt_tokens, sealed
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.llm_model import own_answer
from sidecar.standins.llm_provider import ApiError, Provider, Seen
from sidecar.standins.llm_stream import Event, Reply

if TYPE_CHECKING:
    from sidecar.llm import Document
    from sidecar.standins.llm_limits import Left

MODELS = (
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-sonnet-4-20250514",
    "claude-3-5-haiku-20241022",
)
VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")


class AnthropicStandin(Provider):
    """Anthropic on one port, made as any `Provider`. The SDK's `base_url` is `url`; the `url` of an upstream in a
    policy file is `api`.

    `prefills`: whether a last message of the assistant is continued; newer models refuse it.
    """

    dialect = "anthropic"

    def __init__(self, *given: Any, prefills: bool = True, **named: Any) -> None:
        super().__init__(*given, **named)
        self.prefills = prefills
        self._signed: set[tuple[str, str]] = set()

    def known_models(self) -> tuple[str, ...]:
        return MODELS

    def speaks(self, seen: Seen) -> bool:
        return seen.method == "POST" and seen.path == "/v1/messages"

    def error(self, status: int, code: str, model: str) -> ApiError:
        return anthropic_errors.error(status, code, model)

    def refusal(self, error: ApiError) -> Reply:
        return Reply(error.status, anthropic_errors.document(error, self._request_id))

    def error_event(self, error: ApiError, seen: Seen) -> Event:  # noqa: ARG002  (the same on all paths)
        return Event(anthropic_errors.document(error, self._request_id), "error")

    def headers(self, left: Left, seconds: float) -> dict[str, str]:  # noqa: ARG002  (is not told)
        resets = dt.datetime.fromtimestamp(self.clock() + left.reset, dt.UTC)
        kinds = {
            "requests": (left.limit_requests, left.requests),
            "tokens": (left.limit_tokens, left.tokens),
            "input-tokens": (left.limit_tokens, left.tokens),
            "output-tokens": (left.limit_tokens, left.tokens),
        }
        told = {"request-id": self._request_id, "anthropic-organization-id": "00000000-0000-4000-8000-00005741d111"}
        for kind, (limit, remaining) in kinds.items():
            told[f"anthropic-ratelimit-{kind}-limit"] = str(limit)
            told[f"anthropic-ratelimit-{kind}-remaining"] = str(remaining)
            told[f"anthropic-ratelimit-{kind}-reset"] = resets.strftime("%Y-%m-%dT%H:%M:%SZ")
        return told

    @property
    def _request_id(self) -> str:
        return f"req_{self.name}_{self.count}"

    def reply(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        self._admit(seen)
        if seen.path == "/v1/models" or seen.path.startswith("/v1/models/"):
            return Reply(body=self._models(seen.path.removeprefix("/v1/models").strip("/")))
        operations = {"/v1/messages": self._message, "/v1/messages/count_tokens": self._count}
        if seen.path not in operations:
            raise ApiError(404, "not_found_error", "Not found")
        if seen.method != "POST":
            raise ApiError(405, anthropic_errors.REQUEST, "Method Not Allowed")
        if not isinstance(seen.body, dict):
            raise wrong("The request body is not valid JSON")
        return operations[seen.path](seen, scripted, fault)

    def _admit(self, seen: Seen) -> None:
        given = seen.header("x-api-key") or seen.header("authorization").removeprefix("Bearer ")
        if self.key and given != self.key:
            raise self.error(401, "", "")
        version = seen.header("anthropic-version")
        if not version:
            raise wrong("anthropic-version: header is required")
        if version not in VERSIONS:
            raise wrong(f'anthropic-version: "{version}" is not a valid version')

    def _known(self, name: str) -> str:
        if not name:
            raise wrong("model: Field required")
        if self.models and name not in self.models:
            raise self.error(404, "", name)
        return name

    def _message(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        asked = seen.document
        model = self._known(seen.model)
        anthropic_checks.check(asked, self._issued, seen.header("anthropic-version"))
        if asked["messages"][-1]["role"] == "assistant" and not self.prefills:
            raise wrong(
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
        answer = self.said(
            scripted,
            lambda: own_answer(anthropic_messages.question(asked)),
            asked["max_tokens"],
            asked.get("stop_sequences") or (),
        )
        self._issue(answer)
        if fault.kind is Kind.STOP_WITH_TOOLS:
            answer.stop = "end_turn"
        self.swollen(answer, fault)
        ids = [call.id or f"toolu_{self.name}_{self.count}_{at}" for at, call in enumerate(answer.tools)]
        cost = answer.cost(prompt_tokens(anthropic_messages.texts(asked), len(asked["messages"])))
        told = anthropic_messages.usage(answer, cost)
        thinking = asked.get("thinking")
        omitted = isinstance(thinking, dict) and thinking.get("display") == "omitted"
        head = anthropic_messages.message(f"msg_{self.name}_{self.count}", model, [], told)
        if asked.get("stream") is True:
            return Reply(events=anthropic_messages.stream(head, answer, ids, told, omitted=omitted), usage=told)
        why = {} if fault.kind is Kind.NO_FINISH else anthropic_messages.why(answer)
        return Reply(body={**head, "content": anthropic_messages.content(answer, ids, omitted=omitted), **why})

    def _count(self, seen: Seen, _: Answer | None, __: Fault) -> Reply:
        asked = seen.document
        self._known(seen.model)
        anthropic_checks.check(asked, self._issued, seen.header("anthropic-version"), counted=True)
        return Reply(body={"input_tokens": prompt_tokens(anthropic_messages.texts(asked), len(asked["messages"]))})

    def _issue(self, answer: Answer) -> None:
        """Remember what a test has signed in its own way."""
        for part in answer.parts:
            if isinstance(part, Thinking) and part.signature:
                self._signed.add((part.text, part.signature))

    def _issued(self, thinking: str, signature: str) -> bool:
        return (thinking, signature) in self._signed or sealed(thinking, signature)

    def _models(self, name: str) -> Document:
        if name:
            return model(self._known(name))
        listed = [model(one) for one in self.models]
        ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]} if listed else {}
        return {"data": listed, "has_more": False, "first_id": None, "last_id": None, **ends}


def model(name: str) -> Document:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": "2025-05-14T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


async def serve(host: str = "127.0.0.1", port: int = 0) -> AnthropicStandin:
    """One that has started."""
    provider = AnthropicStandin(host=host, port=port)
    await provider.start()
    return provider


def main() -> None:
    """`python -m sidecar.standins.anthropic`."""
    llm_control.run(AnthropicStandin)


if __name__ == "__main__":
    main()
