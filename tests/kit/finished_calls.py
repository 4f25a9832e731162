"""Finished calls to tell telemetry of."""

from __future__ import annotations

from sidecar.body import Body
from sidecar.call import Call, Step, Summary, Wire


def finished_call(
    *,
    name: str = "req-1",
    method: bytes = b"POST",
    path: bytes = b"/v1/things",
    status: int = 200,
    attempts: int = 1,
    code: str | None = None,
) -> Call:
    """With a `code`, one that came over gRPC."""
    call = Call(
        id=name,
        correlation_id=f"corr-{name}",
        wire=Wire.HTTP if code is None else Wire.GRPC,
        method=method,
        target=path + b"?api_key=hunter2" if code is None else path,
        path=path,
        headers=[(b"Authorization", b"Bearer hunter2")],
        fields={b"authorization": b"Bearer hunter2"},
        body=Body.of(b"a body that says hunter2"),
        started=50.0,
    )
    call.route = "things"
    call.upstream = "store"
    call.attempts = attempts
    call.status = status
    call.code = code or ""
    call.bytes_out = 12
    return call


def summary(*, outcome: str = "ok", seconds: float = 0.02, steps: list[Step] | None = None) -> Summary:
    return Summary(
        outcome=outcome,
        seconds=seconds,
        ttfb=seconds / 2,
        waited=0.0,
        upstream_seconds=seconds - 0.0005,
        steps=steps or [],
    )
