"""Answers read as they come. The server is real, and says what the test says."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.cli.llm.answers import Answer, ask
from sidecar.cli.llm.conversation import Speech
from sidecar.cli.trouble import Trouble
from sidecar.cli.web import Web
from sidecar.llm import Dialect, Usage
from tests.kit.caller import PATIENCE
from tests.kit.one_answer import answering

if TYPE_CHECKING:
    import http.client

OPENAI, ANTHROPIC = Speech(Dialect.OPENAI), Speech(Dialect.ANTHROPIC)
EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Sidecar-Route: llm\r\nTransfer-Encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def whole(document: Any, status: str = "200 OK", *fields: str) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    length = f"Content-Length: {len(body)}"
    head = "\r\n".join((f"HTTP/1.1 {status}", "Content-Type: application/json", *fields, length))
    return head.encode() + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def delta(text: str) -> bytes:
    return event({"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": text}}]})


STOP = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USED = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})


PIECES = [
    delta("Hi"), STOP, USED, DONE, b"\n", b"\r\n\r\n", b"data: ", b"event: error\n", b"[]", b"{}",
    b": X-Sidecar-Route\n\n", b'{"choices": [{"message": {"content": [1]}}]}', event({"choices": 1}),
    event({"choices": [1]}), event({"delta": 1}),
    event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": 1}}), event({"type": "message_stop"}),
]  # fmt: skip


def asked(*pieces: bytes, speech: Speech = OPENAI) -> tuple[Answer, list[str]]:
    answer = Answer(speech)
    with answering(*pieces) as url:
        return answer, list(ask(Web(url, timeout=PATIENCE), answer, speech.body("m", [], stream=True)))


def test_a_whole_completion() -> None:
    answer, pieces = asked(
        whole(
            {
                "model": "gpt-4o",
                "choices": [{"message": {"content": "Hi there"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 7, "completion_tokens": 5},
            }
        )
    )
    assert pieces == ["", "Hi there"]
    assert (answer.text, answer.model, answer.reason, answer.usage) == ("Hi there", "gpt-4o", "stop", Usage(7, 5))
    assert answer.error is None
    assert 0 < answer.first_byte <= answer.total


def test_a_whole_message() -> None:
    answer, _ = asked(
        whole(
            {
                "model": "claude",
                "content": [{"type": "text", "text": "Hi there"}],
                "stop_reason": "max_tokens",
                "usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 5},
            }
        ),
        speech=ANTHROPIC,
    )
    assert (answer.text, answer.model, answer.reason) == ("Hi there", "claude", "max_tokens")
    assert answer.usage == Usage(9, 5, 2)


def test_a_stream_comes_in_pieces() -> None:
    answer, pieces = asked(EVENTS, chunk(delta("Hi ")), chunk(delta("there")), chunk(STOP + USED + DONE), END)
    assert pieces == ["", "Hi ", "there"]
    assert (answer.text, answer.model, answer.reason, answer.usage) == ("Hi there", "gpt-4o", "stop", Usage(7, 5))
    assert answer.error is None
    assert answer.events is not None
    assert len(answer.events) == 4


def test_characters_that_are_split_over_writes_come_whole() -> None:
    said = "für 5 € 👩‍🚀"
    stream = delta(said) + STOP + DONE
    answer, pieces = asked(EVENTS, *(chunk(stream[at : at + 1]) for at in range(len(stream))), END)
    assert pieces == ["", said]
    assert answer.error is None


@pytest.mark.parametrize("end", [b"", b"5\r\nda", b"zz\r\n"])
def test_a_stream_that_breaks_off(end: bytes) -> None:
    answer, pieces = asked(EVENTS, chunk(delta("Hi ")), end)
    assert pieces == ["", "Hi "]
    assert answer.text == "Hi "
    assert answer.error is not None
    assert answer.error.message == "the stream broke off"


class Prepared(Web):
    """A server that has answered before it is asked: however busy the machine, only what does not come is waited for.

    `caller` is the connection's end that is ours.
    """

    def __init__(self, caller: socket.socket) -> None:
        super().__init__("http://127.0.0.1")
        self._caller = caller

    def _connection(self) -> http.client.HTTPConnection:
        connection = super()._connection()
        connection.sock = self._caller
        return connection


def test_a_stream_that_is_silent_for_too_long() -> None:
    answer = Answer(OPENAI)
    server, caller = socket.socketpair()
    with server, caller:
        server.sendall(EVENTS + chunk(delta("Hi ")))
        caller.settimeout(0.05)
        assert list(ask(Prepared(caller), answer, b"{}")) == ["", "Hi "]
    assert answer.error is not None
    assert answer.error.message == "the stream broke off: it was silent for too long"


def test_closing_it_cancels_the_call() -> None:
    answer = Answer(OPENAI)
    with answering(EVENTS + chunk(delta("Hi ")), stays=True) as url:  # fails if the caller does not leave
        pieces = ask(Web(url, timeout=PATIENCE), answer, b"{}")
        assert [next(pieces), next(pieces)] == ["", "Hi "]
        pieces.close()
    assert answer.total > 0


def test_an_answer_that_is_whole_may_lack_its_last_event() -> None:
    answer, _ = asked(EVENTS, chunk(delta("Hi ")), chunk(STOP))
    assert answer.error is None


def test_an_error_inside_a_stream() -> None:
    error = event({"error": {"message": "no more", "type": "server_error", "code": "upstream_reset"}})
    answer, pieces = asked(EVENTS, chunk(delta("Hi ")), chunk(error), chunk(delta("ghost")))
    assert pieces == ["", "Hi "]
    assert answer.error is not None
    assert (answer.error.status, answer.error.code, answer.error.message) == (0, "upstream_reset", "no more")


def test_what_the_head_could_not_tell_stands_in_a_last_comment() -> None:
    last = b": X-Sidecar-Attempts: 2\n: X-Sidecar-Upstream: openai\n\n"
    answer, _ = asked(EVENTS, chunk(b": waiting\n\n" + delta("Hi") + STOP + DONE), chunk(last), END)
    assert answer.error is None
    told = {name: value for name, value in answer.fields.items() if name.startswith("x-sidecar-")}
    assert told == {"x-sidecar-route": "llm", "x-sidecar-attempts": "2", "x-sidecar-upstream": "openai"}


def test_an_event_that_cannot_be_read_is_told_at_the_end() -> None:
    answer, pieces = asked(EVENTS, chunk(delta("Hi ") + b"data: {broken\n\n" + delta("there") + STOP + DONE), END)
    assert pieces == ["", "Hi ", "there"]
    assert answer.error is not None
    assert "could not be read" in answer.error.message


def test_a_compressed_answer_is_told_as_what_it_is() -> None:
    """A server that compresses whatever was accepted: curl prints it as it comes, SDKs accept it."""
    answer, pieces = asked(whole(b"\x1f\x8b\x08", "200 OK", "Content-Encoding: gzip"))
    assert pieces == [""]
    assert answer.error is not None
    assert answer.error.message == "the answer is compressed (gzip), which it was not asked to be"


def test_an_error_answer() -> None:
    refused = whole({"error": {"message": "Wrong key", "code": "invalid_api_key"}}, "401 Unauthorized")
    answer, pieces = asked(refused)
    assert pieces == [""]
    assert answer.error is not None
    assert (answer.status, answer.error.code, answer.error.message) == (401, "invalid_api_key", "Wrong key")
    assert not answer.ours


def test_an_error_answer_that_breaks_off_tells_what_came() -> None:
    head = b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer, _ = asked(head, chunk(b"no luck"))
    assert answer.error is not None
    assert (answer.error.status, answer.error.message) == (502, "no luck")


def test_a_refusal_of_the_sidecars_own() -> None:
    proxied = "Proxy-Status: sidecar; error=destination_unavailable"
    answer, _ = asked(whole({"error": {"code": "circuit_open"}}, "503 Service Unavailable", proxied))
    assert answer.ours


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b'{"object": "list"}'])
def test_what_is_no_answer_at_all(body: bytes) -> None:
    answer, _ = asked(whole(body))
    assert answer.error is not None
    assert answer.error.status == 0


def test_a_whole_answer_that_breaks_off() -> None:
    answer, _ = asked(whole({"choices": []})[:-4])
    assert answer.error is not None


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=8), st.sampled_from([OPENAI, ANTHROPIC]))
@settings(max_examples=60)
def test_whatever_comes_is_read_to_its_end(pieces: list[bytes], speech: Speech) -> None:
    body = b"".join(pieces)
    for head in (b"text/event-stream", b"application/json"):
        answer, text = asked(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n%b" % (head, body), speech=speech)
        assert "".join(text) == answer.text
        if head == b"text/event-stream":
            assert answer.error is not None or answer.reason or b"message_stop" in body


def test_nobody_answers() -> None:
    with pytest.raises(Trouble, match="does not answer"):
        list(ask(Web("http://127.0.0.1:1"), Answer(OPENAI), b"{}"))
