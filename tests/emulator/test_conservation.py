"""Conservation, over random programs that the shipped models accept: charge, limits, and nothing after a stop."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.rules import check_areas, check_block
from ipg_emulator.model import DeviceModel, Range, load, names
from ipg_emulator.record import OutputRecord
from ipg_protocol import crc32c, encode
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    ContactShare,
    SelectProgram,
    Waveform,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import Limits, StartTherapy, StopMode, StopTherapy
from ipg_protocol.vocabulary import State

SECOND = 1_000_000
LOOKED_AT_US = 120_000
HALVINGS = 12
LARGEST_SOUND_RATE = 10**9
replace = msgspec.structs.replace
programs = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
)


def on_grid(grid: Range) -> st.SearchStrategy[int]:
    return st.integers(grid.minimum, grid.maximum).map(grid.nearest)


def shares(draw: Any, contacts: list[int], total: int) -> list[ContactShare]:
    """A total split at random places."""
    cuts = sorted(draw(st.lists(st.integers(1, 999), min_size=len(contacts) - 1, max_size=len(contacts) - 1, unique=True)))
    parts = np.diff([0, *cuts, 1000])
    return [ContactShare(contact, int(np.sign(total)) * int(part)) for contact, part in zip(contacts, parts, strict=True)]


@st.composite
def areas_of(draw: Any, model: DeviceModel) -> AreaSettings:
    ranges = model.ranges
    contacts = draw(st.permutations([*range(len(model.contacts)), *[CASE_CONTACT] * model.has_case]))
    cathodes = draw(st.integers(1, min(3, len(contacts) - 1)))
    anodes = draw(st.integers(1, min(3, len(contacts) - cathodes)))
    waveform = Waveform[draw(st.sampled_from(model.waveforms)).name]
    width = draw(on_grid(ranges.pulse_width_us))
    pulses, intra = 1, 0
    if waveform in (Waveform.BURST_PASSIVE_RECHARGE, Waveform.SINE_BURST, Waveform.MAGNETIC_BIPHASIC):
        pulses = draw(on_grid(ranges.burst_pulses))
        intra = draw(on_grid(ranges.intra_burst_millihertz)) if pulses > 1 else 0
    if waveform is Waveform.SINE_BURST:
        intra = ranges.intra_burst_millihertz.nearest(10**9 // (2 * width))
    amplitude = draw(on_grid(ranges.amplitude_microamps))
    return AreaSettings(
        area=0,
        waveform=waveform,
        ramp_seconds=draw(on_grid(ranges.ramp_seconds)),
        pulse_width_us=width,
        amplitude_microamps=amplitude,
        rate_millihertz=draw(on_grid(ranges.rate_millihertz)),
        burst_pulses=pulses,
        intra_burst_millihertz=intra,
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        dose_seconds=ranges.dose_seconds.maximum if waveform is Waveform.DIRECT_CURRENT else 0,
        patient_minimum_microamps=ranges.amplitude_microamps.minimum,
        patient_maximum_microamps=amplitude,
        contacts=(*shares(draw, contacts[:cathodes], -1000), *shares(draw, contacts[cathodes : cathodes + anodes], 1000)),
    )


def is_accepted(check: Callable[[], None]) -> bool:
    try:
        check()
    except Refused:
        return False
    return True


def softened(model: DeviceModel, area: AreaSettings) -> AreaSettings | None:
    """The area at the highest halving of its amplitude that the rules accept, and of its rate where that is too much."""
    limits = Limits(*[LARGEST_SOUND_RATE, 65_535, LARGEST_SOUND_RATE, LARGEST_SOUND_RATE, 0])
    amplitudes, rates = model.ranges.amplitude_microamps, model.ranges.rate_millihertz
    for _ in range(HALVINGS):
        for rate in dict.fromkeys(rates.nearest(area.rate_millihertz >> halving) for halving in range(HALVINGS)):
            tried = replace(area, rate_millihertz=rate)
            if is_accepted(lambda tried=tried: check_block(model, limits, WriteProgramBlock(0, tried), tried)):
                return tried
        half = amplitudes.nearest(area.amplitude_microamps // 2)
        area = replace(area, amplitude_microamps=half, patient_maximum_microamps=half)
    return None


@st.composite
def accepted_programs(draw: Any) -> tuple[str, tuple[AreaSettings, ...]]:
    """A model's name, and a program of one to four areas that it takes."""
    name = draw(st.sampled_from(names()))
    model = load(name)
    drawn = [softened(model, draw(areas_of(model))) for _ in range(draw(st.integers(1, model.areas_per_program)))]
    areas: list[AreaSettings] = []
    for area in drawn:
        if area is not None:
            more = [*areas, replace(area, area=len(areas))]
            if is_accepted(lambda more=more: check_areas(model, more)):
                areas = more
    assume(areas)
    return name, tuple(areas)


