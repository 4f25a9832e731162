"""The chunks of an OpenAI chat completion as Anthropic's events.

    the first chunk with a choice   message_start
    content                         a block of text
    tool_calls, function_call       a block of tool use each
    finish_reason                   the stop of what is open
    end()                           message_delta with the usage, message_stop

Anthropic has one block open at a time and numbers them as they come; chunks name neither
start nor stop of anything, and may go on with any tool call at any time. So the blocks stand
in a line (`_line`). What comes for the first is said at once, what comes for another waits
in it. The first one leaves when it is whole: a text as soon as something stands behind it, a
tool call when its arguments are a JSON object by then, and all of them at the finish. Parallel
calls that come one after the other are so passed on as they come.

The usage comes behind the finish reason, in a chunk of its own, with every chunk, or never:
it is told at the end. `reasoning_content` and its like are dropped.

Fields: `openai.types.chat.ChatCompletionChunk`, `anthropic.types.RawMessageStreamEvent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.dialects.due import due_object, due_text
from sidecar.dialects.fields import word
from sidecar.dialects.kept import BLOCK, Kept
from sidecar.dialects.llm_ids import to_message_id, tool_id_of
from sidecar.dialects.llm_usage import Counts, counts_of_completion, message_usage
from sidecar.dialects.sse_writing import named_event, written
from sidecar.dialects.stop_reasons import to_stop_reason
from sidecar.dialects.tool_arguments import parsed
from sidecar.dialects.tool_ids import to_anthropic_id
from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document

_CUT = frozenset({"length", "content_filter"})
"""Ends of an answer that may be within a call."""

_FUNCTION_CALL = "function_call"
"""Stands for the index of a legacy call, of which there is one."""


class _Block:
    """A block in the line. `kept` holds its text, or all of its arguments, in UTF-8."""

    __slots__ = ("has_begun", "id", "is_open", "kept", "name", "tool")

    def __init__(self, tool: int | None) -> None:
        self.tool = tool
        """The number of the tool call, None of a text."""
        self.name = ""
        self.id = ""
        self.kept = bytearray()
        self.is_open = False
        self.has_begun = False
        """Its arguments are an object, and are said as they come."""

    @property
    def is_ready(self) -> bool:
        """Whether it could be opened and has something to say."""
        return bool(self.kept) if self.tool is None else bool(self.name and self.id) and not self.is_open

    @property
    def is_whole(self) -> bool:
        """Whether nothing more can come for it, now that something stands behind it."""
        if self.tool is None:
            return True
        if not self.name or not self.kept.endswith(b"}"):
            return False
        try:
            parsed(self.kept.decode())
        except ValueError:
            return False
        return True


class MessageEvents:
    """One parsed chunk in, the bytes of the events due for it out. `feed` and `end` raise `BadEvent`."""

    def __init__(self) -> None:
        self._begun = False
        self._id: object = None
        self._line: list[_Block] = []
        self._calls: dict[object, _Block] = {}
        """The last tool call of each index, also when it has left the line."""
        self._blocks = 0
        self._tools = 0
        self._kept = Kept()
        """Arguments of tool calls, and what waits for a block before it."""
        self._refusal = ""
        self._finish_reason: str | None = None
        self._counts: Counts | None = None

    def feed(self, document: Document) -> bytes:
        if document.get("error") is not None:
            raise BadEvent("the stream has told an error")
        if document.get("usage") is not None:
            self._counts = counts_of_completion(document) or self._counts
        choices = document.get("choices")
        if not choices:
            return b""
        if not isinstance(choices, list) or len(choices) > 1 or not isinstance(choices[0], dict):
            raise BadEvent("choices: one is due")
        choice = choices[0]
        if choice.get("index"):
            raise BadEvent("choices: a message has no place for a second one")
        started = b"" if self._begun else self._start(document)
        said = self._delta(due_object(choice, "delta")) if choice.get("delta") is not None else b""
        if not choice.get("finish_reason"):
            return started + said
        self._finish_reason = due_text(choice, "finish_reason")
        if self._finish_reason == "error":  # OpenRouter's word for an answer that broke under way
            raise BadEvent("finish_reason: the answer broke under way")
        return started + said + self._let_go(all_of_it=True)

    def end(self) -> bytes:
        """What is due when the stream has ended behind its finish reason."""
        if self._finish_reason is None:
            raise BadEvent("the stream has ended without a finish reason")
        reason = to_stop_reason(self._finish_reason, tools=self._tools > 0)
        delta: Document = {"stop_reason": reason, "stop_sequence": None}
        if self._refusal:
            delta["stop_reason"] = "refusal"
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": self._refusal}
        usage = message_usage(self._counts or Counts())
        told = named_event({"type": "message_delta", "delta": delta, "usage": usage})
        return self._let_go(all_of_it=True) + told + named_event({"type": "message_stop"})

    def _start(self, document: Document) -> bytes:
        self._begun = True
        self._id = document.get("id")
        model = document.get("model")
        message: Document = {
            "id": to_message_id(self._id),
            "type": "message",
            "role": "assistant",
            "model": model if isinstance(model, str) else "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": message_usage(self._counts or Counts()),
        }
        return named_event({"type": "message_start", "message": message})

    def _delta(self, delta: Document) -> bytes:
        out = b""
        if content := delta.get("content"):
            text = content if isinstance(content, str) else _text_of(delta)
            out = self._text(text) if text else b""
        if delta.get("refusal"):
            self._refusal += self._keep(due_text(delta, "refusal")).decode()
        if (calls := delta.get("tool_calls")) is not None:
            if not isinstance(calls, list):
                raise BadEvent("tool_calls: a list is due")
            for place, call in enumerate(calls):
                if not isinstance(call, dict):
                    raise BadEvent("tool_calls: an object is due")
                out += self._tool_call(place, call)
        if delta.get("function_call") is not None:
            out += self._called(_FUNCTION_CALL, "", due_object(delta, "function_call"))
        if delta.get("audio") is not None:
            raise BadEvent("audio: a message has no place for it")
        return out

    def _text(self, text: str) -> bytes:
        line = self._line
        out = b"" if line and line[-1].tool is None else self._queue(_Block(None))
        return out + self._say(line[-1], text)

    def _tool_call(self, place: int, call: Document) -> bytes:
        kind, index = call.get("type"), call.get("index")
        if kind and kind != "function":
            raise BadEvent(f"tool_calls: a message has no place for one of type {word(kind)}")
        if index is None:  # some servers number nothing
            index = place
        if not isinstance(index, int):
            raise BadEvent("tool_calls.index: a number is due")
        function = call.get("function")
        if function is not None and not isinstance(function, dict):
            raise BadEvent("tool_calls.function: an object is due")
        return self._called(index, _optional(call, "id"), function or {})

    def _called(self, index: object, call_id: str, function: Document) -> bytes:
        """Id and name may come late, and again with every chunk; another id at the same index is another call."""
        name, arguments = _optional(function, "name"), function.get("arguments")
        # Ollama's own shape has the object itself.
        arguments = written(arguments).decode() if isinstance(arguments, dict) else _optional(function, "arguments")
        block, out = self._calls.get(index), b""
        if block is None or (call_id and block.id and block.id != call_id):
            block = self._calls[index] = _Block(self._tools)
            if index == _FUNCTION_CALL:
                block.id = tool_id_of(self._id, self._tools)
            self._tools += 1
            out = self._queue(block)
        if name and block.name and block.name != name:
            raise BadEvent("tool_calls: a second name for the same call")
        block.name = block.name or name
        block.id = block.id or call_id
        if block in self._line:
            return out + self._say(block, arguments)
        if arguments.strip():
            raise BadEvent("tool_calls: more arguments for a call that was whole")
        return out

    def _queue(self, block: _Block) -> bytes:
        """Behind all others. Only now it is asked which of these are whole, not with every piece."""
        self._line.append(block)
        self._kept.count(BLOCK)
        return self._let_go()

    def _say(self, block: _Block, piece: str) -> bytes:
        """Add to a block in the line."""
        if block.tool is not None or not block.is_open:
            block.kept += self._keep(piece)
        if block is not self._line[0]:
            return b""
        if not block.is_open:
            return self._open(block) if block.is_ready else b""
        if not piece:
            return b""
        return self._piece(block, piece) if block.tool is None else self._arguments(block, piece)

    def _let_go(self, *, all_of_it: bool = False) -> bytes:
        """Stop the blocks at the line's head that are whole, and open the one behind them."""
        out = b""
        line = self._line
        while line and (all_of_it or (len(line) > 1 and line[0].is_whole)):
            block = line.pop(0)
            if not block.is_open:
                out += self._open(block)
            if block.tool is not None and self._finish_reason not in _CUT:
                _check(block)
            out += b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % self._blocks
            self._blocks += 1
            self._forget(block)
        if line and line[0].is_ready:
            out += self._open(line[0])
        return out

    def _open(self, block: _Block) -> bytes:
        """Start it, and say what it has kept."""
        block.is_open = True
        content: Document = {"type": "text", "text": ""}
        if block.tool is not None:
            if not block.name:
                raise BadEvent("tool_calls: a call without a name")
            call_id = to_anthropic_id(block.id or tool_id_of(self._id, block.tool))
            content = {"type": "tool_use", "id": call_id, "name": block.name, "input": {}}
        started = named_event({"type": "content_block_start", "index": self._blocks, "content_block": content})
        if block.tool is not None:
            return started + self._arguments(block, block.kept.decode())
        said = self._piece(block, block.kept.decode())
        self._forget(block)
        return started + said

    def _arguments(self, block: _Block, piece: str) -> bytes:
        """Some models say blanks or null for none, which Anthropic's clients would not read."""
        if block.has_begun:
            return self._piece(block, piece)
        if not piece or piece.isspace():
            return b""
        said = block.kept.lstrip()
        if b"null".startswith(said):
            return b""
        if not said.startswith(b"{"):
            raise BadEvent("function.arguments: are no object")
        block.has_begun = True
        return self._piece(block, block.kept.decode())

    def _piece(self, block: _Block, piece: str) -> bytes:
        """The hot path: one of these for every token."""
        said = b'"text_delta","text":' if block.tool is None else b'"input_json_delta","partial_json":'
        return (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b%b}}\n\n'
            % (self._blocks, said, written(piece))
        )

    def _keep(self, piece: str) -> bytes:
        try:
            kept = piece.encode()
        except UnicodeEncodeError as error:
            raise BadEvent("half a surrogate pair") from error
        self._kept.count(len(kept))
        return kept

    def _forget(self, block: _Block) -> None:
        self._kept.count(-len(block.kept))
        block.kept = bytearray()


def _check(block: _Block) -> None:
    """A call whose arguments are no object is none, and one that is half there would look whole."""
    try:
        parsed(block.kept.decode())
    except ValueError as error:
        raise BadEvent(f"function.arguments: {error}") from error


def _text_of(delta: Document) -> str:
    """Of content in parts of text and thinking, as Mistral's reasoning models say it."""
    if not isinstance(delta["content"], list):
        return due_text(delta, "content")
    text = ""
    for part in delta["content"]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            text += due_text(part, "text")
        elif kind != "thinking":
            raise BadEvent(f"content: a message has no place for a part of type {kind!r:.60}")
    return text


def _optional(document: Document, name: str) -> str:
    """Absent, null and empty are the same."""
    value = document.get(name)
    return "" if value is None else due_text(document, name)
