"""From a refusal's code and detail to the exception to raise: which class, and what to say in the words of the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ipg_protocol import COMMAND_OF, Message, Reply, Request, State, Status
from ipg_protocol.commands.programs import AreaSettings
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
    NotSupported,
    OutOfRange,
    Refused,
    SessionLost,
    Unsafe,
    WrongState,
)
from ipg_host.programs import amplitude_unit
from ipg_host.units import AmplitudeUnit, contact_name, in_words, label, named_in

_RULES = {
    SafetyRule.CATHODES_PERMILLE: "the cathodes' shares sum to {value} and must sum to {limit}",
    SafetyRule.ANODES_PERMILLE: "the anodes' shares sum to {value} and must sum to {limit}",
    SafetyRule.CONTACT_REPEATED: "contact {contact} is named twice",
    SafetyRule.PULSE_EXCEEDS_PERIOD_US: "the pulse with its recharge takes {value} and the period has only {limit}",
    SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS: "the charge per phase would be {value} and may be at most {limit}",
    SafetyRule.CONTACT_CURRENT_MICROAMPS: "one contact would carry {value} and may carry at most {limit}",
    SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS: "the patient's minimum {value} is above the maximum {limit}",
    SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS: "cycling needs an on time and an off time, or neither",
    SafetyRule.BLOCKS_MISSING: "{value} areas are there and {limit} are needed",
    SafetyRule.BLOCKS_CHECKSUM: "the areas' checksum is {0:#010x}, not {1:#010x}",
    SafetyRule.SUM_OF_RATES_MILLIHERTZ: "the areas' rates sum to {value} and may sum to at most {limit}",
    SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE: (
        "the charge density at a contact would be {value} per phase and may be at most {limit}"
    ),
    SafetyRule.SHANNON_K_PERMILLE: (
        "charge and charge density at a contact give a Shannon k of {value}, which may be at most {limit}"
    ),
    SafetyRule.AREAS_OVERLAP_US: "the areas' pulses cannot be kept apart: together they need {value}, and there are {limit}",
    SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ: "a burst needs two pulses or more and their rate, got {0} at {limit}",
    SafetyRule.DOSE_CHARGE_MICROCOULOMBS: "the charge of a dose would be {value} and may be at most {limit}",
    SafetyRule.DOSES_PER_DAY: "the day would have {value} doses and may have at most {limit}",
    SafetyRule.SCHEDULE_OVERLAP_MINUTES: "two rows of the schedule overlap by {value}",
    SafetyRule.IMPEDANCE_NOT_MEASURED: (
        "contact {contact} has not been measured since the device started; `ipg-host impedance` measures all of them"
    ),
    SafetyRule.FEEDBACK_MINIMUM_ABOVE_MAXIMUM_MICROAMPS: "the loop's minimum {value} is above its maximum {limit}",
}
"""`value` and `limit` are in words, in the unit that the rule's name ends in; 0 and 1 are their numbers."""

_ENDLESS = 0xFFFF_FFFF
"""As the charge of a dose: it has no end."""


def _field_values(message: Message) -> list[Any]:
    """The values that details count from 0: a nested message's own in its place."""
    values: list[Any] = []
    for field in fields(type(message)):
        value = getattr(message, field.name)
        values += _field_values(value) if field.nested else [value]
    return values


def _unit_in(request: Request[Any], unit: AmplitudeUnit) -> AmplitudeUnit:
    """What amplitudes in a request are counted in: its waveform says so, or else the device."""
    settings = getattr(request, "settings", None)
    return amplitude_unit(settings.waveform) if isinstance(settings, AreaSettings) else unit


def _range(request: Request[Any], detail: RangeDetail, unit: AmplitudeUnit) -> str:
    names = field_names(type(request))
    if detail.field >= len(names):
        return f"allowed are {detail.minimum} to {detail.maximum} in steps of {detail.step}"
    name = named_in(_unit_in(request, unit), names[detail.field])
    value = _field_values(request)[detail.field]
    given = f"{label(name)} {in_words(name, value)}" if isinstance(value, int) else label(name)
    least, most, step, nearest = (
        in_words(name, number) for number in (detail.minimum, detail.maximum, detail.step, detail.nearest)
    )
    if isinstance(value, int) and value != detail.nearest and detail.minimum <= value <= detail.maximum and detail.step == 1:
        return f"{given} is not there now; the nearest that is, is {nearest}"
    return f"{given}; allowed are {least} to {most} in steps of {step}, the nearest is {nearest}"


