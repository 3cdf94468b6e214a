"""REQ-BAT: a cell that runs down: its tiers, the end of service, and the way out of it. They take inputs beside the link."""

from __future__ import annotations

from contextlib import ExitStack

from ipg_protocol import State, Status
from ipg_protocol.commands.link import FactoryReset
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.modes import EnterMriMode
from ipg_protocol.commands.power import BatteryTierChanged, GetBattery
from ipg_protocol.commands.programs import EraseProgram, RestoreCheckpoint, SaveCheckpoint
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy, TherapyCause, TherapyStateChanged
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.vocabulary import BatteryTier

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.adjusting import limits_of
from ipg_conformance.cases.gates import EVERY, expect_answers_of_gates, probes_of
from ipg_conformance.cases.inputs import stopping_magnet
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.modes import expect_minutes_refused
from ipg_conformance.cases.programs import WHOLE_PROGRAM
from ipg_conformance.cases.therapy import delivered_microamps
from ipg_conformance.cell import cell_at, change_cell, is_rechargeable, recharge, tier_told
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.samples import zeros
from ipg_conformance.states import bring_to, find_leads_sound
from ipg_conformance.together import answers_to

DIP_SECONDS = 0.5
LONG_ENOUGH_SECONDS = 8 * 3600.0
"""For a device that looks at its battery every 2 h to see another tier."""
BEFORE_THE_END = [(tier.name, tier) for tier in (BatteryTier.LOW, BatteryTier.ERI)]


def _expect_better(device: Device, tier: BatteryTier) -> None:
    found = device.status().battery_tier
    if found >= tier:
        raise NotApplicable(f"the battery is at {found.name} already")


def _logged(device: Device, code: LogCode, since: int) -> list[int]:
    return [entry.argument for entry in entries_from(device, since + 1) if entry.code is code]


@case("CEL/DIP/RT-01", "REQ-BAT-001", profile=Profile.FULL, outputs=False, destructive=True)
def dip_is_no_tier(device: Device) -> None:
    """A cell that gives way for half a second, and is well again, leaves the tier as it was, however long after."""
    before = device.status().battery_tier
    device.inputs.battery(BatteryTier.OK)
    device.inputs.battery(BatteryTier.EOS)
    device.tester.listen(DIP_SECONDS)
    device.inputs.battery(BatteryTier.OK)
    device.let_pass(LONG_ENOUGH_SECONDS)
    expect_that("the tier is no worse", device.status().battery_tier <= before, device.status().battery_tier)


@case("CEL/TIER/BV-01", "REQ-BAT-001", "REQ-LOG-002", each=BEFORE_THE_END, profile=Profile.FULL, outputs=True, destructive=True)
def tier_is_told(device: Device, tier: BatteryTier) -> None:
    """A cell that comes down to a tier is told by status, battery, event and log, and therapy can still be started."""
    _expect_better(device, tier)
    newest, fresh = device.ask(LogInfo()).newest, device.ask(GetBattery())
    with cell_at(device, tier):
        battery = device.ask(GetBattery())
        expect("the tier of GET_BATTERY and GET_STATUS", (battery.tier, device.status().battery_tier), (tier, tier))
        expect_that("the voltage has fallen", battery.millivolts < fresh.millivolts, (fresh, battery))
        told = tier_told(device, tier)
        expect_that("the voltage that is told has fallen", told.millivolts < fresh.millivolts, (fresh, told))
        expect("the last entry BATTERY_TIER", _logged(device, LogCode.BATTERY_TIER, newest)[-1:], [tier])
        device.run_therapy()


