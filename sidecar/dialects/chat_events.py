"""An Anthropic stream as the chunks of OpenAI's chat completions.

    message_start           the chunk with the role
    content_block_start     text: nothing; tool_use: a tool call with id, name and no arguments yet
    content_block_delta     text: content; input_json: arguments; thinking, signatures, citations: nothing
    content_block_stop      nothing, or the arguments of a tool that got no delta
    message_delta           a refusal's explanation, and the finish reason
    end()                   the usage, if it was asked for, and [DONE]

Pings and events that nobody knows say nothing. Blocks that only a server's own tools make
cannot be said, and end the stream.

Event names and fields: `anthropic.types.RawMessageStreamEvent`, `openai.types.chat.ChatCompletionChunk`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.dialects.due import due_number, due_object, due_text
from sidecar.dialects.fields import word
from sidecar.dialects.kept import BLOCK, Kept
from sidecar.dialects.llm_ids import to_completion_id
from sidecar.dialects.llm_usage import Counts, completion_usage, counts_of_message
from sidecar.dialects.sse_writing import DONE, data_event, written
from sidecar.dialects.stop_reasons import explanation_of, to_finish_reason
from sidecar.dialects.tool_ids import from_anthropic_id
from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document

_UNSAID = frozenset({"thinking", "redacted_thinking"})
_FOREIGN = {"text_delta": "text", "input_json_delta": "tool_use"}
"""In which block a delta belongs."""


@dataclass(slots=True)
class _Block:
    kind: str
    tool: int = 0
    """Which of the tool calls it is; the caller's chunks count nothing else."""
    rest: bytes = b""
    """The arguments that are due when the block stops, until a delta brings some."""


class ChatEvents:
    """One parsed Anthropic event in, the bytes of the chunks due for it out.

    `created` is in seconds since 1970; `usage_asked` as in `stream_options.include_usage`. `feed` and `end` raise
    `BadEvent`.
    """

    def __init__(self, *, created: int, usage_asked: bool) -> None:
        self._created = created
        self._usage_asked = usage_asked
        self._same: Document | None = None
        """What every chunk repeats, None until message_start."""
        self._head = b""
        self._tail = b""
        self._open: dict[int, _Block] = {}
        self._kept = Kept()
        self._tools = 0
        self._finished = False
        self._stopped = False
        self._counts: Counts | None = None

    def feed(self, document: Document) -> bytes:
        kind = document.get("type")
        if kind == "content_block_delta":
            return self._delta(document)
        if kind == "content_block_start":
            return self._block_start(document)
        if kind == "content_block_stop":
            return self._block_stop(self._open.pop(due_number(document, "index"), None))
        if kind == "message_start":
            return self._start(due_object(document, "message"))
        if kind == "message_delta":
            self._counts = counts_of_message(document, self._counts)
            delta = due_object(document, "delta")
            reason = delta.get("stop_reason")
            return b"" if reason is None else self._finish(reason, delta.get("stop_details"))
        if kind == "message_stop":
            out = self._finish(None, None)
            self._stopped = True
            return out
        if kind == "error":
            raise BadEvent("the stream has told an error")
        return b""

    def end(self) -> bytes:
        """What is due after `message_stop`."""
        if not self._stopped:
            raise BadEvent("the stream has ended without message_stop")
        if not self._usage_asked:
            return DONE
        usage = completion_usage(self._counts or Counts())
        return data_event({**(self._same or {}), "choices": [], "usage": usage}) + DONE

    def _start(self, message: Document) -> bytes:
        if self._same is not None:
            raise BadEvent("a second message_start")
        model = message.get("model")
        self._same = {
            "id": to_completion_id(message.get("id")),
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": model if isinstance(model, str) else "",
        }
        # The same but for the delta: written once, not for every token.
        self._head = b'data: %b,"choices":[{"index":0,"delta":' % written(self._same)[:-1]
        self._tail = b',"usage":null}\n\n' if self._usage_asked else b"}\n\n"
        self._counts = counts_of_message(message)
        return self._chunk(b'{"role":"assistant","content":""}')

    def _block_start(self, document: Document) -> bytes:
        index, block = due_number(document, "index"), due_object(document, "content_block")
        if index in self._open:
            raise BadEvent("content_block_start: the block is open")
        kind = block.get("type")
        self._kept.count(BLOCK)
        if kind == "text":
            self._open[index] = _Block("text")
            return self._content(due_text(block, "text"))
        if kind == "tool_use":
            name, tool_id, told = due_text(block, "name"), due_text(block, "id"), block.get("input")
            # Some servers tell all of the input when the block starts.
            opened = self._open[index] = _Block(
                "tool_use", self._tools, written(told if isinstance(told, dict) else {})
            )
            self._kept.count(len(opened.rest))
            self._tools += 1
            call = {"id": from_anthropic_id(tool_id), "type": "function", "function": {"name": name, "arguments": ""}}
            return self._call({"index": opened.tool, **call})
        if not isinstance(kind, str) or kind not in _UNSAID:
            raise BadEvent(f"content_block: a chat completion has no place for one of type {word(kind)}")
        self._open[index] = _Block("")
        return b""

    def _delta(self, document: Document) -> bytes:
        block, delta = self._open.get(due_number(document, "index")), due_object(document, "delta")
        if block is None:
            raise BadEvent("a delta of a block that is not open")
        kind = delta.get("type")
        if kind == "text_delta" and block.kind == "text":
            return self._content(due_text(delta, "text"))
        if kind == "input_json_delta" and block.kind == "tool_use":
            piece = due_text(delta, "partial_json")
            if not piece:
                return b""
            block.rest = b""
            return self._arguments(block, piece)
        if isinstance(kind, str) and kind in _FOREIGN:
            raise BadEvent(f"a {kind} does not belong into this block")
        return b""

    def _block_stop(self, block: _Block | None) -> bytes:
        if block is None:
            raise BadEvent("content_block_stop: no such block is open")
        return self._arguments(block, block.rest.decode()) if block.rest else b""

    def _finish(self, reason: object, details: object) -> bytes:
        """Once; a message that has stopped without telling why has ended well."""
        if self._finished:
            return b""
        self._finished = True
        out = [self._block_stop(block) for block in self._open.values()]
        self._open.clear()
        if (explanation := explanation_of(reason, details)) is not None:
            out.append(self._chunk(b'{"refusal":%b}' % written(explanation)))
        finish_reason = to_finish_reason(reason, tools=self._tools > 0)
        out.append(self._chunk(b"{}", b'"%b"' % finish_reason.encode()))
        return b"".join(out)

    def _content(self, text: str) -> bytes:
        return self._chunk(b'{"content":%b}' % written(text)) if text else b""

    def _arguments(self, block: _Block, piece: str) -> bytes:
        return self._call({"index": block.tool, "function": {"arguments": piece}})

    def _call(self, call: Document) -> bytes:
        return self._chunk(b'{"tool_calls":[%b]}' % written(call))

    def _chunk(self, delta: bytes, finish_reason: bytes = b"null") -> bytes:
        if self._same is None:
            raise BadEvent("the stream does not begin with message_start")
        if self._stopped:
            raise BadEvent("an event behind message_stop")
        return b'%b%b,"logprobs":null,"finish_reason":%b}]%b' % (self._head, delta, finish_reason, self._tail)