def _safety(request: Request[Any], detail: SafetyDetail, unit: AmplitudeUnit) -> str:
    area = "" if detail.area == WHOLE_MESSAGE else f"area {detail.area}: "
    name = named_in(_unit_in(request, unit), detail.rule.name.lower())
    endless = detail.rule is SafetyRule.DOSE_CHARGE_MICROCOULOMBS and detail.value == _ENDLESS
    return area + _RULES[detail.rule].format(
        detail.value,
        detail.limit,
        value="without end" if endless else in_words(name, detail.value),
        limit=in_words(name, detail.limit),
        contact=contact_name(detail.value),
    )


def _field_name(request: Request[Any], field: int) -> str:
    names = field_names(type(request))
    return names[field].replace("_", " ") if field < len(names) else "the whole command"


def _not_supported(request: Request[Any], detail: FieldDetail) -> str:
    if detail.field == WHOLE_MESSAGE:
        return f"this model has no {COMMAND_OF[type(request)].name}"
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
    hint = "; `ipg-host modes` shows what holds therapy off" if detail.state is State.SUSPENDED else ""
    return f"not in the state {detail.state.name}{hint}"


def _no_session(_: Request[Any], detail: BootDetail) -> str:
    return f"no session is open (boot {detail.boot_counter}); open one first"


def _role(_: Request[Any], detail: RoleDetail) -> str:
    return f"this takes the role {detail.required.name}"


def _busy(_: Request[Any], detail: BusyDetail) -> str:
    return f"a measurement or a self-test is under way for another {detail.retry_after_ms} ms"


def _revision(_: Request[Any], detail: RevisionDetail) -> str:
    return f"the configuration stands at revision {detail.revision}; read it again first"


def _with_request(text: str) -> Callable[[Request[Any], RequestDetail], str]:
    return lambda _request, detail: text.format(detail.request_id)


def _plain(text: str) -> Callable[[Request[Any], Message], str]:
    return lambda _request, _detail: text


_EXPLAIN: dict[Status, Callable[[Request[Any], Any], str]] = {
    Status.UNKNOWN_COMMAND: _plain("the device does not know this command"),
    Status.MALFORMED: _malformed,
    Status.NOT_PERMITTED: _role,
    Status.NO_SESSION: _no_session,
    Status.WRONG_STATE: _state,
    Status.BUSY: _busy,
    Status.NOT_SUPPORTED: _not_supported,
    Status.CONFLICT: _revision,
    Status.ID_REUSED: _with_request("the number {} was used for another request"),
    Status.STALE: _with_request("it is older than what the device keeps answers of; the newest is request {}"),
    Status.PENDING: _with_request("request {} is still being carried out"),
    Status.ABORTED: _with_request("request {} was aborted before it took effect"),
    Status.TOO_LATE: _with_request("request {} has taken effect already"),
    Status.COMPLIANCE: _compliance,
    Status.OPEN_CIRCUIT: _circuit,
    Status.SHORT_CIRCUIT: _circuit,
    Status.BATTERY_TOO_LOW: _battery,
    Status.FAULT_LATCHED: _fault,
    Status.STORAGE_FAILED: _plain("the device could not store it"),
}

_EXPLAIN_IN_UNIT: dict[Status, Callable[[Request[Any], Any, AmplitudeUnit], str]] = {
    Status.OUT_OF_RANGE: _range,
    Status.OFF_GRID: _range,
    Status.UNSAFE_COMBINATION: _safety,
}

_CLASS: dict[Status, type[Refused]] = {
    Status.NOT_PERMITTED: NotPermitted,
    Status.NO_SESSION: SessionLost,
    Status.WRONG_STATE: WrongState,
    Status.OUT_OF_RANGE: OutOfRange,
    Status.OFF_GRID: OutOfRange,
    Status.UNSAFE_COMBINATION: Unsafe,
    Status.BUSY: Busy,
    Status.NOT_SUPPORTED: NotSupported,
    Status.CONFLICT: Conflict,
    Status.OPEN_CIRCUIT: BadCircuit,
    Status.SHORT_CIRCUIT: BadCircuit,
    Status.FAULT_LATCHED: FaultLatched,
}


def refusal(request: Request[Any], reply: Reply, unit: AmplitudeUnit = AmplitudeUnit.MICROAMPS) -> Refused:
    """The exception for a reply that is not OK; `unit` is what the device's amplitudes are counted in."""
    refused, detail = _CLASS.get(reply.status, Refused), cast("Any", reply.body)
    if reply.status in _EXPLAIN_IN_UNIT:
        text = _EXPLAIN_IN_UNIT[reply.status](request, detail, unit)
    else:
        text = _EXPLAIN[reply.status](request, detail)
    return refused(request, reply.status, reply.body, text)
