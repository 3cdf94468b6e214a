"""Every refusal has an explanation, and its facts are in it."""

from __future__ import annotations

import pytest
from ipg_host.errors import BadCircuit, Busy, FaultLatched, NotPermitted, Unsafe, WrongState
from ipg_host.refusals import refusal
from ipg_protocol import REFUSAL_DETAIL, Reply, ResponseFlag, Role, State, Status
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform, WriteProgramBlock
from ipg_protocol.commands.therapy import SetAmplitude
from ipg_protocol.refusal import (
    BusyDetail,
    CircuitDetail,
    FaultDetail,
    FieldDetail,
    MalformedDetail,
    RangeDetail,
    RoleDetail,
    SafetyDetail,
    SafetyRule,
    StateDetail,
)
from ipg_protocol.vocabulary import FaultCode
from ipg_protocol.wire import decode, minimum_size

REQUEST = SetAmplitude(1, 0, 9900)
BLOCK = WriteProgramBlock(
    3, AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 305, 5000, 50_000, 0, 0, 0, 8000, (ContactShare(99, 1000),))
)


def explained(request, status, detail):
    return refusal(request, Reply(status, ResponseFlag(0), detail))


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_every_refusal_can_be_explained(status):
    layout = REFUSAL_DETAIL[status]
    detail = decode(layout, bytes(minimum_size(layout)))
    assert str(explained(REQUEST, status, detail)).startswith(f"SET_AMPLITUDE refused ({status.name}): ")


@pytest.mark.parametrize("rule", list(SafetyRule))
def test_every_safety_rule_can_be_explained(rule):
    error = explained(REQUEST, Status.UNSAFE_COMBINATION, SafetyDetail(rule, 1, 900, 1000))
    assert isinstance(error, Unsafe)
    assert "area 1: " in str(error)


@pytest.mark.parametrize(
    ("status", "detail", "kind", "text"),
    [
        (Status.NOT_PERMITTED, RoleDetail(Role.CLINICIAN), NotPermitted, "this takes the role CLINICIAN"),
        (Status.WRONG_STATE, StateDetail(State.MEASURING), WrongState, "not in the state MEASURING"),
        (Status.BUSY, BusyDetail(300), Busy, "for another 300 ms"),
        (Status.OPEN_CIRCUIT, CircuitDetail(255, 20_000), BadCircuit, "contact case measured 20000 ohms"),
        (Status.FAULT_LATCHED, FaultDetail(FaultCode.SHORT_CIRCUIT), FaultLatched, "SHORT_CIRCUIT is latched"),
    ],
)
def test_a_refusal_is_of_its_kind_and_tells_its_facts(status, detail, kind, text):
    error = explained(REQUEST, status, detail)
    assert isinstance(error, kind)
    assert (error.detail, error.command) == (detail, "SET_AMPLITUDE")
    assert text in str(error)


def test_fields_are_counted_through_a_nested_message():
    error = explained(BLOCK, Status.OFF_GRID, RangeDetail(4, 50, 1000, 10, 300))
    assert "pulse width 305 us; allowed are 50 us to 1000 us in steps of 10 us, the nearest is 300 us" in str(error)


def test_a_field_of_rows_is_named_without_a_value():
    error = explained(BLOCK, Status.OUT_OF_RANGE, RangeDetail(11, 0, 15, 1, 15))
    assert "contacts; allowed are 0 to 15 in steps of 1" in str(error)


@pytest.mark.parametrize(("field", "name"), [(2, "amplitude microamps"), (255, "the whole command")])
def test_a_field_number_becomes_a_name(field, name):
    assert name in str(explained(REQUEST, Status.NOT_SUPPORTED, FieldDetail(field)))
    assert name in str(explained(REQUEST, Status.MALFORMED, MalformedDetail(field, 9, 8)))
