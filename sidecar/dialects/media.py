"""Images and files in requests: chat completions have them in `data:` addresses, messages in sources.

Nothing is fetched: an address on the web is handed on as it is, for the provider to fetch. Whoever fetched it here
could be sent to any host that this machine reaches. Ids of files that a provider keeps mean nothing to another one.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from sidecar.dialects.fields import document, some_text, text, word
from sidecar.dialects.translated import Untranslatable

if TYPE_CHECKING:
    from sidecar.dialects.fields import Lost
    from sidecar.llm import Document

# Base64ImageSourceParam of Anthropic's SDK; `image/jpg` is a common slip for the registered name.
_IMAGES = {name: name for name in ("image/jpeg", "image/png", "image/gif", "image/webp")} | {"image/jpg": "image/jpeg"}
_PDF = "application/pdf"
_PDF_IN_BASE64 = "JVBERi"  # "%PDF", and the bits of "-": what each PDF begins with


def image_block(value: Any, lost: Lost) -> Document:
    """Anthropic's block for the `image_url` of a content part."""
    image = document(value, "image_url")
    url = text(image.get("url"), "image_url.url")
    if image.get("detail") not in (None, "auto"):
        lost.add("messages.image_url.detail")
    lost.unknown(image, ("url", "detail"), "messages.image_url.")
    if url[:8].lower() == "https://":
        return {"type": "image", "source": {"type": "url", "url": url}}
    media, data = _opened(url, "image_url.url")
    if media not in _IMAGES:
        raise Untranslatable(f"image_url.url: an image of type {word(media)} cannot be said, only JPEG, PNG, GIF, WebP")
    return {"type": "image", "source": {"type": "base64", "media_type": _IMAGES[media], "data": data}}


def document_block(value: Any, lost: Lost) -> Document:
    """Anthropic's block for the `file` of a content part."""
    file = document(value, "file")
    if file.get("file_id") is not None:
        raise Untranslatable("file.file_id: only the provider that keeps the file knows it")
    lost.unknown(file, ("file_data", "file_id", "filename"), "messages.file.")
    data = some_text(file.get("file_data"), "file.file_data")
    media = _PDF
    if not data.startswith(_PDF_IN_BASE64):
        media, data = _opened(data, "file.file_data")
    if media == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": data}
    elif media == "text/plain":
        source = {"type": "text", "media_type": media, "data": _decoded(data)}
    else:
        raise Untranslatable(f"file.file_data: a file of type {word(media)} cannot be said, only PDF and plain text")
    made: Document = {"type": "document", "source": source}
    if file.get("filename") is not None:
        made["title"] = text(file["filename"], "file.filename")
    return made


def image_part(block: Document, lost: Lost) -> Document:
    """The content part for Anthropic's `image` block."""
    lost.unknown(block, ("type", "source"), "messages.")
    source = document(block.get("source"), "image.source")
    match source.get("type"):
        case "base64":
            media = text(source.get("media_type"), "image.source.media_type")
            url = f"data:{media};base64,{some_text(source.get('data'), 'image.source.data')}"
        case "url":
            url = text(source.get("url"), "image.source.url")
        case other:
            raise Untranslatable(f"image.source: a source of type {word(other)} cannot be said")
    return {"type": "image_url", "image_url": {"url": url}}


def document_parts(block: Document, lost: Lost) -> list[Document]:
    """The content parts for Anthropic's `document` block. Plain text is put as text, its title and context before it:
    few servers take a file that is no PDF.
    """
    lost.unknown(block, ("type", "source", "title", "context"), "messages.")
    source = document(block.get("source"), "document.source")
    title = text(block.get("title") or "", "document.title")
    context = text(block.get("context") or "", "document.context")
    match source.get("type"):
        case "base64" if source.get("media_type") == _PDF:
            if context:
                lost.add("messages.context")
            data = some_text(source.get("data"), "document.source.data")
            file = {"filename": title or "document.pdf", "file_data": f"data:{_PDF};base64,{data}"}
            return [{"type": "file", "file": file}]
        case "text":
            inner = [_text_part(text(source.get("data"), "document.source.data"))]
        case "content":
            inner = _content_parts(source.get("content"), lost)
        case other:
            raise Untranslatable(f"document.source: a source of type {word(other)} cannot be said")
    return [*(_text_part(before) for before in (title, context) if before), *inner]


def _content_parts(content: Any, lost: Lost) -> list[Document]:
    if type(content) is str:
        return [_text_part(content)]
    if type(content) is not list:
        raise Untranslatable("document.source.content: is neither a string nor a list")
    made = []
    for value in content:
        block = document(value, "document.source.content")
        match block.get("type"):
            case "text":
                lost.unknown(block, ("type", "text"), "messages.")
                made.append(_text_part(text(block.get("text"), "document.source.content.text")))
            case "image":
                made.append(image_part(block, lost))
            case other:
                raise Untranslatable(f"document.source.content: the block {word(other)} is unknown")
    return made


def _text_part(value: str) -> Document:
    return {"type": "text", "text": value}


def _opened(url: str, place: str) -> tuple[str, str]:
    """Media type and base64 data of a `data:` address (RFC 2397)."""
    head, comma, data = url.partition(",")
    scheme, _, told = head[:200].lower().partition(":")
    media, *parameters = (piece.strip() for piece in told.split(";"))
    if scheme != "data" or not comma or "base64" not in parameters[-1:] or not data:
        raise Untranslatable(f"{place}: is neither a `data:` address with base64 nor one that can be handed on")
    return media, data


def _decoded(data: str) -> str:
    try:
        return b64decode(data, validate=True).decode()
    except ValueError as error:
        raise Untranslatable("file.file_data: is no UTF-8 text in base64") from error
