"""Reading log, counters and faults, and clearing faults."""

from __future__ import annotations

from itertools import islice

from ipg_protocol.commands.log import (
    ClearFault,
    Counters,
    FaultList,
    LogExtent,
    LogInfo,
    LogPage,
    ReadCounters,
    ReadFaults,
    ReadLog,
)
from ipg_protocol.commands.measurement import ImpedanceVerdict
from ipg_protocol.refusal import CircuitDetail, FaultDetail, StateDetail
from ipg_protocol.vocabulary import FaultCode, Status

from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.refusal import Refused

ENTRIES_PER_PAGE = 10


@handles(LogInfo)
def log_info(_: LogInfo, context: Context) -> LogExtent:
    memory = context.device.memory
    entries = memory.log_entries()
    oldest, newest = (entries[0].number, entries[-1].number) if entries else (0, 0)
    return LogExtent(oldest, newest, context.device.model.log_entries, memory.log_dropped)


@handles(ReadLog)
def read_log(request: ReadLog, context: Context) -> LogPage:
    entries = context.device.memory.log_entries()
    rows = tuple(islice((entry for entry in entries if entry.number >= request.cursor), ENTRIES_PER_PAGE))
    return LogPage(rows[-1].number + 1 if rows else request.cursor, rows)


@handles(ReadCounters)
def read_counters(_: ReadCounters, context: Context) -> Counters:
    return context.device.memory.counters


@handles(ReadFaults)
def read_faults(_: ReadFaults, context: Context) -> FaultList:
    faults = context.device.memory.faults
    return FaultList(tuple(faults[code] for code in sorted(faults)))


@handles(ClearFault)
def clear_fault(request: ClearFault, context: Context) -> StateDetail:
    device = context.device
    if request.fault in device.memory.latched_faults:
        _check_cause_gone(device, request.fault, context.now)
        device.clear_fault(request.fault, context.now)
    return StateDetail(device.state)


def _check_cause_gone(device: Device, fault: FaultCode, now: int) -> None:
    if fault is FaultCode.SHORT_CIRCUIT:
        for known in device.delivery.measurements.of_contact.values():
            if known.verdict is ImpedanceVerdict.SHORT:
                raise Refused(Status.SHORT_CIRCUIT, CircuitDetail(known.cathode, known.ohms))
    still_there = {
        FaultCode.OVER_TEMPERATURE: device.supply.is_too_hot,
        FaultCode.USE_PERIOD_OVER: device.use_period.is_over,
    }
    if fault in still_there and still_there[fault](now):
        raise Refused(Status.FAULT_LATCHED, FaultDetail(fault))
