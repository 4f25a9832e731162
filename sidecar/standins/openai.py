"""A stand-in for OpenAI: chat and legacy completions, responses, embeddings, moderations, models, with faults.

python -m sidecar.standins.openai --port 9101 --fault status:status=429,retry_after=3
curl -d '{"kind": "cut", "tokens": 5}' localhost:9101/_fault
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.standins import llm_control, openai_chat, openai_errors, openai_responses, openai_small
from sidecar.standins.llm_answers import Answer, prompt_tokens
from sidecar.standins.llm_faults import Fault, Kind
from sidecar.standins.llm_model import Question, own_answer
from sidecar.standins.llm_provider import ApiError, Provider, Seen
from sidecar.standins.llm_stream import Event, Reply

if TYPE_CHECKING:
    from sidecar.llm import Document
    from sidecar.standins.llm_limits import Left

MODELS = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "o4-mini",
    "gpt-5.6-sol",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
    "omni-moderation-latest",
)
ASKS_A_MODEL = {"/chat/completions", "/completions", "/responses"}
UNLIMITED = 1 << 30


class OpenAIStandin(Provider):
    """OpenAI on one port. The SDK's `base_url` is `api`; so is the `url` of an upstream in a policy file.

    Paths are known with `/v1` before them and without, and below `/openai/deployments/NAME`, as Azure has them; the
    key may come as Bearer or as `api-key`.
    """

    dialect = "openai"

    def known_models(self) -> tuple[str, ...]:
        return MODELS

    def speaks(self, seen: Seen) -> bool:
        return seen.method == "POST" and operation(seen.path) in ASKS_A_MODEL

    def error(self, status: int, code: str, model: str) -> ApiError:
        return openai_errors.error(status, code, model)

    def refusal(self, error: ApiError) -> Reply:
        return openai_errors.refusal(error)

    def error_event(self, error: ApiError, seen: Seen) -> Event:
        if operation(seen.path) == "/responses":
            return openai_responses.error_event(error)
        return Event(openai_errors.document(error))

    def headers(self, left: Left, seconds: float) -> dict[str, str]:
        return {
            "x-request-id": f"req_{self.name}_{self.count}",
            "openai-organization": "org-stand-in",
            "openai-version": "2020-10-01",
            "openai-processing-ms": str(max(1, round(seconds * 1000))),
            "x-ratelimit-limit-requests": str(left.limit_requests),
            "x-ratelimit-limit-tokens": str(left.limit_tokens),
            "x-ratelimit-remaining-requests": str(left.requests),
            "x-ratelimit-remaining-tokens": str(left.tokens),
            "x-ratelimit-reset-requests": duration(left.reset),
            "x-ratelimit-reset-tokens": duration(left.reset),
        }

    def reply(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        self._admit(seen)
        path = operation(seen.path)
        if seen.method == "GET" and path == "/models":
            return Reply(body={"object": "list", "data": [openai_small.model(name) for name in self.models]})
        if seen.method == "GET" and path.startswith("/models/"):
            return Reply(body=openai_small.model(self._known(path.removeprefix("/models/"))))
        operations = {
            "/chat/completions": self._chat,
            "/completions": self._completion,
            "/responses": self._response,
            "/embeddings": self._embeddings,
            "/moderations": self._moderations,
        }
        if path not in operations:
            raise ApiError(404, openai_errors.REQUEST, f"Invalid URL ({seen.method} {seen.path})")
        if seen.method != "POST":
            message = f"Not allowed to {seen.method} on {seen.path} (HINT: Perhaps you meant to use POST?)"
            raise ApiError(405, openai_errors.REQUEST, message, "method_not_supported")
        if not isinstance(seen.body, dict):
            raise self.error(400, "", "")
        return operations[path](seen, scripted, fault)

    def _admit(self, seen: Seen) -> None:
        given = seen.header("authorization").removeprefix("Bearer ") or seen.header("api-key")
        if self.key and given != self.key:
            raise self.error(401, "", "")

    def _known(self, name: str) -> str:
        if not name:
            raise ApiError(400, openai_errors.REQUEST, "you must provide a model parameter")
        if self.models and name not in self.models:
            raise self.error(404, "", name)
        return name

    def _head(self, kind: str, model: str) -> Document:
        return {"id": f"{kind}-{self.name}-{self.count}", "created": int(self.clock()), "model": model}

    def _ids(self, answer: Answer) -> list[str]:
        return [call.id or f"call_{self.name}_{self.count}_{at}" for at, call in enumerate(answer.tools)]

    def _model(self, seen: Seen) -> str:
        if "/deployments/" in seen.path:
            return self._known(seen.path.partition("/deployments/")[2].partition("/")[0])
        return self._known(seen.model)

    def _chat(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        asked = seen.document
        head = self._head("chatcmpl", self._model(seen))
        messages = openai_chat.messages_of(asked)
        if not messages:
            raise missing("messages")
        openai_chat.check_tools(messages)
        limit = number(asked.get("max_completion_tokens"), number(asked.get("max_tokens"), UNLIMITED))
        answer = self.said(scripted, lambda: own_answer(openai_chat.question(asked)), limit, stops(asked))
        spoilt(self.swollen(answer, fault), fault)
        came = prompt_tokens((openai_chat.text_of(one.get("content")) for one in messages), len(messages))
        cost = answer.cost(came)
        choices, ids = number(asked.get("n"), 1), self._ids(answer)
        told = openai_chat.usage(answer, cost)
        if asked.get("stream") is True:
            shown = told if wants_usage(asked) else None
            events = openai_chat.stream(head, answer, ids, shown, choices)
            return Reply(events=events, usage=told)
        return Reply(body=finished(openai_chat.whole(head, answer, ids, cost, choices), fault))

    def _completion(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        asked = seen.document
        head = self._head("cmpl", self._model(seen))
        if "prompt" not in asked:
            raise missing("prompt")
        texts = openai_small.prompts(asked)
        question = Question(text=" ".join(texts))
        answer = self.said(scripted, lambda: own_answer(question), number(asked.get("max_tokens"), 16), stops(asked))
        self.swollen(answer, fault)
        cost = answer.cost(prompt_tokens(texts, 0))
        choices = number(asked.get("n"), 1) * len(texts)
        if asked.get("stream") is True:
            told = openai_small.short_usage(cost)
            shown = told if wants_usage(asked) else None
            return Reply(events=openai_small.completion_stream(head, answer, shown, choices), usage=told)
        return Reply(body=finished(openai_small.completion(head, answer, cost, choices), fault))

    def _response(self, seen: Seen, scripted: Answer | None, fault: Fault) -> Reply:
        asked = seen.document
        model = self._model(seen)
        if not asked.get("input"):
            raise missing("input")
        limit = number(asked.get("max_output_tokens"), UNLIMITED)
        answer = self.said(scripted, lambda: own_answer(openai_responses.question(asked)), limit, ())
        self.swollen(answer, fault)
        cost = answer.cost(prompt_tokens(openai_responses.texts(asked), 1))
        made = openai_responses.Made(f"{self.name}_{self.count}", model, int(self.clock()), asked, answer, cost)
        if asked.get("stream") is True:
            return Reply(events=made.stream(), usage=made.usage)
        return Reply(body=made.whole())

    def _embeddings(self, seen: Seen, _: Answer | None, __: Fault) -> Reply:
        model = self._model(seen)
        if not openai_small.inputs(seen.document):
            raise missing("input")
        return Reply(body=openai_small.embeddings(seen.document, model))

    def _moderations(self, seen: Seen, _: Answer | None, __: Fault) -> Reply:
        model = self._known(seen.model or "omni-moderation-latest")
        return Reply(body=openai_small.moderations(seen.document, f"modr-{self.name}-{self.count}", model))


def operation(path: str) -> str:
    """The path below its prefix."""
    if path.startswith("/openai/deployments/"):
        return "/" + path.removeprefix("/openai/deployments/").partition("/")[2]
    return path.removeprefix("/openai").removeprefix("/v1")


def spoilt(answer: Answer, fault: Fault) -> None:
    if fault.kind is Kind.STOP_WITH_TOOLS:
        answer.stop = "stop"


def finished(document: Document, fault: Fault) -> Document:
    if fault.kind is Kind.NO_FINISH:
        for choice in document["choices"]:
            choice["finish_reason"] = None
    return document


def missing(name: str) -> ApiError:
    message = f"Missing required parameter: '{name}'."
    return ApiError(400, openai_errors.REQUEST, message, "missing_required_parameter", name)


def wants_usage(document: Document) -> bool:
    options = document.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and value > 0 else otherwise


def stops(document: Document) -> list[str]:
    given = document.get("stop")
    return [given] if isinstance(given, str) else [str(one) for one in given] if isinstance(given, list) else []


def duration(seconds: float) -> str:
    """As OpenAI writes one: `12ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(seconds // 60)}m{int(seconds % 60)}s"


async def serve(host: str = "127.0.0.1", port: int = 0) -> OpenAIStandin:
    """One that has started."""
    provider = OpenAIStandin(host=host, port=port)
    await provider.start()
    return provider


def main() -> None:
    """`python -m sidecar.standins.openai`."""
    llm_control.run(OpenAIStandin)


if __name__ == "__main__":
    main()
