"""The seven services of this example, in one process, each on its own port.

    python examples/ai-gateway/services.py
    python examples/ai-gateway/services.py --fault fraud=slow:delay=3 --fault search=fail:share=0.5

Their answers look real and are made from the question alone: the same question has
the same answer. `POST /_fault` on a service's own port switches its fault meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

from aiohttp import web

from sidecar.standins.faults import HEALTHY, Fault
from sidecar.standins.http import StandIn, fault_argument, serve_until_stopped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SKUS = ("mug-01", "tee-07", "cap-03", "pen-12", "bag-09", "sock-05")
SUMMARY = "Your order 4711 left our warehouse this morning and should reach you on Thursday."


def share(*parts: object) -> float:
    """A number from 0 up to 1 that belongs to these words: what a model would have said of them."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4]) / 2**32


async def question(request: web.BaseRequest) -> dict[str, object]:
    """The request's JSON object; one that is none is answered with 422."""
    try:
        asked = json.loads(await request.read() or b"{}")
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise web.HTTPUnprocessableEntity(text='{"error": "a JSON object is wanted"}', content_type="application/json")
    return asked


async def recommendations(request: web.BaseRequest) -> web.StreamResponse:
    user = request.path.rpartition("/")[2]
    ranked = sorted(SKUS, key=lambda sku: share(user, sku), reverse=True)[:3]
    items = [{"sku": sku, "score": round(share(user, sku), 3)} for sku in ranked]
    return web.json_response({"user": user, "items": items, "source": "model"})


async def search(request: web.BaseRequest) -> web.StreamResponse:
    words = request.query.get("q", "")
    hits = [sku for sku in SKUS if sku.partition("-")[0] in words.lower()] or list(SKUS[:2])
    return web.json_response({"query": words, "total": len(hits), "hits": [{"sku": sku} for sku in hits]})


async def pricing(request: web.BaseRequest) -> web.StreamResponse:
    asked = await question(request)
    quantity = asked.get("quantity", 1)
    unit = round(5 + 20 * share(asked.get("sku")), 2)
    discount = 0.1 if isinstance(quantity, int) and quantity >= 10 else 0.0
    return web.json_response({"sku": asked.get("sku"), "unit_price": unit, "discount": discount, "currency": "EUR"})


async def chat(request: web.BaseRequest) -> web.StreamResponse:
    asked = await question(request)
    if not asked.get("stream"):
        return web.json_response({"reply": SUMMARY, "finished": True})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for word in SUMMARY.split():
        await response.write(f"data: {json.dumps({'delta': word + ' '})}\n\n".encode())
        await asyncio.sleep(0.02)
    await response.write(b'data: {"finished": true}\n\n')
    return response


async def fraud(request: web.BaseRequest) -> web.StreamResponse:
    asked = await question(request)
    amount = asked.get("amount", 0)
    score = round(share(asked.get("card")) * 0.3 + (0.6 if isinstance(amount, int | float) and amount > 5000 else 0), 3)
    reasons = ["unusual amount"] if score > 0.5 else []
    return web.json_response({"score": score, "decision": "review" if reasons else "accept", "reasons": reasons})


async def forecast(request: web.BaseRequest) -> web.StreamResponse:
    sku, asked = request.query.get("sku", SKUS[0]), request.query.get("days", "3")
    days = min(int(asked), 31) if asked.isdecimal() else 3
    return web.json_response(
        {
            "sku": sku,
            "daily": [{"day": day, "units": 20 + int(30 * share(sku, day))} for day in range(1, days + 1)],
        }
    )


async def vision(request: web.BaseRequest) -> web.StreamResponse:
    digest = hashlib.sha256()
    size = 0
    async for piece in request.content.iter_any():
        digest.update(piece)
        size += len(piece)
    label = SKUS[digest.digest()[0] % len(SKUS)]
    return web.json_response({"labels": [{"sku": label, "confidence": 0.93}], "bytes": size})


SERVICES: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
    "recommendations": recommendations,
    "search": search,
    "pricing": pricing,
    "chat": chat,
    "fraud": fraud,
    "forecast": forecast,
    "vision": vision,
}


def one_fault(text: str) -> tuple[str, Fault]:
    """`NAME=FAULT`."""
    name, _, fault = text.partition("=")
    if name not in SERVICES:
        raise argparse.ArgumentTypeError(f"no service {name!r} (allowed: {', '.join(SERVICES)})")
    return name, fault_argument(fault)


def main() -> None:
    parser = argparse.ArgumentParser(description="The seven services of this example.")
    parser.add_argument("--port", type=int, default=9101, help="of the first; the others follow. 0 takes free ones")
    parser.add_argument("--fault", type=one_fault, action="append", default=[], metavar="NAME=KIND[:key=value,…]")
    asked = parser.parse_args()
    faults: dict[str, Fault] = dict(asked.fault)
    standins = [
        StandIn(name, port=asked.port and asked.port + at, fault=faults.get(name, HEALTHY), answer=answer)
        for at, (name, answer) in enumerate(SERVICES.items())
    ]
    asyncio.run(serve_until_stopped(*standins))


if __name__ == "__main__":
    main()
