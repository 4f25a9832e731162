"""Who may ask follows from where the listener is bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.admin.view import Access
from tests.kit.fake_view import FakeView

if TYPE_CHECKING:
    from sidecar.admin.view import AdminView


def test_access_follows_the_address() -> None:
    assert Access.at("127.0.0.1:7072") == Access("", loopback=True, check_host=True)
    assert Access.at("0.0.0.0:7072", "t") == Access("t", loopback=False, check_host=False)
    assert Access.at("unix:/x") == Access("", loopback=True, check_host=False)


def test_the_fake_is_a_view() -> None:
    view: AdminView = FakeView()
    assert view.configured
