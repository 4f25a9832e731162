"""An Anthropic stream as the events of OpenAI's `/v1/responses`.

    message_start           response.created, response.in_progress
    content_block_start     text: output_item.added unless a message is open, content_part.added
                            tool_use: output_item.added
    content_block_delta     output_text.delta, function_call_arguments.delta
    content_block_stop      output_text.done and content_part.done, or function_call_arguments.done
    message_delta           keeps the stop reason and the use
    end()                   a refusal's part, output_item.done of the last item,
                            response.completed or response.incomplete

An item is done when the next one begins or the answer ends, since only the stop reason
tells whether the last one is whole. Thinking, pings and what nobody knows say nothing.

Event names, fields and order: `openai.types.responses.ResponseStreamEvent`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from sidecar.dialects.due import due_number, due_object, due_text
from sidecar.dialects.kept import BLOCK, Kept
from sidecar.dialects.llm_usage import Counts, counts_of_message
from sidecar.dialects.response_reply import (
    arguments_of,
    begun,
    call_item,
    ended,
    message_item,
    refusal_part,
    refuse_unsaid,
    text_part,
)
from sidecar.dialects.sse_writing import named_event
from sidecar.dialects.stop_reasons import explanation_of
from sidecar.dialects.translated import BadEvent

if TYPE_CHECKING:
    from sidecar.llm import Document


class ResponseEvents:
    """One parsed Anthropic event in, the bytes of the events due for it out.

    `request` is what the caller asked, and `created` seconds since 1970. `feed` and `end` raise `BadEvent`.
    """

    def __init__(self, request: Document, *, created: int) -> None:
        self._request = request
        self._created = created
        self._response: Document | None = None
        self._output: list[Document] = []
        self._item: Document | None = None
        """The last item, as long as it is not done."""
        self._index: int | None = None
        """The number of the open block, None when none is open."""
        self._block: Document = {}
        self._said = io.StringIO()
        """Its text or its arguments."""
        self._kept = Kept()
        self._stop: object = None
        self._stop_details: object = None
        self._counts: Counts | None = None
        self._stopped = False
        self.sequence = 0
        """The number of the next event: an error that breaks the stream has it."""

    def feed(self, document: Document) -> bytes:
        kind = document.get("type")
        if self._stopped:
            raise BadEvent("an event behind message_stop")
        if kind == "content_block_delta":
            return self._delta(document)
        if kind == "message_start":
            return self._start(due_object(document, "message"))
        if kind == "content_block_start":
            return self._block_start(due_number(document, "index"), due_object(document, "content_block"))
        if kind == "content_block_stop":
            return self._block_stop()
        if kind == "message_delta":
            delta = due_object(document, "delta")
            if delta.get("stop_reason") is not None:
                self._stop, self._stop_details = delta["stop_reason"], delta.get("stop_details")
            self._counts = counts_of_message(document, self._counts)
        elif kind == "message_stop":
            self._stopped = True
        elif kind == "error":
            raise BadEvent("the stream has told an error")
        return b""

    def end(self) -> bytes:
        """What is due after `message_stop`."""
        if not self._stopped:
            raise BadEvent("the stream has ended without message_stop")
        out = [self._block_stop()]
        if (explanation := explanation_of(self._stop, self._stop_details)) is not None:
            out.append(self._refusal(explanation))
        response = ended(self._begun, self._output, self._stop, self._counts)
        out.append(self._item_done(response["status"]))
        out.append(self._event(f"response.{response['status']}", {"response": response}))
        return b"".join(out)

    @property
    def _begun(self) -> Document:
        if self._response is None:
            raise BadEvent("the stream does not begin with message_start")
        return self._response

    def _start(self, message: Document) -> bytes:
        if self._response is not None:
            raise BadEvent("a second message_start")
        self._response = begun(message, self._request, created=self._created)
        self._counts = counts_of_message(message)
        return self._event("response.created", {"response": self._response}) + self._event(
            "response.in_progress", {"response": self._response}
        )

    def _block_start(self, index: int, block: Document) -> bytes:
        before = self._block_stop()
        self._index, self._block, self._said = index, block, io.StringIO()
        self._kept.count(BLOCK)
        kind = block.get("type")
        if kind == "text":
            opened = self._message_open() + self._part_open(text_part(""))
            first = due_text(block, "text")
            return before + opened + (self._text(first) if first else b"")
        if kind == "tool_use":
            return before + self._open(call_item(self._begun["id"], len(self._output), block, ""))
        refuse_unsaid(kind)
        return before

    def _delta(self, document: Document) -> bytes:
        if self._index is None or document.get("index") != self._index:
            raise BadEvent("a delta of a block that is not open")
        delta = due_object(document, "delta")
        kind, due = delta.get("type"), self._block.get("type")
        if kind == "text_delta" and due == "text":
            return self._text(due_text(delta, "text"))
        if kind == "input_json_delta" and due == "tool_use":
            piece = due_text(delta, "partial_json")
            return self._arguments(piece) if piece else b""
        if kind in ("text_delta", "input_json_delta"):  # any JSON value may stand there
            raise BadEvent(f"a {kind} does not belong into this block")
        return b""

    def _block_stop(self) -> bytes:
        kind = None if self._index is None else self._block.get("type")
        self._index = None
        if kind == "text":
            return self._part_done("output_text", "text", self._said.getvalue())
        if kind == "tool_use":
            # A tool that takes nothing gets no delta, and some servers tell all of the input when the block starts.
            before = b"" if self._said.tell() else self._arguments(arguments_of(self._block))
            item, arguments = self._open_item, self._said.getvalue()
            item["arguments"] = arguments
            done = {"item_id": item["id"], "output_index": len(self._output) - 1, "arguments": arguments}
            return before + self._event("response.function_call_arguments.done", done)
        return b""

    @property
    def _open_item(self) -> Document:
        assert self._item is not None  # a block of text or tool use has opened one
        return self._item

    def _message_open(self) -> bytes:
        """Unless the last item is a message that may have one more part."""
        if self._item is not None and self._item["type"] == "message":
            return b""
        return self._open(message_item(self._begun["id"], len(self._output), []))

    def _open(self, item: Document) -> bytes:
        before = self._item_done("completed")
        self._item = item
        self._output.append(item)
        return before + self._event("response.output_item.added", {"output_index": len(self._output) - 1, "item": item})

    def _item_done(self, status: str) -> bytes:
        item, self._item = self._item, None
        if item is None:
            return b""
        item["status"] = status
        return self._event("response.output_item.done", {"output_index": len(self._output) - 1, "item": item})

    def _refusal(self, explanation: str) -> bytes:
        opened = self._message_open() + self._part_open(refusal_part(""))
        said = self._event("response.refusal.delta", {**self._place(), "delta": explanation})
        return opened + said + self._part_done("refusal", "refusal", explanation)

    def _part_open(self, part: Document) -> bytes:
        self._open_item["content"].append(part)
        return self._event("response.content_part.added", {**self._place(), "part": part})

    def _part_done(self, name: str, key: str, text: str) -> bytes:
        part = self._open_item["content"][-1]
        part[key] = text
        logprobs: Document = {"logprobs": []} if name == "output_text" else {}
        done = self._event(f"response.{name}.done", {**self._place(), key: text, **logprobs})
        return done + self._event("response.content_part.done", {**self._place(), "part": part})

    def _text(self, piece: str) -> bytes:
        self._keep(piece)
        return self._event("response.output_text.delta", {**self._place(), "delta": piece, "logprobs": []})

    def _arguments(self, piece: str) -> bytes:
        self._keep(piece)
        place = {"item_id": self._open_item["id"], "output_index": len(self._output) - 1}
        return self._event("response.function_call_arguments.delta", {**place, "delta": piece})

    def _keep(self, piece: str) -> None:
        """It is told once more when the block stops, and when the answer ends."""
        self._kept.count(len(piece))
        self._said.write(piece)

    def _place(self) -> Document:
        """Where the last part of the open message stands."""
        item = self._open_item
        return {
            "item_id": item["id"],
            "output_index": len(self._output) - 1,
            "content_index": len(item["content"]) - 1,
        }

    def _event(self, name: str, fields: Document) -> bytes:
        event = named_event({"type": name, "sequence_number": self.sequence, **fields})
        self.sequence += 1
        return event
