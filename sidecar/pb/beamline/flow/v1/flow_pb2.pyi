from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Message(_message.Message):
    __slots__ = ("message_id", "tenant_id", "trace_id", "message_type", "payload", "metadata", "timestamp_ms", "run_id", "flow_id", "step_id", "idempotency_key", "span_id")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FLOW_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    message_id: str
    tenant_id: str
    trace_id: str
    message_type: str
    payload: bytes
    metadata: _containers.ScalarMap[str, str]
    timestamp_ms: int
    run_id: str
    flow_id: str
    step_id: str
    idempotency_key: str
    span_id: str
    def __init__(self, message_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., message_type: _Optional[str] = ..., payload: _Optional[bytes] = ..., metadata: _Optional[_Mapping[str, str]] = ..., timestamp_ms: _Optional[int] = ..., run_id: _Optional[str] = ..., flow_id: _Optional[str] = ..., step_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., span_id: _Optional[str] = ...) -> None: ...

class RouteRequest(_message.Message):
    __slots__ = ("message", "policy_id", "context")
    class ContextEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    message: Message
    policy_id: str
    context: _containers.ScalarMap[str, str]
    def __init__(self, message: _Optional[_Union[Message, _Mapping]] = ..., policy_id: _Optional[str] = ..., context: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RouteDecision(_message.Message):
    __slots__ = ("provider_id", "reason", "priority", "expected_latency_ms", "expected_cost", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COST_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    provider_id: str
    reason: str
    priority: int
    expected_latency_ms: int
    expected_cost: float
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, provider_id: _Optional[str] = ..., reason: _Optional[str] = ..., priority: _Optional[int] = ..., expected_latency_ms: _Optional[int] = ..., expected_cost: _Optional[float] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AdminProvider(_message.Message):
    __slots__ = ("id", "weight")
    ID_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    id: str
    weight: float
    def __init__(self, id: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class AdminRule(_message.Message):
    __slots__ = ("match", "prefer", "fallback")
    MATCH_FIELD_NUMBER: _ClassVar[int]
    PREFER_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    match: str
    prefer: _containers.RepeatedScalarFieldContainer[str]
    fallback: str
    def __init__(self, match: _Optional[str] = ..., prefer: _Optional[_Iterable[str]] = ..., fallback: _Optional[str] = ...) -> None: ...

class AdminPolicy(_message.Message):
    __slots__ = ("policy_id", "providers", "sticky", "rules", "tenant_id", "version", "weights", "defaults", "escalate_on", "fallback", "metadata")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class DefaultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    STICKY_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    ESCALATE_ON_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    policy_id: str
    providers: _containers.RepeatedCompositeFieldContainer[AdminProvider]
    sticky: bool
    rules: _containers.RepeatedCompositeFieldContainer[AdminRule]
    tenant_id: str
    version: str
    weights: _containers.ScalarMap[str, float]
    defaults: _containers.ScalarMap[str, str]
    escalate_on: _containers.RepeatedScalarFieldContainer[str]
    fallback: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, policy_id: _Optional[str] = ..., providers: _Optional[_Iterable[_Union[AdminProvider, _Mapping]]] = ..., sticky: _Optional[bool] = ..., rules: _Optional[_Iterable[_Union[AdminRule, _Mapping]]] = ..., tenant_id: _Optional[str] = ..., version: _Optional[str] = ..., weights: _Optional[_Mapping[str, float]] = ..., defaults: _Optional[_Mapping[str, str]] = ..., escalate_on: _Optional[_Iterable[str]] = ..., fallback: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class UpsertPolicyRequest(_message.Message):
    __slots__ = ("tenant_id", "policy")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    policy: AdminPolicy
    def __init__(self, tenant_id: _Optional[str] = ..., policy: _Optional[_Union[AdminPolicy, _Mapping]] = ...) -> None: ...

class UpsertPolicyResponse(_message.Message):
    __slots__ = ("ok", "policy", "created")
    OK_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    policy: AdminPolicy
    created: bool
    def __init__(self, ok: _Optional[bool] = ..., policy: _Optional[_Union[AdminPolicy, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class DeletePolicyRequest(_message.Message):
    __slots__ = ("tenant_id", "policy_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    policy_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., policy_id: _Optional[str] = ...) -> None: ...

class DeletePolicyResponse(_message.Message):
    __slots__ = ("ok", "deleted")
    OK_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    deleted: bool
    def __init__(self, ok: _Optional[bool] = ..., deleted: _Optional[bool] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ("tenant_id", "policy_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    policy_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., policy_id: _Optional[str] = ...) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: AdminPolicy
    def __init__(self, policy: _Optional[_Union[AdminPolicy, _Mapping]] = ...) -> None: ...

class ListPoliciesRequest(_message.Message):
    __slots__ = ("tenant_id", "limit", "offset")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    limit: int
    offset: int
    def __init__(self, tenant_id: _Optional[str] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class ListPoliciesResponse(_message.Message):
    __slots__ = ("policies", "total")
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[AdminPolicy]
    total: int
    def __init__(self, policies: _Optional[_Iterable[_Union[AdminPolicy, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class GetCheckpointStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCheckpointStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: CheckpointStatus
    def __init__(self, status: _Optional[_Union[CheckpointStatus, _Mapping]] = ...) -> None: ...

class CheckpointStatus(_message.Message):
    __slots__ = ("current_cp", "cp2_plus_allowed", "updated_at_ms")
    CURRENT_CP_FIELD_NUMBER: _ClassVar[int]
    CP2_PLUS_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    current_cp: str
    cp2_plus_allowed: bool
    updated_at_ms: int
    def __init__(self, current_cp: _Optional[str] = ..., cp2_plus_allowed: _Optional[bool] = ..., updated_at_ms: _Optional[int] = ...) -> None: ...

class GetValidatorsHealthRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetValidatorsHealthResponse(_message.Message):
    __slots__ = ("validators",)
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    validators: _containers.RepeatedCompositeFieldContainer[ValidatorStatus]
    def __init__(self, validators: _Optional[_Iterable[_Union[ValidatorStatus, _Mapping]]] = ...) -> None: ...

class ValidatorStatus(_message.Message):
    __slots__ = ("name", "status", "timestamp_ms", "details")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: str
    timestamp_ms: int
    details: str
    def __init__(self, name: _Optional[str] = ..., status: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., details: _Optional[str] = ...) -> None: ...

class GetExtensionHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetExtensionHealthResponse(_message.Message):
    __slots__ = ("extensions",)
    EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    extensions: _containers.RepeatedCompositeFieldContainer[ExtensionHealth]
    def __init__(self, extensions: _Optional[_Iterable[_Union[ExtensionHealth, _Mapping]]] = ...) -> None: ...

class ExtensionHealth(_message.Message):
    __slots__ = ("name", "status", "latency_ms", "details")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: str
    latency_ms: int
    details: str
    def __init__(self, name: _Optional[str] = ..., status: _Optional[str] = ..., latency_ms: _Optional[int] = ..., details: _Optional[str] = ...) -> None: ...

class GetCircuitBreakerStatesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCircuitBreakerStatesResponse(_message.Message):
    __slots__ = ("states",)
    STATES_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedCompositeFieldContainer[CircuitBreakerState]
    def __init__(self, states: _Optional[_Iterable[_Union[CircuitBreakerState, _Mapping]]] = ...) -> None: ...

class CircuitBreakerState(_message.Message):
    __slots__ = ("tenant_id", "provider_id", "state", "failure_count", "opened_at_ms")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    provider_id: str
    state: str
    failure_count: int
    opened_at_ms: int
    def __init__(self, tenant_id: _Optional[str] = ..., provider_id: _Optional[str] = ..., state: _Optional[str] = ..., failure_count: _Optional[int] = ..., opened_at_ms: _Optional[int] = ...) -> None: ...

class DryRunPipelineRequest(_message.Message):
    __slots__ = ("tenant_id", "policy_id", "payload")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    policy_id: str
    payload: bytes
    def __init__(self, tenant_id: _Optional[str] = ..., policy_id: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class DryRunPipelineResponse(_message.Message):
    __slots__ = ("ok", "steps", "decision")
    OK_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    steps: _containers.RepeatedCompositeFieldContainer[DryRunStep]
    decision: RouteDecision
    def __init__(self, ok: _Optional[bool] = ..., steps: _Optional[_Iterable[_Union[DryRunStep, _Mapping]]] = ..., decision: _Optional[_Union[RouteDecision, _Mapping]] = ...) -> None: ...

class DryRunStep(_message.Message):
    __slots__ = ("name", "outcome")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    name: str
    outcome: str
    def __init__(self, name: _Optional[str] = ..., outcome: _Optional[str] = ...) -> None: ...

class GetPipelineComplexityRequest(_message.Message):
    __slots__ = ("tenant_id", "policy_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    POLICY_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    policy_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., policy_id: _Optional[str] = ...) -> None: ...

class GetPipelineComplexityResponse(_message.Message):
    __slots__ = ("score", "level", "steps", "warnings")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    score: float
    level: str
    steps: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, score: _Optional[float] = ..., level: _Optional[str] = ..., steps: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...
