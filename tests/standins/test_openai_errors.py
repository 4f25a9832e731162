"""OpenAI's words for a status and a code."""

from __future__ import annotations

import json

from sidecar.standins.openai_errors import error, refusal


def test_a_code_chooses_among_the_words_of_its_status() -> None:
    assert json.loads(refusal(error(429, "insufficient_quota", "gpt-4o")).data)["error"]["type"] == "insufficient_quota"
    told = json.loads(refusal(error(429, "", "gpt-4o")).data)["error"]
    assert told["message"].startswith("Rate limit reached for gpt-4o in organization")
    assert (told["type"], told["code"], told["param"]) == ("requests", "rate_limit_exceeded", None)


def test_a_code_of_another_status_or_of_nobody_is_told_with_the_status_s_own_words() -> None:
    made = error(400, "insufficient_quota", "")
    assert (made.status, made.code) == (400, "insufficient_quota")
    assert made.message == "We could not parse the JSON body of your request."
    assert error(418, "teapot", "").message == "The server said 418."


def test_when_the_api_is_away_a_page_stands_in_its_place() -> None:
    reply = refusal(error(504, "", ""))
    assert reply.headers == {"Content-Type": "text/html"}
    assert reply.data.startswith(b"<html>\n<head><title>504 Gateway Time-out</title></head>")
