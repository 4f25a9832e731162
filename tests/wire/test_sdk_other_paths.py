"""What else the clients can do: responses, legacy completions, embeddings, models, token counts, and any other path."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from sidecar.standins.llm_faults import Fault, Kind
from tests.kit.llm_caller import CLAUDE, GPT
from tests.kit.llm_stage import CLAUDE_FIRST, CLAUDE_ONLY, GPT_FIRST, GPT_ONLY, HI, SAID, stage

EACH = pytest.mark.parametrize(("model", "answers"), [(GPT_ONLY, GPT), (CLAUDE_ONLY, CLAUDE)])
EACH_MODEL = pytest.mark.parametrize("model", [GPT_ONLY, CLAUDE_ONLY])

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = [{"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}]

DOWN = Fault(Kind.STATUS, status=500)


class Person(BaseModel):
    name: str
    age: int


# Responses.


@EACH
async def test_a_whole_response(model: str, answers: str) -> None:
    async with stage() as s:
        response = await s.gpt.responses.create(model=model, input=HI, instructions="Be brief.")
    assert (response.output_text, response.model, response.status) == (SAID, answers, "completed")
    assert response.usage is not None
    assert response.usage.output_tokens == 4
    assert response.usage.total_tokens == response.usage.input_tokens + 4


@EACH
async def test_a_streamed_response(model: str, answers: str) -> None:
    async with stage() as s:
        stream: Any = await s.gpt.responses.create(model=model, input=HI, stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SAID
    last = events[-1]
    assert (last.type, last.response.output_text, last.response.model) == ("response.completed", SAID, answers)
    assert last.response.usage.output_tokens == 4


@EACH_MODEL
async def test_the_clients_helper_puts_a_response_together(model: str) -> None:
    async with stage() as s, s.gpt.responses.stream(model=model, input=HI) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    assert final.output_text == SAID


@EACH_MODEL
async def test_a_response_that_calls_a_function_and_one_that_has_its_result(model: str) -> None:
    async with stage() as s:
        asked: Any = {"model": model, "tools": WEATHER}
        first = await s.gpt.responses.create(input="get_weather in Oslo", **asked)
        [call] = [item for item in first.output if item.type == "function_call"]
        assert call.name == "get_weather"
        assert isinstance(json.loads(call.arguments)["city"], str)
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "3 degrees"}
        turns: Any = [{"role": "user", "content": "get_weather in Oslo"}, call, result]
        second = await s.gpt.responses.create(input=turns, **asked)
    assert second.output_text == "The tool said: 3 degrees"


@EACH_MODEL
async def test_a_structured_response_through_the_parse_helper(model: str) -> None:
    async with stage() as s:
        parsed = await s.gpt.responses.parse(model=model, input=HI, text_format=Person)
    assert isinstance(parsed.output_parsed, Person)


async def test_a_response_falls_back_to_the_other_provider() -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        response = await s.gpt.responses.create(model=GPT_FIRST, input=HI)
        assert (response.output_text, response.model, s.counts) == (SAID, CLAUDE, (3, 1))


async def test_a_response_that_is_kept_by_its_provider_never_leaves_it() -> None:
    async with stage() as s:
        await s.openai.switch(DOWN)
        for more in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}):
            before = s.openai.count
            with pytest.raises(openai.InternalServerError):
                await s.gpt.responses.create(model=GPT_FIRST, input=HI, extra_body=more)
            tries = 1 if "conversation" in more else 3  # a conversation grows with each: it is not asked for twice
            assert (s.openai.count - before, s.anthropic.count) == (tries, 0)


async def test_what_openai_alone_has_goes_to_the_target_that_is_openai() -> None:
    async with stage() as s:
        search: Any = [{"type": "web_search"}]
        response = await s.gpt.responses.create(model=CLAUDE_FIRST, input=HI, tools=search)
        assert (response.model, s.counts) == (GPT, (1, 0))


# Legacy completions, embeddings, moderations.


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_legacy_completion(streamed: bool) -> None:
    async with stage() as s:
        asked: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": HI}
        if not streamed:
            whole = await s.gpt.completions.create(**asked)
            assert (whole.choices[0].text, whole.choices[0].finish_reason, whole.object) == (
                SAID,
                "stop",
                "text_completion",
            )
            return
        stream: Any = await s.gpt.completions.create(stream=True, **asked)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].text for chunk in chunks) == SAID


async def test_embeddings_are_never_translated() -> None:
    more = '[models.vectors]\nchain = ["anthropic/claude-haiku-4-5", "openai/text-embedding-3-small"]\n'
    async with stage(more=more) as s:
        raw = await s.gpt.embeddings.with_raw_response.create(model="vectors", input=["one", "two"])
        vectors = raw.parse()
        assert [vector.index for vector in vectors.data] == [0, 1]
        assert all(isinstance(number, float) for number in vectors.data[0].embedding)
        assert (vectors.model, s.counts) == ("text-embedding-3-small", (1, 0))
        assert raw.headers["x-sidecar-attempts"] == "1"
        with pytest.raises(openai.BadRequestError, match="embeddings is not translated"):
            await s.gpt.embeddings.create(model=CLAUDE_ONLY, input="one")


async def test_moderations_go_to_the_routes_own_chain() -> None:
    async with stage() as s:
        moderation = await s.gpt.moderations.create(input="Hello")
        assert (moderation.results[0].flagged, s.counts) == (False, (1, 0))


# Models.


async def test_the_list_of_models_as_each_client_reads_it() -> None:
    async with stage() as s:
        names = [model.id async for model in s.gpt.models.list()]
        assert names[:4] == [GPT_ONLY, CLAUDE_ONLY, GPT_FIRST, CLAUDE_FIRST]
        assert GPT in names
        others = [model async for model in s.claude.models.list()]
        assert {GPT_ONLY, CLAUDE_ONLY, GPT_FIRST, CLAUDE_FIRST, CLAUDE} <= {model.id for model in others}
        assert all(model.display_name and model.type == "model" for model in others)


async def test_one_model_of_the_file_and_one_of_a_provider() -> None:
    async with stage() as s:
        assert (await s.gpt.models.retrieve(GPT_FIRST)).id == GPT_FIRST
        assert (await s.gpt.models.retrieve(GPT)).owned_by
        assert (await s.claude.models.retrieve(CLAUDE)).id == CLAUDE
        with pytest.raises(openai.NotFoundError):
            await s.gpt.models.retrieve("gpt-none")


# Token counts, and paths that only their own provider knows.


async def test_tokens_are_counted_by_anthropic_alone() -> None:
    async with stage() as s:
        counted = await s.claude.messages.count_tokens(model=CLAUDE, messages=[{"role": "user", "content": HI}])
        assert (counted.input_tokens, s.counts) == (5, (0, 1))


async def test_names_of_the_policy_file_mean_nothing_where_tokens_are_counted() -> None:
    async with stage() as s:
        with pytest.raises(anthropic.NotFoundError, match="model: claude-only"):
            await s.claude.messages.count_tokens(model=CLAUDE_ONLY, messages=[{"role": "user", "content": HI}])
        assert s.counts == (0, 1)


async def test_a_path_that_only_openai_knows_goes_there_as_it_is() -> None:
    async with stage() as s:
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            await s.gpt.files.retrieve("file-1")
        with pytest.raises(openai.NotFoundError):
            await s.gpt.batches.list()
        assert [(one.method, one.path) for one in s.openai.requests] == [
            ("GET", "/v1/files/file-1"),
            ("GET", "/v1/batches"),
        ]


async def test_a_path_that_only_anthropic_knows_goes_there_as_it_is() -> None:
    async with stage() as s:
        with pytest.raises(anthropic.NotFoundError):
            await s.claude.messages.batches.retrieve("msgbatch_1")
        assert [(one.method, one.path) for one in s.anthropic.requests] == [("GET", "/v1/messages/batches/msgbatch_1")]


# One path for three.


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"model": GPT, "messages": [{"role": "user", "content": HI}]}, "/v1/chat/completions"),
        ({"model": "gpt-3.5-turbo-instruct", "prompt": HI}, "/v1/completions"),
        ({"model": "text-embedding-3-small", "input": HI}, "/v1/embeddings"),
    ],
)
async def test_infer_goes_where_its_body_belongs(body: dict[str, Any], path: str) -> None:
    async with stage() as s:
        answer = await s.sidecar.ask("/v1/infer", method="POST", body=json.dumps(body).encode())
        assert (answer.status, s.openai.requests[0].path) == (200, path)
        assert s.openai.requests[0].document == body


async def test_infer_of_a_model_that_claude_answers() -> None:
    body = {"model": CLAUDE_ONLY, "messages": [{"role": "user", "content": HI}]}
    async with stage() as s:
        answer = await s.sidecar.ask("/v1/infer", method="POST", body=json.dumps(body).encode())
        assert json.loads(answer.body)["choices"][0]["message"]["content"] == SAID


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"{", b'{"model": "gpt-4o"}'])
async def test_infer_of_what_is_neither(body: bytes) -> None:
    async with stage() as s:
        answer = await s.sidecar.ask("/v1/infer", method="POST", body=body)
        assert (answer.status, s.counts) == (400, (0, 0))
        assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"
