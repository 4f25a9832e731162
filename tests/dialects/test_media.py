"""Images and files: `data:` addresses and sources, and what only one provider could read."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.fields import Lost
from sidecar.dialects.media import document_block, document_parts, image_block, image_part
from sidecar.dialects.translated import Untranslatable

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjcK"


def base64_image(media: str, data: str = PNG) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


@pytest.mark.parametrize("media", ["image/jpeg", "image/png", "image/gif", "image/webp"])
def test_an_image_in_an_address_is_one_in_a_source_and_back(media: str) -> None:
    value = {"url": f"data:{media};base64,{PNG}"}
    block = image_block(value, Lost())
    assert block == base64_image(media)
    assert image_part(block, Lost()) == {"type": "image_url", "image_url": value}


@pytest.mark.parametrize(
    "url",
    [f"DATA:Image/PNG;Base64,{PNG}", f"data:image/png;charset=utf-8;base64,{PNG}", f"data: image/png ; base64 ,{PNG}"],
)
def test_an_address_is_read_whatever_its_case_and_parameters(url: str) -> None:
    assert image_block({"url": url}, Lost()) == base64_image("image/png")


def test_the_slip_image_jpg_is_a_jpeg() -> None:
    assert image_block({"url": f"data:image/jpg;base64,{PNG}"}, Lost()) == base64_image("image/jpeg")


def test_an_image_on_the_web_is_the_providers_to_fetch_never_ours() -> None:
    value = {"url": "https://169.254.169.254/latest/meta-data.png"}
    block = image_block(value, Lost())
    assert block == {"type": "image", "source": {"type": "url", "url": value["url"]}}
    assert image_part(block, Lost()) == {"type": "image_url", "image_url": value}


@pytest.mark.parametrize(
    "value",
    [
        None,
        "https://example.org/a.png",
        {},
        {"url": 1},
        {"url": "http://example.org/a.png"},
        {"url": "file:///etc/passwd"},
        {"url": "data:image/png,x"},
        {"url": "data:image/png;base64,"},
        {"url": "data:image/png;base64"},
        {"url": f"data:image/svg+xml;base64,{PNG}"},
        {"url": f"data:;base64,{PNG}"},
        {"url": f"data:application/pdf;base64,{PDF}"},
    ],
)
def test_an_image_that_anthropic_would_refuse_is_not_translated(value: Any) -> None:
    with pytest.raises(Untranslatable, match=r"^image_url"):
        image_block(value, Lost())


def test_detail_is_lost_but_for_the_default() -> None:
    lost = Lost()
    image_block({"url": "https://example.org/a.png", "detail": "auto"}, lost)
    assert lost.names() == ()
    image_block({"url": "https://example.org/a.png", "detail": "low", "fps": 1}, lost)
    assert lost.names() == ("messages.image_url.detail", "messages.image_url.fps")


@pytest.mark.parametrize("data", [PDF, f"data:application/pdf;base64,{PDF}"])
def test_a_pdf_is_a_document_and_back(data: str) -> None:
    block = document_block({"filename": "a.pdf", "file_data": data}, Lost())
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    assert block == {"type": "document", "source": source, "title": "a.pdf"}
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    assert document_parts(block, Lost()) == [{"type": "file", "file": file}]


def test_a_file_of_plain_text_is_a_document_of_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Grüße"}
    made = document_block({"file_data": "data:text/plain;base64,R3LDvMOfZQ=="}, Lost())
    assert made == {"type": "document", "source": source}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"file_id": "file-123"}, "file.file_id: only the provider that keeps the file knows it"),
        ({}, "file.file_data: is no string"),
        ({"file_data": ""}, "file.file_data: is empty"),
        ({"file_data": "UEsDBBQ="}, "file.file_data: is neither"),
        ({"file_data": "data:application/zip;base64,UEsDBBQ="}, "file.file_data: a file of type 'application/zip'"),
        ({"file_data": "data:text/plain;base64,////"}, "file.file_data: is no UTF-8 text"),
        ({"file_data": "data:text/plain;base64,%"}, "file.file_data: is no UTF-8 text"),
        ({"file_data": PDF, "filename": 1}, "file.filename: is no string"),
        ("a.pdf", "file: is no object"),
    ],
)
def test_a_file_that_cannot_be_said(value: Any, said: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        document_block(value, Lost())
    assert str(caught.value).startswith(said)


def test_a_document_of_text_is_text_its_title_and_context_before_it() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "It was."}
    block = {"type": "document", "source": source, "title": "T", "context": "C", "citations": {"enabled": True}}
    lost = Lost()
    assert [part["text"] for part in document_parts(block, lost)] == ["T", "C", "It was."]
    assert lost.names() == ("messages.citations",)


def test_a_document_of_blocks_is_its_parts() -> None:
    inner = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, base64_image("image/png")]
    lost = Lost()
    made = document_parts({"type": "document", "source": {"type": "content", "content": inner}}, lost)
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    assert made == [{"type": "text", "text": "a"}, image]
    assert lost.names() == ("messages.cache_control",)


def test_a_document_of_one_string_is_a_text() -> None:
    block = {"type": "document", "source": {"type": "content", "content": "a"}}
    assert document_parts(block, Lost()) == [{"type": "text", "text": "a"}]


def test_a_pdf_loses_its_context_and_has_a_name() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
    lost = Lost()
    [part] = document_parts({"type": "document", "source": source, "context": "C"}, lost)
    assert part["file"]["filename"] == "document.pdf"
    assert lost.names() == ("messages.context",)


@pytest.mark.parametrize(
    "source",
    [
        None,
        {"type": "file", "file_id": "file_1"},
        {"type": "url", "url": "https://example.org/a.pdf"},
        {"type": "base64", "media_type": "application/zip", "data": PDF},
        {"type": "base64", "media_type": "application/pdf", "data": ""},
        {"type": "text"},
        {"type": "content"},
        {"type": "content", "content": [{"type": "thinking"}]},
    ],
)
def test_a_document_that_cannot_be_said(source: Any) -> None:
    with pytest.raises(Untranslatable, match=r"^document\.source"):
        document_parts({"type": "document", "source": source}, Lost())


@pytest.mark.parametrize(
    "source", [None, {}, {"type": "file", "file_id": "f"}, {"type": "url"}, {"type": "base64", "data": PNG}]
)
def test_an_image_of_a_source_that_cannot_be_said(source: Any) -> None:
    with pytest.raises(Untranslatable, match=r"^image\.source"):
        image_part({"type": "image", "source": source}, Lost())


def test_an_images_transformations_are_lost() -> None:
    lost = Lost()
    image_part({**base64_image("image/png"), "transformations": {"a": 1}, "cache_control": {}}, lost)
    assert lost.names() == ("messages.transformations",)
