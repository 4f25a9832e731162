"""Ids and trace contexts, ours and the caller's."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ids import Ids, sane

TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


def test_ids_are_new_each_time_and_fit_to_be_kept() -> None:
    ids = Ids()
    made = [ids.new() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {len(one) for one in made} == {28}
    assert all(sane(one.encode()) == one for one in made)


def test_two_processes_do_not_make_the_same() -> None:
    assert Ids().new()[:12] != Ids().new()[:12]


def test_a_trace_context_is_begun() -> None:
    ids = Ids()
    made = [ids.traceparent(None) for _ in range(100)]
    assert all(TRACEPARENT.fullmatch(one) for one in made)
    assert len({one.split(b"-")[1] for one in made}) == len({one.split(b"-")[2] for one in made}) == 100


@pytest.mark.parametrize("digits", [slice(21, 35), slice(39, 52)], ids=["trace", "span"])
def test_a_sampler_that_looks_at_the_right_part_of_an_id_sees_chance(digits: slice) -> None:
    """Each bit is set in about half of 4096 ids (512 are 16 standard deviations), and no two are neighbours."""
    ids = Ids()
    right = [int(ids.traceparent(None)[digits], 16) for _ in range(4096)]
    for bit in range(4 * (digits.stop - digits.start)):
        assert abs(sum(number >> bit & 1 for number in right) - 2048) < 512, bit
    assert min(abs(a - b) for a, b in pairwise(right)) > 1 << 20


def test_nobody_seeds_the_chance() -> None:
    random.seed(1)
    one = Ids().traceparent(None)
    random.seed(1)
    assert Ids().traceparent(None) != one


@pytest.mark.parametrize(
    "sent",
    [
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
        b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings",
    ],
)
def test_a_trace_context_is_continued(sent: bytes) -> None:
    assert Ids().traceparent(sent) == sent


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"banana",
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01extra",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-version-00-has-no-more",
    ],
)
def test_what_is_no_trace_context_is_replaced(sent: bytes) -> None:
    made = Ids().traceparent(sent)
    assert made != sent
    assert TRACEPARENT.fullmatch(made)


@pytest.mark.parametrize("sent", [b"a", b"x" * 128, b"A-z.0_9:/+=@", b"550e8400-e29b-41d4-a716-446655440000"])
def test_a_sane_id_is_kept(sent: bytes) -> None:
    assert sane(sent) == sent.decode()


@pytest.mark.parametrize("sent", [None, b"", b"x" * 129, b"a b", b"a\n", b"\xc3\xa9", b'"', b"a;b", b"<script>"])
def test_another_is_not(sent: bytes | None) -> None:
    assert sane(sent) == ""


@given(st.binary(max_size=140))
def test_what_is_kept_can_stand_in_a_header_and_in_a_log(sent: bytes) -> None:
    kept = sane(sent)
    assert kept in ("", sent.decode("latin-1"))
    assert kept.isprintable()
    assert len(kept) <= 128
