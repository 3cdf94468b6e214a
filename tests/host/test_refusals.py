"""Every refusal has an explanation, and its facts are in it."""

from __future__ import annotations

import msgspec
import pytest
from ipg_host.errors import BadCircuit, Busy, FaultLatched, NotPermitted, NotSupported, Refused, Unsafe, WrongState
from ipg_host.refusals import refusal
from ipg_host.units import AmplitudeUnit
from ipg_protocol import REFUSAL_DETAIL, Reply, ResponseFlag, Role, State, Status
from ipg_protocol.commands.power import GetCharging
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform, WriteProgramBlock
from ipg_protocol.commands.therapy import SetAmplitude
from ipg_protocol.refusal import (
    BusyDetail,
    CircuitDetail,
    FaultDetail,
    FieldDetail,
    MalformedDetail,
    RangeDetail,
    RequestDetail,
    RoleDetail,
    SafetyDetail,
    SafetyRule,
    StateDetail,
)
from ipg_protocol.vocabulary import FaultCode
from ipg_protocol.wire import decode, minimum_size

REQUEST = SetAmplitude(1, 0, 9900)
BLOCK = WriteProgramBlock(
    3, AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 305, 5000, 50_000, 1, 0, 0, 0, 0, 0, 8000, (ContactShare(99, 1000),))
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
        (Status.ID_REUSED, RequestDetail(7), Refused, "the number 7 was used for another request"),
        (Status.STALE, RequestDetail(7), Refused, "the newest is request 7"),
        (Status.ABORTED, RequestDetail(7), Refused, "request 7 was aborted before it took effect"),
        (Status.TOO_LATE, RequestDetail(7), Refused, "request 7 has taken effect already"),
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


ENDLESS = 2**32 - 1


@pytest.mark.parametrize(
    ("rule", "value", "limit", "text"),
    [
        (SafetyRule.CATHODES_PERMILLE, 900, 1000, "the cathodes' shares sum to 90 % and must sum to 100 %"),
        (SafetyRule.CONTACT_CURRENT_MICROAMPS, 9000, 8000, "would carry 9 mA and may carry at most 8 mA"),
        (SafetyRule.BLOCKS_CHECKSUM, 1, 2, "0x00000001, not 0x00000002"),
        (
            SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE,
            310,
            300,
            "310 nC/mm² per phase and may be at most 300 nC/mm²",
        ),
        (SafetyRule.SHANNON_K_PERMILLE, 1900, 1850, "a Shannon k of 1.9, which may be at most 1.85"),
        (SafetyRule.AREAS_OVERLAP_US, 9000, 8333, "together they need 9000 us, and there are 8333 us"),
        (SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ, 5, 0, "got 5 at 0 Hz"),
        (SafetyRule.DOSE_CHARGE_MICROCOULOMBS, 2_400_000, 1_200_000, "would be 2400000 uC and may be at most 1200000 uC"),
        (SafetyRule.DOSE_CHARGE_MICROCOULOMBS, ENDLESS, 1_200_000, "would be without end and may be at most 1200000 uC"),
        (SafetyRule.DOSES_PER_DAY, 31, 30, "31 doses and may have at most 30"),
        (SafetyRule.SCHEDULE_OVERLAP_MINUTES, 15, 0, "overlap by 15 min"),
        (SafetyRule.IMPEDANCE_NOT_MEASURED, 7, 0, "contact 7 has not been measured since the device started"),
        (SafetyRule.FEEDBACK_MINIMUM_ABOVE_MAXIMUM_MICROAMPS, 900, 800, "minimum 0.9 mA is above its maximum 0.8 mA"),
    ],
)
def test_a_safety_rule_tells_value_and_limit_with_their_units(rule, value, limit, text):
    assert text in str(explained(REQUEST, Status.UNSAFE_COMBINATION, SafetyDetail(rule, 1, value, limit)))


def test_a_command_that_the_model_lacks_is_named():
    error = explained(GetCharging(), Status.NOT_SUPPORTED, FieldDetail(255))
    assert isinstance(error, NotSupported)
    assert str(error) == "GET_CHARGING refused (NOT_SUPPORTED): this model has no GET_CHARGING"


def test_a_field_that_asks_for_what_the_model_lacks_is_named():
    assert "what is asked for in waveform" in str(explained(BLOCK, Status.NOT_SUPPORTED, FieldDetail(2)))


def test_a_suspended_device_is_told_where_to_look():
    assert "`ipg-host modes` shows what holds therapy off" in str(
        explained(REQUEST, Status.WRONG_STATE, StateDetail(State.SUSPENDED))
    )


def test_amplitudes_of_a_magnetic_device_are_told_in_percent():
    reply = Reply(Status.OUT_OF_RANGE, ResponseFlag(0), RangeDetail(2, 0, 1000, 10, 1000))
    error = refusal(SetAmplitude(1, 0, 1100), reply, AmplitudeUnit.PERMILLE_OF_MAXIMUM)
    assert "amplitude 110 %; allowed are 0 % to 100 % in steps of 1 %, the nearest is 100 %" in str(error)


def test_a_magnetic_waveform_says_itself_what_its_amplitudes_are():
    block = WriteProgramBlock(3, msgspec.structs.replace(BLOCK.settings, waveform=Waveform.MAGNETIC_BIPHASIC))
    assert "amplitude 500 %; allowed are 0 % to 100 %" in str(
        explained(block, Status.OUT_OF_RANGE, RangeDetail(5, 0, 1000, 10, 1000))
    )


def test_fields_are_counted_through_a_nested_message():
    error = explained(BLOCK, Status.OFF_GRID, RangeDetail(4, 50, 1000, 10, 300))
    assert "pulse width 305 us; allowed are 50 us to 1000 us in steps of 10 us, the nearest is 300 us" in str(error)


def test_a_field_of_rows_is_named_without_a_value():
    error = explained(BLOCK, Status.OUT_OF_RANGE, RangeDetail(14, 0, 15, 1, 15))
    assert "contacts; allowed are 0 to 15 in steps of 1" in str(error)


@pytest.mark.parametrize(("field", "name"), [(2, "amplitude microamps"), (255, "the whole command")])
def test_a_field_number_becomes_a_name(field, name):
    assert name in str(explained(REQUEST, Status.MALFORMED, MalformedDetail(field, 9, 8)))
