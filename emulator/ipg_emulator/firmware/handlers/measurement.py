"""Measuring impedance and reading the results."""

from __future__ import annotations

from ipg_protocol.commands.measurement import (
    ALL_CONTACTS,
    ImpedancePage,
    MeasureImpedance,
    MeasurementStarted,
    ReadImpedance,
    ReadTemperature,
    Temperature,
)
from ipg_protocol.refusal import BusyDetail, SafetyRule
from ipg_protocol.vocabulary import State, Status

from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.refusal import Refused, unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM, check_contact

ROWS_PER_PAGE = 30


@handles(MeasureImpedance)
def measure_impedance(request: MeasureImpedance, context: Context) -> MeasurementStarted:
    device, now = context.device, context.now
    if device.state is State.MEASURING:
        raise Refused(Status.BUSY, BusyDetail(device.delivery.measurement_left_us(now) // 1000 + 1))
    cathodes = [contact for contact in range(len(device.model.contacts)) if contact != request.anode]
    if request.cathode != ALL_CONTACTS:
        check_contact(device.model, request, "cathode", request.cathode)
        cathodes = [request.cathode]
    check_contact(device.model, request, "anode", request.anode)
    if not cathodes or request.cathode == request.anode:
        raise unsafe(SafetyRule.CONTACT_REPEATED, area=WHOLE_PROGRAM, value=request.cathode, limit=1)
    measurement = device.delivery.measure([(cathode, request.anode) for cathode in cathodes], now)
    return MeasurementStarted(measurement.number, len(cathodes), len(cathodes) * device.delivery.pair_us // 1000)


@handles(ReadImpedance)
def read_impedance(request: ReadImpedance, context: Context) -> ImpedancePage:
    last = context.device.delivery.measurements.last
    rows = tuple(last.rows[request.first : request.first + ROWS_PER_PAGE])
    return ImpedancePage(last.number, len(last.pairs), len(last.rows), rows)


@handles(ReadTemperature)
def read_temperature(_: ReadTemperature, context: Context) -> Temperature:
    return Temperature(context.device.board.temperature_millicelsius(context.now))
