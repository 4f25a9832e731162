"""What of an answer counts: names that are some, bounded in number, and nothing that cannot be read."""

from __future__ import annotations

import contextlib

import pytest
from grpc_reflection.v1alpha import reflection_pb2 as real
from hypothesis import given
from hypothesis import strategies as st

from sidecar.upstreams.reflection_answers import (
    LONGEST_ANSWER,
    MOST_FILES,
    MOST_METHODS,
    MOST_SERVICES,
    UnreadableError,
    describe,
    list_services,
    methods,
    services,
)
from tests.kit.reflecting import FOUR_KINDS, described, file_of, listed

WANTED = frozenset({"test.S"})
AN_ERROR = real.ServerReflectionResponse(error_response=real.ErrorResponse(error_code=5, error_message="no such"))


def test_the_questions_are_those_of_the_interface() -> None:
    assert real.ServerReflectionRequest.FromString(list_services()) == real.ServerReflectionRequest(list_services="*")
    asked = real.ServerReflectionRequest.FromString(describe("test.S"))
    assert asked == real.ServerReflectionRequest(file_containing_symbol="test.S")


def test_the_answers_are_those_of_the_interface() -> None:
    named = real.ListServiceResponse(service=[real.ServiceResponse(name="test.S")])
    whole = real.ServerReflectionResponse(
        valid_host="here",
        original_request=real.ServerReflectionRequest(list_services="*"),
        list_services_response=named,
    )
    assert services(whole.SerializeToString()) == ["test.S"]
    files = real.FileDescriptorResponse(file_descriptor_proto=[FOUR_KINDS.SerializeToString()])
    whole = real.ServerReflectionResponse(valid_host="here", file_descriptor_response=files)
    assert len(list(methods(whole.SerializeToString(), WANTED))) == 4


def test_a_method_is_unary_that_streams_neither_way() -> None:
    assert list(methods(described(FOUR_KINDS), WANTED)) == [
        ("test.S", "Get", True),
        ("test.S", "Watch", False),
        ("test.S", "Put", False),
        ("test.S", "Talk", False),
    ]


def test_a_service_may_have_no_package() -> None:
    assert list(methods(described(file_of("S", package="")), {"S"})) == [("S", "Get", True)]


def test_services_that_are_not_served_do_not_count() -> None:
    """A file may define more than what this server has."""
    assert list(methods(described(file_of("S", "Other")), WANTED)) == [("test.S", "Get", True)]


def test_imports_in_a_circle_do_no_harm() -> None:
    ours, other = file_of("S", name="a.proto"), file_of("Other", name="b.proto")
    ours.dependency.extend(["a.proto", "b.proto", "missing.proto"])
    other.dependency.append("a.proto")
    assert list(methods(described(ours, other), WANTED)) == [("test.S", "Get", True)]


def test_an_error_and_an_empty_answer_tell_nothing() -> None:
    for answer in (AN_ERROR.SerializeToString(), b""):
        assert services(answer) == []
        assert list(methods(answer, WANTED)) == []


def test_what_is_named_twice_is_one() -> None:
    assert services(listed("a.S", "b.S", "a.S")) == ["a.S", "b.S"]


@pytest.mark.parametrize("name", ["", ".", "a..S", "a.S\n", "a/S", "a.S/Get", "1.S", "é.S", "a. S", "x" * 256])
def test_what_is_no_name_is_left_out(name: str) -> None:
    assert services(listed(name, "a.S")) == ["a.S"]
    file = file_of("S")
    file.service[0].method[0].name = name
    assert list(methods(described(file), WANTED)) == []


def test_a_list_is_cut_where_it_gets_too_long() -> None:
    assert len(services(listed(*(f"a.S{n}" for n in range(MOST_SERVICES + 1))))) == MOST_SERVICES


def test_a_file_is_cut_where_it_gets_too_long() -> None:
    many = file_of(*(f"X{n}" for n in range(MOST_SERVICES)), "S")
    assert list(methods(described(many), WANTED)) == []
    many = file_of("S", methods=" ".join(f"M{n}" for n in range(MOST_METHODS + 1)))
    assert len(list(methods(described(many), WANTED))) == MOST_METHODS


def test_only_so_many_files_are_looked_at() -> None:
    assert list(methods(described(*[b""] * MOST_FILES, FOUR_KINDS), WANTED)) == []


@pytest.mark.parametrize("where", [b"test", b"S", b"Get"])
def test_what_is_no_text_is_no_name(where: bytes) -> None:
    file = file_of("S").SerializeToString()
    damaged = file.replace(where, b"\xff" * len(where))
    assert list(methods(described(damaged), WANTED)) == []


@pytest.mark.parametrize(
    "answer",
    [b"\xff", b"\x32\x05short", described(b"\xff"), b"\x00" * (LONGEST_ANSWER + 1)],
    ids=["garbage", "cut-off", "no-description", "too-long"],
)
def test_what_cannot_be_read_says_so(answer: bytes) -> None:
    with pytest.raises(UnreadableError):
        list(methods(answer, frozenset(services(answer))))


def test_a_description_that_is_nested_without_end_says_so() -> None:
    nested = b""
    for _ in range(2000):
        length = len(nested)
        size = bytes([length & 0x7F | 0x80, length >> 7]) if length > 127 else bytes([length])
        nested = b"\x1a" + size + nested  # DescriptorProto.nested_type
    with pytest.raises(UnreadableError):
        list(methods(described(b"\x22" + _varint(len(nested)) + nested), WANTED))


def _varint(number: int) -> bytes:
    more = number >> 7
    return bytes([number & 0x7F | 0x80]) + _varint(more) if more else bytes([number])


@given(st.binary())
def test_any_bytes_are_read_or_unreadable(data: bytes) -> None:
    for answer in (data, described(data)):
        try:
            assert all(isinstance(name, str) for name in services(answer))
            list(methods(answer, WANTED))
        except UnreadableError:
            pass


@given(st.data())
def test_a_damaged_description_is_read_or_unreadable(data: st.DataObject) -> None:
    answer = bytearray(described(FOUR_KINDS))
    for _ in range(data.draw(st.integers(1, 4))):
        answer[data.draw(st.integers(0, len(answer) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadableError):
        list(methods(bytes(answer), WANTED))
