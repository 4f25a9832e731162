"""The methods of the Beamline Router by their paths, as the wire names them.

What `proto/beamline/flow/v1/flow.proto` says, without protobuf: listeners and
configuration ask for names only.
"""

from __future__ import annotations

DECIDE = b"/beamline.flow.v1.Router/Decide"

_READS = (
    b"/beamline.flow.v1.RouterAdmin/GetPolicy",
    b"/beamline.flow.v1.RouterAdmin/ListPolicies",
    b"/beamline.flow.v1.RouterAdmin/GetCheckpointStatus",
    b"/beamline.flow.v1.RouterAdmin/GetValidatorsHealth",
    b"/beamline.flow.v1.RouterAdmin/GetExtensionHealth",
    b"/beamline.flow.v1.RouterAdmin/GetCircuitBreakerStates",
    b"/beamline.flow.v1.RouterAdmin/GetPipelineComplexity",
)
_WRITES = (
    b"/beamline.flow.v1.RouterAdmin/UpsertPolicy",
    b"/beamline.flow.v1.RouterAdmin/DeletePolicy",
    b"/beamline.flow.v1.RouterAdmin/DryRunPipeline",
)

UNARY = (DECIDE, *_READS, *_WRITES)
"""All methods: none of them streams."""

IDEMPOTENT = frozenset((DECIDE, *_READS))
"""Those that may be sent twice. A decide leaves nothing behind that a client can see; a repeated upsert could
overwrite what another wrote in between, a repeated delete answers otherwise than the first, and a dry run goes
through extensions whose effects nobody here knows.
"""
