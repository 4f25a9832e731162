"""Which gRPC methods are known, and which are unary."""

from __future__ import annotations

import pytest

from sidecar.methods import Methods

DECIDE = b"/beamline.flow.v1.Router/Decide"


def test_the_routers_own_methods_are_known_without_a_word_in_the_file() -> None:
    methods = Methods()
    assert methods.is_unary(DECIDE)
    assert methods.name(DECIDE) == "beamline.flow.v1.Router/Decide"


@pytest.mark.parametrize(
    ("pattern", "path", "unary"),
    [
        ("pkg.S/Get", b"/pkg.S/Get", True),
        ("pkg.S/Get", b"/pkg.S/GetAll", False),
        ("pkg.S/*", b"/pkg.S/Anything", True),
        ("pkg.*", b"/pkg.S/Anything", True),
        ("pkg.S/*", b"/other.S/Get", False),
    ],
)
def test_the_file_says_which_are_unary(pattern: str, path: bytes, *, unary: bool) -> None:
    assert Methods([pattern]).is_unary(path) is unary


def test_a_method_that_a_caller_made_up_has_no_name_in_metrics() -> None:
    assert Methods(["pkg.S/*"]).name(b"/pkg.S/MadeUp") == "other"


def test_what_an_upstream_tells_is_known_from_then_on() -> None:
    methods = Methods()
    methods.learn({b"/pkg.S/Get": True, b"/pkg.S/Watch": False})
    assert methods.is_unary(b"/pkg.S/Get")
    assert not methods.is_unary(b"/pkg.S/Watch")
    assert methods.name(b"/pkg.S/Watch") == "pkg.S/Watch"


@pytest.mark.parametrize("told", [(True, False), (False, True)])
def test_where_upstreams_do_not_agree_it_is_a_stream(told: tuple[bool, bool]) -> None:
    methods = Methods()
    for unary in told:
        methods.learn({b"/pkg.S/Get": unary})
    assert not methods.is_unary(b"/pkg.S/Get")


def test_what_the_file_says_is_not_untold() -> None:
    methods = Methods(["pkg.S/Get"])
    methods.learn({b"/pkg.S/Get": False, DECIDE: False})
    assert methods.is_unary(b"/pkg.S/Get")
    assert methods.is_unary(DECIDE)