@case("CEL/MRI/BO-01", "REQ-MRI-001", "REQ-CMD-006", profile=Profile.FULL, outputs=True, destructive=True)
def no_mri_mode_on_a_low_battery(device: Device) -> None:
    """Unless the battery is OK, ENTER_MRI_MODE is refused BATTERY_TOO_LOW; wrong minutes and unmeasured contacts come first."""
    device.need(EnterMriMode)
    _expect_better(device, BatteryTier.EOS)
    with cell_at(device, BatteryTier.LOW):
        device.restart()
        unmeasured = {"rule": SafetyRule.IMPEDANCE_NOT_MEASURED, "area": WHOLE_PROGRAM}
        expect_refusal("unmeasured", device.request(EnterMriMode(NEXT, 1)), Status.UNSAFE_COMBINATION, **unmeasured)
        find_leads_sound(device)
        expect_minutes_refused(device, 0)
        expect_refusal("ENTER_MRI_MODE", device.request(EnterMriMode(NEXT, 1)), Status.BATTERY_TOO_LOW)
        expect("the state", device.status().state, State.IDLE)


@case("CEL/EOS/BV-01", "REQ-BAT-002", "REQ-STA-001", "REQ-LOG-002", profile=Profile.FULL, outputs=True, destructive=True)
def end_of_service_stops_therapy(device: Device) -> None:
    """Therapy that runs when the battery reaches its end stops: state EOS, nothing delivered, told and logged by its cause."""
    _expect_better(device, BatteryTier.EOS)
    newest = device.ask(LogInfo()).newest
    device.run_therapy()
    with cell_at(device, BatteryTier.EOS):
        stopped = _logged(device, LogCode.THERAPY_STOPPED, newest)
        if stopped and stopped[0] in (TherapyCause.DOSE_OVER, TherapyCause.HOST_SILENT):
            raise NotApplicable("therapy was over before the device looked at its battery")
        expect("the state", device.status().state, State.EOS)
        expect("what is delivered", delivered_microamps(device), 0)
        expect("the entries THERAPY_STOPPED", stopped, [TherapyCause.BATTERY])
        expect("the last entry BATTERY_TIER", _logged(device, LogCode.BATTERY_TIER, newest)[-1:], [BatteryTier.EOS])
        tier_told(device, BatteryTier.EOS)
        changes = device.tester.events_of(TherapyStateChanged)
        told = TherapyStateChanged(State.THERAPY, State.EOS, TherapyCause.BATTERY)
        expect_that("THERAPY_STATE_CHANGED tells of THERAPY, EOS and BATTERY", told in changes, changes)


@case("CEL/EOS/BO-01", "REQ-BAT-002", "REQ-CMD-005", profile=Profile.FULL, outputs=True, destructive=True)
def commands_at_the_end_of_service(device: Device) -> None:
    """In EOS every command that is not for it is refused WRONG_STATE, and every other passes the gate."""
    with cell_at(device, BatteryTier.EOS):
        samples = [(command, device.numbered(zeros(command.request))) for _, command in EVERY if device.has(command.request)]
        replies = answers_to(device, probes_of(State.EOS, samples))
        expect_answers_of_gates(State.EOS, samples, replies)
        expect("the state after them", device.status().state, State.EOS)


@case("CEL/EOS/BO-02", "REQ-THR-003", "REQ-BAT-002", profile=Profile.FULL, outputs=True, destructive=True)
def no_start_at_the_end_of_service(device: Device) -> None:
    """START_THERAPY in EOS is refused BATTERY_TOO_LOW, without a program too, and nothing is delivered."""
    with cell_at(device, BatteryTier.EOS):
        device.write_program(device.typical(), select=False)
        expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.BATTERY_TOO_LOW)
        expect("what is delivered", delivered_microamps(device), 0)
        for slot in device.programs():
            if slot.area_count:
                device.ask(EraseProgram(NEXT, slot.program))
        expect_refusal("START_THERAPY without a program", device.request(StartTherapy(NEXT)), Status.BATTERY_TOO_LOW)
        expect("the state", device.status().state, State.EOS)


