"""A decide's payload, metadata, context and policy, from each shape into each."""

from __future__ import annotations

import pytest

from sidecar.dialects.decide import loads
from sidecar.dialects.decide_request import complete_real, payload_object, with_policy
from sidecar.pb.beamline.flow.v1.flow_pb2 import Message, RouteRequest
from tests.kit.decides import DOCUMENTED, REAL, ROUTE_REQUEST, asked, asked_by_grpc, real, routed, without

# payload


@pytest.mark.parametrize(
    ("payload", "due"),
    [
        ({"a": [1, None]}, {"a": [1, None]}),
        ('{"a": 1}', {"a": 1}),
        ("Hello", {"text": "Hello"}),
        ("", {"text": ""}),
        ("[1]", {"text": "[1]"}),
        ("{broken", {"text": "{broken"}),
    ],
)
def test_a_documented_payload_as_an_object(payload: object, due: object) -> None:
    body = real(asked({"message": {"type": "t", "payload": payload}}))
    assert body["payload"] == body["task"]["payload"] == due


@pytest.mark.parametrize(
    ("payload", "due"),
    [
        (b'{"a": 1}', {"a": 1}),
        ("Zoë".encode(), {"text": "Zoë"}),
        (b"", {"text": ""}),
        (b"[1]", {"text": "[1]"}),
        (b"\xff\x00", {"base64": "/wA="}),
    ],
)
def test_a_grpc_payload_as_an_object(payload: bytes, due: object) -> None:
    decide = asked_by_grpc(RouteRequest(message=Message(payload=payload)))
    assert payload_object(decide) == due


@pytest.mark.parametrize(
    ("payload", "due"),
    [("Hello ë", "Hello ë".encode()), ('{"a": 1}', b'{"a": 1}'), ({"a": [1, "ë"]}, '{"a":[1,"ë"]}'.encode())],
)
def test_a_payload_as_bytes(payload: object, due: bytes) -> None:
    assert routed(asked({"message": {"type": "t", "payload": payload}})).message.payload == due


# metadata, context, policy


def test_values_become_texts() -> None:
    metadata = {
        "text": "t",
        "number": 1.5,
        "yes": True,
        "list": [1, "a"],
        "none": None,
        "empty": [],
        "object": {"a": 1},
    }
    message = routed(asked({"message": {"type": "t", "payload": {}, "metadata": metadata}, "context": metadata}))
    texts = {
        "text": "t",
        "number": "1.5",
        "yes": "true",
        "list": '[1,"a"]',
        "none": "",
        "empty": "",
        "object": '{"a":1}',
    }
    assert dict(message.message.metadata) == dict(message.context) == texts


def test_a_runs_id_travels_in_the_context() -> None:
    assert asked({**DOCUMENTED, "run_id": "run-1"}).context == {"run_id": "run-1", "session_id": "s1"}
    assert asked({**REAL, "run_id": "run-1", "context": {"run_id": "mine"}}).context == {"run_id": "mine"}


def test_who_names_no_policy_gets_the_default_one() -> None:
    assert real(asked(without(DOCUMENTED, "policy_id")))["policy_id"] == "default"
    assert routed(asked(without(REAL, "policy_id"))).policy_id == "default"
    assert real(asked_by_grpc(RouteRequest()))["policy_id"] == "default"


def test_the_default_policy_is_named_behind_the_message_as_it_came() -> None:
    sent = RouteRequest(message=ROUTE_REQUEST.message, context={"a": "b"}).SerializeToString()
    assert with_policy(sent) == sent + b"\x12\x07default"
    assert RouteRequest.FromString(with_policy(sent)).policy_id == "default"
    assert RouteRequest.FromString(with_policy(b"")).policy_id == "default"


def test_a_named_policy_and_what_cannot_be_read_stay_as_they_are() -> None:
    sent = ROUTE_REQUEST.SerializeToString()
    assert with_policy(sent) is sent
    assert with_policy(b"\x0a\xff") == b"\x0a\xff"


def test_an_empty_policy_is_the_default_one_on_both_ways() -> None:
    sent = {**REAL, "policy_id": ""}
    completed = complete_real(asked(sent), sent)
    assert completed is not None
    assert loads(completed) == {**REAL, "policy_id": "default"}
    assert routed(asked(sent)).policy_id == "default"
