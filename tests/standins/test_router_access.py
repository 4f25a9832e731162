"""Who gets in, and who may only look."""

from __future__ import annotations

import pytest

from sidecar.standins.router_access import Access
from sidecar.standins.router_error import RouterError

GOOD = "beamline-demo-key"
READER = "beamline-read-key"


@pytest.mark.parametrize(
    "metadata",
    [
        {"x-api-key": GOOD},
        {"authorization": GOOD},
        {"authorization": f"Bearer {GOOD}"},
        {"x-api-key": GOOD, "authorization": "wrong-altogether"},
        {"x-api-key": GOOD, "x-user-id": "demo-admin"},
    ],
)
def test_the_key_opens(metadata: dict[str, str]) -> None:
    Access().check(metadata, writes=True)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"api-key": GOOD},
        {"x-api-key": ""},
        {"x-api-key": "short"},
        {"x-api-key": f"{GOOD}x"},
        {"x-api-key": f"Bearer {GOOD}"},
        {"x-api-key": "schlüssel-der-passt"},
        {"x-api-key": "wrong-altogether", "authorization": GOOD},
        {"authorization": f"Basic {GOOD}"},
    ],
)
def test_anything_else_is_unauthenticated(metadata: dict[str, str]) -> None:
    with pytest.raises(RouterError, match=r"^unauthenticated: "):
        Access().check(metadata, writes=False)


@pytest.mark.parametrize("metadata", [{"x-api-key": READER}, {"x-api-key": GOOD, "x-user-id": "demo-viewer"}])
def test_a_reader_reads(metadata: dict[str, str]) -> None:
    Access().check(metadata, writes=False)
    with pytest.raises(RouterError, match=r"^permission_denied: this role may only read"):
        Access().check(metadata, writes=True)


def test_a_user_without_a_role_may_nothing() -> None:
    with pytest.raises(RouterError, match=r"^permission_denied: mallory has no role"):
        Access().check({"x-api-key": GOOD, "x-user-id": "mallory"}, writes=False)


def test_a_reader_gets_no_more_by_a_name() -> None:
    with pytest.raises(RouterError, match=r"^permission_denied: "):
        Access().check({"x-api-key": READER, "x-user-id": "demo-admin"}, writes=True)


@pytest.mark.parametrize("key", ["", "short", "with a space in it"])
def test_a_router_without_a_key_of_its_own_says_internal(key: str) -> None:
    with pytest.raises(RouterError, match=r"^internal: no admin key is configured"):
        Access(key).check({"x-api-key": key}, writes=False)