@case("CEL/EOS/RT-01", "REQ-BAT-002", "REQ-RST-006", "REQ-STA-001", profile=Profile.FULL, outputs=True, destructive=True)
def no_command_leaves_the_end_of_service(device: Device) -> None:
    """What is taken in EOS leaves it EOS, RESET too: behind the boot it is EOS again, and no therapy is resumed."""
    with cell_at(device, BatteryTier.EOS):
        device.ask(StopTherapy(StopMode.RAMP))
        device.ask(limits_of(device))
        device.ask(SaveCheckpoint(NEXT, 0))
        device.ask(RestoreCheckpoint(NEXT, 0))
        device.ask(FactoryReset(NEXT))
        expect("the state", device.status().state, State.EOS)
        device.restart()
        expect("the state after RESET", device.status().state, State.EOS)
        expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.BATTERY_TOO_LOW)
        expect("what is delivered", delivered_microamps(device), 0)


@case("CEL/CHARGE/BV-01", "REQ-CHG-001", "REQ-BAT-001", "REQ-STA-001", profile=Profile.FULL, outputs=True, destructive=True)
def charging_leads_out_of_the_end_of_service(device: Device) -> None:
    """Once a rechargeable cell holds enough again the tier is better, the state IDLE, told and logged, and therapy starts."""
    if not is_rechargeable(device):
        raise NotApplicable("the battery is not rechargeable")
    with cell_at(device, BatteryTier.EOS):
        newest = device.ask(LogInfo()).newest
        device.inputs.battery(BatteryTier.OK)
        device.forget_events()
        recharge(device)
        expect("the state", device.status().state, State.IDLE)
        told = device.tester.wait_for_event(BatteryTierChanged).tier
        expect_that("BATTERY_TIER_CHANGED tells of a better tier", told is not BatteryTier.EOS, told)
        expect("the entries BATTERY_TIER", _logged(device, LogCode.BATTERY_TIER, newest), [told])
        expect("the tier", device.status().battery_tier, told)
        device.run_therapy()


@case("CEL/CHANGE/BV-01", "REQ-BAT-001", "REQ-RST-005", profile=Profile.FULL, outputs=True, destructive=True)
def cell_does_not_get_better_by_itself(device: Device) -> None:
    """A loss of power at the end of service leaves the device there as long as its cell is at its end."""
    with cell_at(device, BatteryTier.EOS):
        device.inputs.battery(BatteryTier.EOS)
        change_cell(device)
        device.open_session()
        expect("the tier", device.status().battery_tier, BatteryTier.EOS)
        expect("the state", device.status().state, State.EOS)


@case(
    "CEL/FAULT/BV-01",
    "REQ-BAT-002",
    "REQ-THR-003",
    "REQ-STA-001",
    need=Need.SHORTED_CONTACT,
    profile=Profile.FULL,
    outputs=True,
    destructive=True,
)
def end_of_service_in_a_fault(device: Device) -> None:
    """In FAULT the end of the battery leads to EOS, where the fault still comes first; charging leads back to FAULT."""
    _expect_better(device, BatteryTier.EOS)
    bring_to(device, State.FAULT)
    with cell_at(device, BatteryTier.EOS):
        expect("the state", device.status().state, State.EOS)
        expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.FAULT_LATCHED)
    if is_rechargeable(device):
        expect("the state once it is charged", device.status().state, State.FAULT)


@case("CEL/MAGNET/BV-01", "REQ-BAT-002", "REQ-STA-001", profile=Profile.FULL, outputs=True, destructive=True)
def end_of_service_under_a_magnet(device: Device) -> None:
    """Therapy that a magnet holds off when the battery reaches its end is over: EOS, with the magnet and without it."""
    _expect_better(device, BatteryTier.EOS)
    device.run_therapy()
    with ExitStack() as held:
        with stopping_magnet(device):
            held.enter_context(cell_at(device, BatteryTier.EOS))
            expect("the state under the magnet", device.status().state, State.EOS)
        device.catch_up()
        expect("the state without it", device.status().state, State.EOS)
        expect("what is delivered", delivered_microamps(device), 0)
