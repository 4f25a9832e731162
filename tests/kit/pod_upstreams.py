"""What the pods of examples/kubernetes call: a service of HTTP and one of gRPC, and the variables that lead there."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.kit.rpc import rpc_service
from tests.kit.telling import WebService, echo_and_tell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def upstreams() -> AsyncIterator[dict[str, str]]:
    """The environment that the manifest would have for them in this cluster."""
    async with WebService() as web, rpc_service(echo_and_tell) as rpc:
        yield {"CATALOG_URL": web.url, "PRICES_URL": rpc.url}