class Session:
    """A device with a program written, selected and started, and the record of its output."""

    def __init__(self, make_bench: Callable[..., Any], name: str, areas: tuple[AreaSettings, ...]) -> None:
        self.model = load(name)
        self.record = OutputRecord(self.model)
        self.bench = make_bench(name, record=self.record)
        self.areas = areas
        bench, slot = self.bench, self.model.program_slots - 1
        bench.open()
        bench.ask(BeginProgramWrite(slot, len(areas), "random"))
        for area in areas:
            bench.ask(WriteProgramBlock(slot, area))
        bench.ask(CommitProgram(bench.transaction(), slot, crc32c(b"".join(encode(area) for area in areas))))
        bench.ask(SelectProgram(bench.transaction(), slot))
        self.started = bench.now
        bench.ask(StartTherapy(bench.transaction()))

    @property
    def output(self) -> Any:
        return self.bench.device.board.output

    def settle(self) -> None:
        """Let every area reach its amplitude, and a little time pass."""
        self.bench.advance(max(area.ramp_seconds for area in self.areas) + 1)
        self.output.flush(self.bench.now)


@given(accepted_programs())
@programs
def test_charge_of_all_contacts_sums_to_zero_at_every_sample(make_bench, program) -> None:
    session = Session(make_bench, *program)
    session.settle()
    for end in (session.started + LOOKED_AT_US, session.bench.now):
        currents = session.record.all_samples(end - LOOKED_AT_US, end, 250_000)
        assert np.abs(currents.sum(axis=0)).max() <= 1e-5 * max(1, np.abs(currents).max())


@given(accepted_programs())
@programs
def test_net_charge_after_recharge_stays_below_the_model_s_limit(make_bench, program) -> None:
    session = Session(make_bench, *program)
    session.settle()
    for area in session.areas:
        delivered = session.output.delivered_microamps(area.area, session.bench.now)
        residual = session.output.residual_nanocoulombs(area, delivered, session.bench.now)
        largest = max(abs(share.permille) for share in area.contacts) / 1000
        assert residual * largest <= session.model.limits.residual_charge_nanocoulombs.value


@given(accepted_programs())
@programs
def test_a_whole_pulse_brings_no_more_charge_than_it_takes_back(make_bench, program) -> None:
    """In the steady state the samples over one period sum to nothing, whatever the waveform; but for direct current."""
    name, areas = program
    area = replace(areas[0], area=0)
    assume(area.waveform is not Waveform.DIRECT_CURRENT)
    session = Session(make_bench, name, (area,))
    session.settle()
    cathode = area.contacts[0].contact
    times = session.record.pulses(session.started, session.bench.now).times_us
    assume(len(times) > 2)
    currents = session.record.samples(cathode, int(times[-3]), int(times[-2]), 4_000_000).astype(float)
    assert abs(currents.sum()) <= 2e-3 * np.abs(currents).sum() + 1e-9


