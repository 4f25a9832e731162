"""A bound admin listener around a fake view, and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from sidecar.accepting import bind
from sidecar.admin.api import admin_app
from sidecar.admin.server import serve
from sidecar.settings.address import Address
from tests.kit.fake_view import FakeView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def view() -> FakeView:
    return FakeView()


@pytest.fixture
async def admin(view: FakeView) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose paths are the admin listener's."""
    server = await serve(admin_app(view, quiet=0.05), bind(Address("127.0.0.1", 0)))
    async with aiohttp.ClientSession(f"http://{server.address}") as session:
        yield session
    await server.aclose()
