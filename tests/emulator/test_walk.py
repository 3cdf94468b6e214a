"""Random walks: whatever is asked of the device, whenever, what must always hold does."""

from __future__ import annotations

import random

import pytest
from ipg_emulator.firmware.rules import charge_per_phase_nanocoulombs
from ipg_emulator.firmware.timers import Timer
from ipg_protocol import COMMAND_OF, ResponseFlag, Role, State, Status, decode_reply, request_frame
from ipg_protocol.commands import link, log, measurement, programs, therapy
from ipg_protocol.commands.programs import CASE_CONTACT, ContactShare, Waveform
from ipg_protocol.vocabulary import FaultCode

STEPS = 250
CONFIGURING = (
    programs.SelectProgram,
    programs.CommitProgram,
    programs.EraseProgram,
    therapy.SetAmplitude,
    therapy.StepAmplitude,
    therapy.SetPulseWidth,
    therapy.SetRate,
    therapy.WriteLimits,
    link.FactoryReset,
    programs.RestoreCheckpoint,
)


def area(chance, amplitude):
    pulses = chance.choice((1, 1, 1, 3, 5))
    return programs.AreaSettings(
        area=0,
        waveform=chance.choice((Waveform.TONIC_ACTIVE_RECHARGE, Waveform.TONIC_PASSIVE_RECHARGE, *Waveform)),
        ramp_seconds=chance.choice((0, 1, 2, 8)),
        pulse_width_us=chance.choice((50, 200, 1000)),
        amplitude_microamps=amplitude,
        rate_millihertz=chance.choice((2_000, 40_000, 130_000)),
        burst_pulses=pulses,
        intra_burst_millihertz=0 if pulses == 1 else chance.choice((500_000, 5_000_000)),
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        dose_seconds=chance.choice((0, 0, 60)),
        patient_minimum_microamps=0,
        patient_maximum_microamps=chance.choice((0, 1000, 3000)),
        contacts=(ContactShare(0, -1000), ContactShare(chance.choice((1, CASE_CONTACT)), 1000)),
    )


def any_request(bench, chance, earlier):
    """A request of any kind, its values often possible."""
    number = bench.transaction()
    amplitude = chance.choice((0, 500, 1000, 3000, 5000, 10_000, 2**32 - 1))
    slot, place = chance.choice((0, 1, 2, 3, 255)), chance.choice((0, 0, 1, 255))
    revision = bench.device.configuration.revision
    settings = area(chance, amplitude)
    limits = (chance.choice((5000, 10_000, 20_000)), 1000, 200_000, chance.choice((1000, 1800, 6100)))
    return chance.choice(
        (
            *[therapy.StartTherapy(number)] * 4,
            *[therapy.StopTherapy(chance.choice(list(therapy.StopMode)))] * 2,
            *[programs.SelectProgram(number, slot)] * 3,
            *[therapy.SetAmplitude(number, place, amplitude)] * 4,
            *[therapy.SetPulseWidth(number, place, chance.choice((50, 200, 1000, 65_535)))] * 3,
            therapy.StepAmplitude(number, place, chance.choice((-128, -1, 1, 127)), revision),
            therapy.SetRate(number, place, chance.choice((2_000, 40_000, 130_000, 0))),
            therapy.WriteLimits(number, *limits),
            therapy.ReadTherapy(place),
            measurement.MeasureImpedance(chance.choice((0xFE, 0, 1)), chance.choice((CASE_CONTACT, 0, 1, 2))),
            programs.BeginProgramWrite(slot, 1, "walk"),
            programs.WriteProgramBlock(slot, settings),
            programs.CommitProgram(number, slot, programs_checksum(settings)),
            programs.EraseProgram(number, slot),
            programs.SaveCheckpoint(number, place),
            *[programs.RestoreCheckpoint(number, place)] * 2,
            log.ClearFault(number, chance.choice(list(FaultCode))),
            link.Reset(number),
            link.EnterShelfMode(number),
            link.FactoryReset(number),
            link.SetTime(number, chance.choice((0, 2**64 - 1))),
            link.GetTime(),
            link.GetStatus(),
            *[link.SelfTest()] * 3,
            link.Abort(earlier),
        )
    )


def programs_checksum(settings):
    from ipg_emulator.firmware.configuration import areas_checksum

    return areas_checksum((settings,))


def check(bench):
    """What holds at every moment."""
    device, running = bench.device, bench.device.delivery.therapy
    waits_for_ramp = device._timers.deadline(Timer.RAMP) is not None
    assert waits_for_ramp == (device.state is State.RAMPING)
    assert running.is_on == (device.state in (State.RAMPING, State.THERAPY))
    wake_at = bench.firmware.wake_at()
    assert wake_at is None or wake_at >= bench.now
    for number in range(4):
        delivered = device.board.output.delivered_microamps(number, bench.now)
        if not running.is_on:
            assert delivered == 0
        elif delivered:
            settings = running._areas[number]
            assert delivered <= device.board.output.deliverable_microamps(settings, bench.now)
            assert delivered <= device.configuration.limits.amplitude_microamps
            charge = charge_per_phase_nanocoulombs(device.model, settings, delivered)
            assert charge <= device.configuration.limits.charge_per_phase_nanocoulombs
    numbers = [entry.number for entry in device.memory.log_entries()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


class Exchanges:
    """What the host of a walk has asked under which id, and has not been answered: each request is answered once."""

    def __init__(self, bench):
        self._bench = bench
        self._waiting = {}
        self._last_id = 0

    def open(self, role, nonce):
        assert not self._waiting
        self._last_id = 0
        self._bench.open(role, nonce=nonce)

    def take(self, frames):
        """Strike out what is answered; the replies by their ids."""
        return {frame.request_id: (self._waiting.pop(frame.request_id), decode_reply(frame)) for frame in frames}

    def ask(self, request):
        """Send a request, or an ABORT of one of the last; its reply, None while it is awaited."""
        self._last_id += 1
        self._waiting[self._last_id] = request
        return self.take(self._bench.send(request_frame(request, self._last_id))).get(self._last_id, (None, None))[1]

    def earlier(self, chance):
        return max(self._last_id - chance.randrange(10), 0)


@pytest.mark.parametrize("model", ["scs-rechargeable", "drg-primary", "dbs-rechargeable"])
@pytest.mark.parametrize("seed", range(8))
def test_what_must_always_hold_does(make_bench, model, seed):
    chance = random.Random(seed)
    faults = {} if seed % 3 else {0: chance.choice(("open", "short"))}
    bench = make_bench(model, seed=seed, lead_faults=faults)
    exchanges = Exchanges(bench)
    for step in range(STEPS):
        bench.now += chance.choice((0, 0, 999, 10_000, 500_000, 2_000_000))
        bench.firmware.wake(bench.now)
        exchanges.take(bench.frames())
        check(bench)
        if bench.firmware.link.session is None and bench.device.state is not State.BOOT:
            exchanges.open(chance.choice((Role.SERVICE, Role.SERVICE, Role.CLINICIAN, Role.PATIENT)), nonce=step)
        request = any_request(bench, chance, exchanges.earlier(chance))
        before = bench.device.configuration
        reply = exchanges.ask(request)
        after = bench.device.configuration
        if reply is None:
            assert isinstance(request, link.SelfTest)
            assert after == before
        elif reply.status is Status.OK:
            changes = isinstance(request, CONFIGURING) and reply.flags is ResponseFlag(0)
            assert after.revision == before.revision + changes
        else:
            assert reply.status in COMMAND_OF[type(request)].refusals
            assert after == before
        check(bench)