@given(accepted_programs())
@programs
def test_delivered_never_exceeds_programmed_or_limits_or_compliance(make_bench, program) -> None:
    session = Session(make_bench, *program)
    session.settle()
    segments = session.record.segments(0, session.bench.now)
    limits = session.bench.device.configuration.limits
    for drive in (segment.drive for segment in segments):
        deliverable = session.output.deliverable_microamps(drive.settings, session.bench.now)
        for delivered, programmed in (
            (drive.delivered_from, drive.programmed_from),
            (drive.delivered_to, drive.programmed_to),
        ):
            assert 0 <= delivered <= min(programmed, limits.amplitude_microamps, deliverable * 1.01)
            assert programmed <= drive.settings.amplitude_microamps


@given(accepted_programs(), st.floats(0, 3), st.sampled_from(StopMode))
@programs
def test_after_a_stop_nothing_is_delivered_beyond_its_ramp(make_bench, program, after_seconds, mode) -> None:
    session = Session(make_bench, *program)
    bench = session.bench
    bench.advance(after_seconds)
    stopped = bench.now
    bench.ask(StopTherapy(mode))
    bench.advance(10)
    session.output.flush(bench.now)
    end = stopped + (session.model.timing.stop_ramp_ms * 1000 if mode is StopMode.RAMP else 0)
    assert session.record.segments(end, bench.now) == []
    assert not session.record.all_samples(end, end + SECOND, 10_000).any()
    assert bench.device.state is State.IDLE


def share_a_source(model: DeviceModel, *areas: AreaSettings) -> bool:
    """Whether two areas have a lead in common, or the model one source for all leads."""
    one, other = ({model.contacts[c.contact].lead for c in area.contacts if c.contact != CASE_CONTACT} for area in areas)
    return not model.output.independent_leads or bool(one & other)


@given(accepted_programs())
@programs
def test_windows_of_a_program_s_areas_never_overlap(make_bench, program) -> None:
    session = Session(make_bench, *program)
    session.settle()
    areas = session.areas
    assume(len(areas) > 1)
    currents = [OutputRecord(session.model) for _ in areas]
    for segment in session.record.segments(session.started, session.bench.now):
        currents[segment.drive.settings.area](segment)
    end = session.bench.now
    busy = [(record.all_samples(end - SECOND, end, 200_000) != 0).any(axis=0) for record in currents]
    for one, other in combinations(range(len(areas)), 2):
        if share_a_source(session.model, areas[one], areas[other]):
            assert not (busy[one] & busy[other]).any()


@given(accepted_programs())
@programs
def test_the_current_source_never_drops_less_than_it_needs(make_bench, program) -> None:
    """What the supply gives is the load's, the recharge's, and the source's; at least the headroom on all charge."""
    session = Session(make_bench, *program)
    session.settle()
    energy = session.output.energy(session.bench.now)
    volts = session.model.output.headroom_millivolts / 1000
    charge = sum(session.output.total(area.area, session.bench.now).nanocoulombs for area in session.areas)
    source = energy.supply_microjoules - energy.load_microjoules - energy.recharge_microjoules
    assert source >= charge * volts / 1000 * (1 - 1e-9) - 1e-9


@given(accepted_programs())
@programs
def test_what_the_cell_gives_is_accounted_for(make_bench, program) -> None:
    """Load, recharge, source, converter and pulses of therapy, idle, telemetry and the cell's own loss: each positive."""
    session = Session(make_bench, *program)
    session.settle()
    session.bench.advance(60)
    account = session.bench.device.board.power.energy(session.bench.now)
    parts = {name: getattr(account, name) for name in account.__struct_fields__ if name not in ("given", "received")}
    assert sum(parts.values()) == pytest.approx(account.given, rel=1e-6)
    assert min(parts.values()) >= -1e-6 * account.given
    delivered = sum(session.output.total(area.area, session.bench.now).microjoules for area in session.areas)
    assert account.load == pytest.approx(delivered, rel=1e-6)
