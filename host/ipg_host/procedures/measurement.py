"""Measuring: impedances, and the temperature of the case."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol import State
from ipg_protocol.commands.link import GetStatus
from ipg_protocol.commands.measurement import (
    ALL_CONTACTS,
    Impedance,
    MeasureImpedance,
    ReadImpedance,
    ReadTemperature,
    Temperature,
)
from ipg_protocol.commands.programs import CASE_CONTACT

from ipg_host.conversation import Pause, Procedure, ask
from ipg_host.errors import MeasurementInterrupted

_POLL_MS = 250


def measure_impedance(
    cathode: int = ALL_CONTACTS,
    anode: int = CASE_CONTACT,
    progress: Callable[[int, int], None] = lambda _measured, _planned: None,
) -> Procedure[tuple[Impedance, ...]]:
    """Measure one pair of contacts or all, and wait for the results; `progress` is told pairs measured and planned.

    Raises:
        MeasurementInterrupted: it was stopped before all pairs were measured.
    """
    started = yield from ask(MeasureImpedance(cathode=cathode, anode=anode))
    rows: list[Impedance] = []
    progress(0, started.pairs)
    while len(rows) < started.pairs:
        yield Pause(max(1, min(_POLL_MS, started.duration_ms // started.pairs)))
        present = yield from ask(GetStatus())
        page = yield from ask(ReadImpedance(first=len(rows)))
        if page.measurement != started.measurement or (not page.rows and present.state is not State.MEASURING):
            raise MeasurementInterrupted(len(rows), started.pairs)
        rows += page.rows
        progress(len(rows), started.pairs)
    return tuple(rows)


def temperature() -> Procedure[Temperature]:
    """Read the temperature of the device's case."""
    return ask(ReadTemperature())
