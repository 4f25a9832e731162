"""OpenAI's own client against the operations that are no conversation."""

from __future__ import annotations

import math

from sidecar.standins.openai import OpenAIStandin
from sidecar.standins.openai_small import embedding
from tests.kit.llm_caller import GPT, bytes_of, openai_client


async def test_what_is_no_chat_works_too() -> None:
    async with openai_client(OpenAIStandin()) as caller:
        legacy = await caller.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon")
        assert legacy.choices[0].text == "You said: Once upon"
        stream = await caller.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == "You said: Once"
        # The client asks for base64 and decodes it; asked for numbers, it gets the same ones.
        packed = await caller.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=8)
        plain = await caller.embeddings.create(
            model="text-embedding-3-small", input=["a", "b"], dimensions=8, encoding_format="float"
        )
        assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data]
        assert len(packed.data[0].embedding) == 8
        verdict = await caller.moderations.create(input=["I kill time", "hello"])
        assert [one.flagged for one in verdict.results] == [True, False]
        listed = [model.id async for model in await caller.models.list()]
        assert GPT in listed
        assert (await caller.models.retrieve(GPT)).owned_by == "system"


def test_an_embedding_has_length_1_and_is_the_same_for_the_same_text() -> None:
    assert math.isclose(math.hypot(*embedding("hello", 1536)), 1, rel_tol=1e-5)
    assert embedding("hello", 4) == embedding("hello", 4) != embedding("hallo", 4)


async def test_a_legacy_completion_has_a_choice_for_each_prompt_and_a_limit_of_16() -> None:
    asked = {"model": GPT, "prompt": ["a b c d e f g h", "i j k l m n o p q"], "stream": True}
    usage = {"stream_options": {"include_usage": True}}
    async with OpenAIStandin() as provider:
        chunks, _ = (await bytes_of(provider, {**asked, **usage}, "/v1/completions")).chunks
    assert chunks[0].startswith(b'data: {"id":"cmpl-openai-1"')
    assert sum(b'"finish_reason":"length"' in chunk for chunk in chunks) == 2
    assert b'"choices":[],"usage":{"prompt_tokens":17,"completion_tokens":16,"total_tokens":33}' in chunks[-2]
