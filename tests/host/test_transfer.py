"""Programs from one device to another: what fits, what is said of what does not, and what is written."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from ipg_host import Client, DoesNotFit, NotAsWritten, Unsafe, aio, connect, procedures
from ipg_host.fit import misfits
from ipg_host.programs import Program
from ipg_protocol import Role
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, ContactShare, ReadProgram, Waveform

SHARES = (ContactShare(0, -1000), ContactShare(1, 1000))
AREA = AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 300, 5000, 50_000, 1, 0, 0, 0, 0, 0, 8000, SHARES)


def device(model: str) -> Client:
    client = connect(f"ipg://{model}?seed=1")
    client.open_session(Role.CLINICIAN)
    return client


@pytest.fixture
def trial():
    with device("scs-trial") as client:
        yield client


@pytest.fixture
def implant():
    with device("scs-rechargeable") as client:
        yield client


@pytest.fixture
def judge(implant):
    """The values of a program that `scs-rechargeable` would not take in slot 2."""
    able, limits = implant.run(procedures.capabilities()), implant.run(procedures.read_limits())

    def judge_area(**changes) -> tuple[str, ...]:
        return misfits(2, Program("Any", (msgspec.structs.replace(AREA, **changes),)), able, limits)

    return judge_area


def test_the_programs_of_a_trial_stimulator_move_to_the_implant(trial, implant):
    programs = trial.run(procedures.read_programs())
    done = implant.run(procedures.install_programs({slot + 4: program for slot, program in programs.items()}))
    assert done.programs == tuple(slot + 4 for slot in programs)
    assert {slot + 4: program for slot, program in programs.items()}.items() <= implant.run(procedures.read_programs()).items()


def test_the_asyncio_client_moves_programs_too():
    async def move() -> bool:
        async with await aio.connect("ipg://scs-trial") as source, await aio.connect("ipg://scs-rechargeable") as target:
            await source.open_session(Role.OBSERVER)
            await target.open_session(Role.CLINICIAN)
            program = await source.run(procedures.read_program(0))
            await target.run(procedures.install_programs({6: program}))
            return await target.run(procedures.read_program(6)) == program

    assert asyncio.run(move())


def test_nothing_is_written_unless_every_program_fits(implant):
    before = implant.run(procedures.status()).revision
    bad = Program("Bad", (msgspec.structs.replace(AREA, amplitude_microamps=30_000),))
    with pytest.raises(DoesNotFit) as caught:
        implant.run(procedures.install_programs({4: Program("Good", (AREA,)), 5: bad}))
    assert caught.value.misfits == ("program 5: area 0: amplitude 30 mA; the device takes 0 mA to 25.5 mA in steps of 0.1 mA",)
    assert implant.run(procedures.status()).revision == before
    assert set(implant.run(procedures.read_programs())).isdisjoint({4, 5})


def test_a_combination_that_the_device_refuses_leaves_the_slot_as_it_was(implant):
    before = implant.run(procedures.read_program(0))
    unsafe = Program("Unsafe", (msgspec.structs.replace(AREA, amplitude_microamps=25_500, pulse_width_us=1000),))
    with pytest.raises(Unsafe):
        implant.run(procedures.install_programs({0: unsafe}))
    assert implant.run(procedures.read_program(0)) == before


def test_a_device_that_stores_something_else_is_told(implant):
    class Forgetful:
        """The implant, which gives back another amplitude than it was given."""

        def run(self, procedure):
            answer = None
            try:
                while True:
                    request = procedure.send(answer)
                    answer = implant.run(one(request))
                    if isinstance(request, ReadProgram):
                        settings = msgspec.structs.replace(answer.settings, amplitude_microamps=100)
                        answer = msgspec.structs.replace(answer, settings=settings)
            except StopIteration as end:
                return end.value

    def one(request):
        return (yield request)

    with pytest.raises(NotAsWritten, match="program 4 was written, but what was read back differs"):
        Forgetful().run(procedures.install_programs({4: Program("Good", (AREA,))}))


def test_a_program_that_fits_has_no_misfits(judge):
    assert judge() == ()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"waveform": Waveform.BURST_PASSIVE_RECHARGE},
            "waveform BURST_PASSIVE_RECHARGE; the device has TONIC_ACTIVE_RECHARGE",
        ),
        ({"amplitude_microamps": 5050}, "amplitude 5.05 mA; the device takes 0 mA to 25.5 mA in steps of 0.1 mA"),
        ({"patient_maximum_microamps": 25_600}, "patient maximum 25.6 mA; the device takes 0 mA to 25.5 mA"),
        ({"pulse_width_us": 305}, "pulse width 305 us; the device takes 50 us to 1000 us in steps of 10 us"),
        ({"rate_millihertz": 205_000}, "rate 205 Hz; the device takes 2 Hz to 200 Hz in steps of 1 Hz; 210 Hz to 1200 Hz"),
        ({"burst_pulses": 5}, "burst pulses 5; the device takes 1"),
        ({"ramp_seconds": 11}, "ramp 11 s; the device takes 0 s to 10 s"),
        ({"cycle_on_seconds": 6000}, "cycle on 6000 s; the device takes 1 s to 5400 s"),
        ({"contacts": (ContactShare(16, -1000), ContactShare(CASE_CONTACT, 1000))}, "contact 16; the device has none"),
    ],
)
def test_each_value_that_does_not_fit_is_named(judge, changes, text):
    (found,) = judge(**changes)
    assert found.startswith(f"program 2: area 0: {text}")


def test_the_clinicians_limits_of_the_other_device_hold(implant):
    implant.run(procedures.write_limits(amplitude_microamps=9000))
    high = Program("High", (msgspec.structs.replace(AREA, amplitude_microamps=9100),))
    with pytest.raises(DoesNotFit, match=r"amplitude 9\.1 mA; the clinician's limit on the device is 9 mA"):
        implant.run(procedures.install_programs({4: high}))


def test_a_slot_and_areas_that_are_not_there_are_named(implant):
    able, limits = implant.run(procedures.capabilities()), implant.run(procedures.read_limits())
    areas = tuple(msgspec.structs.replace(AREA, area=number) for number in range(5))
    assert misfits(8, Program("Wide", areas), able, limits) == (
        "program 8: the device has slots 0 to 7",
        "program 8: 5 areas; the device takes 4",
    )


def test_a_magnetic_program_is_not_judged_by_currents(judge):
    (found,) = judge(waveform=Waveform.MAGNETIC_BIPHASIC, amplitude_microamps=450)
    assert found.startswith("program 2: area 0: waveform MAGNETIC_BIPHASIC")
