"""From a refusal's code and detail to the exception to raise: which class, and what to say in the words of the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ipg_protocol import Message, Reply, Request, Status
from ipg_protocol.refusal import (
    WHOLE_MESSAGE,
    BatteryDetail,
    BootDetail,
    BusyDetail,
    CircuitDetail,
    ComplianceDetail,
    FaultDetail,
    FieldDetail,
    MalformedDetail,
    RangeDetail,
    RequestDetail,
    RevisionDetail,
    RoleDetail,
    SafetyDetail,
    SafetyRule,
    StateDetail,
)
from ipg_protocol.wire import field_names, fields

from ipg_host.errors import (
    BadCircuit,
    Busy,
    Conflict,
    FaultLatched,
    NotPermitted,
    OutOfRange,
    Refused,
    SessionLost,
    Unsafe,
    WrongState,
)
from ipg_host.units import contact_name, in_words, label

_RULES = {
    SafetyRule.CATHODES_PERMILLE: "the cathodes' shares sum to {value} permille and must sum to {limit}",
    SafetyRule.ANODES_PERMILLE: "the anodes' shares sum to {value} permille and must sum to {limit}",
    SafetyRule.CONTACT_REPEATED: "contact {value} is named twice",
    SafetyRule.PULSE_EXCEEDS_PERIOD_US: "the pulse with its recharge takes {value} us and the period has only {limit} us",
    SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS: "the charge per phase would be {value} nC and may be at most {limit} nC",
    SafetyRule.CONTACT_CURRENT_MICROAMPS: "one contact would carry {value} uA and may carry at most {limit} uA",
    SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS: "the patient's minimum {value} uA is above the maximum {limit} uA",
    SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS: "cycling needs an on time and an off time, or neither",
    SafetyRule.BLOCKS_MISSING: "{value} areas are there and {limit} are needed",
    SafetyRule.BLOCKS_CHECKSUM: "the areas' checksum is {value:#010x}, not {limit:#010x}",
    SafetyRule.SUM_OF_RATES_MILLIHERTZ: "the areas' rates sum to {value} mHz and may sum to at most {limit} mHz",
}


def _field_values(message: Message) -> list[Any]:
    """The values that details count from 0: a nested message's own in its place."""
    values: list[Any] = []
    for field in fields(type(message)):
        value = getattr(message, field.name)
        values += _field_values(value) if field.nested else [value]
    return values


def _range(request: Request[Any], detail: RangeDetail) -> str:
    names = field_names(type(request))
    if detail.field >= len(names):
        return f"allowed are {detail.minimum} to {detail.maximum} in steps of {detail.step}"
    name = names[detail.field]
    value = _field_values(request)[detail.field]
    given = f"{label(name)} {in_words(name, value)}" if isinstance(value, int) else label(name)
    least, most, step, nearest = (
        in_words(name, number) for number in (detail.minimum, detail.maximum, detail.step, detail.nearest)
    )
    return f"{given}; allowed are {least} to {most} in steps of {step}, the nearest is {nearest}"


def _safety(_: Request[Any], detail: SafetyDetail) -> str:
    area = "" if detail.area == WHOLE_MESSAGE else f"area {detail.area}: "
    return area + _RULES[detail.rule].format(value=detail.value, limit=detail.limit)


def _field_name(request: Request[Any], field: int) -> str:
    names = field_names(type(request))
    return names[field].replace("_", " ") if field < len(names) else "the whole command"


def _not_supported(request: Request[Any], detail: FieldDetail) -> str:
    return f"this model does not have what is asked for in {_field_name(request, detail.field)}"


def _malformed(request: Request[Any], detail: MalformedDetail) -> str:
    sizes = f"{detail.received_size} bytes received, {detail.expected_size} expected"
    return f"{_field_name(request, detail.field)} is not as the device's protocol has it ({sizes})"


def _circuit(_: Request[Any], detail: CircuitDetail) -> str:
    return f"contact {contact_name(detail.contact)} measured {detail.ohms} ohms"


def _compliance(_: Request[Any], detail: ComplianceDetail) -> str:
    return f"contact {contact_name(detail.contact)} limits the output to {detail.deliverable_microamps} uA"


def _battery(_: Request[Any], detail: BatteryDetail) -> str:
    needed = f"{detail.required_millivolts} mV are needed"
    return f"the battery is at {detail.tier.name} with {detail.millivolts} mV, and {needed}"


def _fault(_: Request[Any], detail: FaultDetail) -> str:
    return f"the fault {detail.fault.name} is latched; clear it first"


def _state(_: Request[Any], detail: StateDetail) -> str:
    return f"not in the state {detail.state.name}"


def _no_session(_: Request[Any], detail: BootDetail) -> str:
    return f"no session is open (boot {detail.boot_counter}); open one first"


def _role(_: Request[Any], detail: RoleDetail) -> str:
    return f"this takes the role {detail.required.name}"


def _busy(_: Request[Any], detail: BusyDetail) -> str:
    return f"a measurement is under way for another {detail.retry_after_ms} ms"


def _revision(_: Request[Any], detail: RevisionDetail) -> str:
    return f"the configuration stands at revision {detail.revision}; read it again first"


def _request_id(_: Request[Any], detail: RequestDetail) -> str:
    return f"it has request {detail.request_id} on record"


def _plain(text: str) -> Callable[[Request[Any], Message], str]:
    return lambda _request, _detail: text


_EXPLAIN: dict[Status, Callable[[Request[Any], Any], str]] = {
    Status.UNKNOWN_COMMAND: _plain("the device does not know this command"),
    Status.MALFORMED: _malformed,
    Status.NOT_PERMITTED: _role,
    Status.NO_SESSION: _no_session,
    Status.WRONG_STATE: _state,
    Status.OUT_OF_RANGE: _range,
    Status.OFF_GRID: _range,
    Status.UNSAFE_COMBINATION: _safety,
    Status.BUSY: _busy,
    Status.NOT_SUPPORTED: _not_supported,
    Status.CONFLICT: _revision,
    Status.ID_REUSED: _request_id,
    Status.STALE: _request_id,
    Status.PENDING: _request_id,
    Status.ABORTED: _request_id,
    Status.TOO_LATE: _request_id,
    Status.COMPLIANCE: _compliance,
    Status.OPEN_CIRCUIT: _circuit,
    Status.SHORT_CIRCUIT: _circuit,
    Status.BATTERY_TOO_LOW: _battery,
    Status.FAULT_LATCHED: _fault,
    Status.STORAGE_FAILED: _plain("the device could not store it"),
}

_CLASS: dict[Status, type[Refused]] = {
    Status.NOT_PERMITTED: NotPermitted,
    Status.NO_SESSION: SessionLost,
    Status.WRONG_STATE: WrongState,
    Status.OUT_OF_RANGE: OutOfRange,
    Status.OFF_GRID: OutOfRange,
    Status.UNSAFE_COMBINATION: Unsafe,
    Status.BUSY: Busy,
    Status.CONFLICT: Conflict,
    Status.OPEN_CIRCUIT: BadCircuit,
    Status.SHORT_CIRCUIT: BadCircuit,
    Status.FAULT_LATCHED: FaultLatched,
}


def refusal(request: Request[Any], reply: Reply) -> Refused:
    """The exception for a reply that is not OK."""
    refused = _CLASS.get(reply.status, Refused)
    return refused(request, reply.status, reply.body, _EXPLAIN[reply.status](request, cast("Any", reply.body)))
