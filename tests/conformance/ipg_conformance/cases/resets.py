"""REQ-RST-006 and 007, REQ-TXN-004, REQ-EVT-001: what outlives a RESET, and what becomes of therapy."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from ipg_protocol import COMMAND_OF, Message, ResponseFlag, State, encode
from ipg_protocol.commands.link import (
    Capability,
    DeviceStatus,
    GetStatus,
    Reset,
    ResetHappened,
    TransactionOutcome,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.session import KeepAlive
from ipg_protocol.commands.therapy import (
    AmplitudeChanged,
    StepAmplitude,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
)

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.doses import dosed
from ipg_conformance.cases.events import change_amplitude, prepare
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.numbering import replayed, step_down
from ipg_conformance.cases.therapy import STOP_MODES, delivered_microamps, expect_in_full, state_changes
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_that
from ipg_conformance.together import answers_behind_reset

MARGIN_SECONDS = 1.0
SETTLING_SECONDS = 0.05
ROUND_TRIPS = 6
"""As many as fit into half a ramp, twice over."""


def resumes(device: Device) -> bool:
    """Whether the device says that therapy is resumed after a reset."""
    return bool(device.capabilities.limit(Capability.THERAPY_AFTER_RESET))


def reset(device: Device) -> None:
    """RESET, and wait for the boot to end."""
    device.ask(Reset(NEXT))
    device.wait_for_boot()


def expect_rest(device: Device) -> None:
    """Nothing is delivered, at once and a little later."""
    for _ in range(2):
        expect("the state", device.status().state, State.IDLE)
        device.open_session()
        expect("what is delivered", delivered_microamps(device), 0)
        device.tester.listen(SETTLING_SECONDS)


def ramped(device: Device) -> AreaSettings:
    """A typical area that ramps, if the device can, longer than it takes to look; without a dose, so that it can be resumed."""
    seconds = 1 + ceil(ROUND_TRIPS * device.tester.line_seconds)
    area = device.typical(ramp_seconds=device.capabilities.range(Capability.RAMP_SECONDS).from_(seconds))
    if area.dose_seconds:
        raise NotApplicable("the device gives nothing without a dose")
    return area


@case("STA/RESET/BV-01", "REQ-STA-001", "REQ-RST-001")
def reset_ends_therapy(device: Device) -> None:
    """RESET in THERAPY leads to BOOT at once, and the way back to THERAPY is by IDLE and RAMPING, if it is gone at all."""
    device.run_therapy()
    device.forget_events()
    reset(device)
    device.open_session()
    device.catch_up(SETTLING_SECONDS)
    way = [State.BOOT, State.IDLE, State.RAMPING, State.THERAPY]
    changes, steps = state_changes(device), [*pairwise(way)]
    ways = [steps[:count] for count in (1, 2, 3)]
    expect_that(f"the changes begin {way[:2]}, and go no other way", changes in ways, changes)


@case("RST/THERAPY/BV-01", "REQ-RST-006", "REQ-STA-001", profile=Profile.FULL)
def therapy_after_reset(device: Device) -> None:
    """Therapy that ran is resumed by its ramp with the cause RESET where THERAPY_AFTER_RESET is 1, and else stays off."""
    area = ramped(device)
    device.run_therapy(area)
    newest = device.ask(LogInfo()).newest
    device.forget_events()
    device.restart()
    if not resumes(device):
        expect_rest(device)
        return
    if area.ramp_seconds:
        expect_that("the ramp begins at 0", delivered_microamps(device) < area.amplitude_microamps // 2, device.status())
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
    expect_in_full(device, area.amplitude_microamps)
    causes = [(event.state, event.cause) for event in device.tester.events_of(TherapyStateChanged)]
    expect_that("a change to RAMPING with the cause RESET", (State.RAMPING, TherapyCause.RESET) in causes, causes)
    found = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.THERAPY_STARTED]
    expect("the entries THERAPY_STARTED", found, [device.program])


@case("RST/THERAPY/BV-02", "REQ-RST-006", "REQ-THR-002", each=STOP_MODES)
def stopped_therapy_stays_off(device: Device, mode: StopMode) -> None:
    """Therapy that was stopped, be it that it still ramps down, is not resumed."""
    device.run_therapy()
    device.ask(StopTherapy(mode))
    reset(device)
    expect_rest(device)


@case("RST/THERAPY/BV-03", "REQ-RST-006", profile=Profile.FULL)
def rest_stays_rest(device: Device) -> None:
    """Where therapy did not run, none is begun by a RESET, though a program is selected; one RESET later, too."""
    device.write_program(device.typical())
    reset(device)
    expect_rest(device)
    reset(device)
    expect_rest(device)


@case("RST/THERAPY/BV-04", "REQ-RST-006", "REQ-DOS-001")
def dose_is_not_resumed(device: Device) -> None:
    """A program with a dose stays off after a RESET."""
    device.begin_therapy(dosed(device))
    reset(device)
    expect_rest(device)


@case("RST/THERAPY/BV-05", "REQ-RST-006", "REQ-RST-007", profile=Profile.FULL)
def therapy_is_resumed_each_time(device: Device) -> None:
    """A second RESET, also while therapy ramps up again, finds therapy running as the first one did."""
    area = ramped(device)
    device.run_therapy(area)
    device.restart()
    reset(device)
    device.open_session()
    if resumes(device):
        device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
    else:
        expect_rest(device)


@case("RST/LASTING/BV-01", "REQ-RST-007", "REQ-LOG-001")
def log_goes_on(device: Device) -> None:
    """The log's entries outlive a RESET, and their numbers go on."""
    device.write_program(device.typical())
    extent = device.ask(LogInfo())
    before = entries_from(device, max(extent.oldest, extent.newest - 9))
    device.restart()
    after = entries_from(device, before[0].number)
    expect("the entries before the RESET", after[: len(before)], before)
    expect("the numbers", [entry.number for entry in after], list(range(before[0].number, before[0].number + len(after))))


@case("RST/LASTING/BV-02", "REQ-RST-007", "REQ-RST-001")
def boot_counter_rises_before_the_link_opens(device: Device) -> None:
    """The first answer of the new boot bears the new boot counter."""
    before = device.status().boot_counter
    (status,) = answers_behind_reset(device, GetStatus())
    expect("the boot counter", expect_ok(status, DeviceStatus).boot_counter, before + 1)


@case("TXN/RESET/BV-01", "REQ-TXN-004", "REQ-TXN-001", "REQ-RST-007")
def change_and_transaction_outlive_a_reset(device: Device) -> None:
    """After a RESET the change is there, its transaction COMMITTED with the same answer, and its repeat is REPLAYED."""
    request = step_down(device)
    first = device.tester.request(request)
    amplitude = device.stored_amplitude()
    device.restart()
    expect("the amplitude", device.stored_amplitude(), amplitude)
    opcode = COMMAND_OF[StepAmplitude].opcode
    report = TransactionReport(TransactionOutcome.COMMITTED, opcode, encode(first.body))
    expect("the report", device.ask(TransactionStatus(request.transaction)), report)
    before = device.snapshot()
    expect("the answer to the repeat", device.tester.request(request), replayed(first))
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("TXN/RESET/BV-02", "REQ-TXN-004", "REQ-TXN-001")
def reset_is_repeated_as_any_change(device: Device) -> None:
    """The RESET's own transaction is COMMITTED in the new boot, and its repeat resets nothing."""
    request = device.numbered(Reset(NEXT))
    first = device.tester.request(request)
    device.wait_for_boot()
    session = device.open_session()
    expect("the last transaction of this host", session.last_transaction, request.transaction)
    expect("the outcome", device.ask(TransactionStatus(request.transaction)).outcome, TransactionOutcome.COMMITTED)
    expect("the answer to the repeat", device.tester.request(request), replayed(first))
    expect("the boot counter", device.status().boot_counter, session.boot_counter)


@case("TXN/RESET/BV-03", "REQ-TXN-002", "REQ-TXN-004")
def unseen_before_is_unseen_after(device: Device) -> None:
    """A change that was never sent is NOT_SEEN after a RESET, and is then executed under the transaction it was meant for."""
    request = step_down(device)
    device.restart()
    expect("the outcome", device.ask(TransactionStatus(request.transaction)).outcome, TransactionOutcome.NOT_SEEN)
    expect("the flags", device.tester.request(request).flags, ResponseFlag(0))


def came(device: Device, kind: type[Message]) -> list[tuple[int, Message]]:
    """The events of a kind that have come, each once, by their numbers."""
    return sorted({number: message for number, message in device.tester.events if isinstance(message, kind)}.items())


@case("EVT/RESET/BV-01", "REQ-EVT-001", "REQ-RST-007", profile=Profile.FULL)
def events_outlive_a_reset(device: Device) -> None:
    """Events not acknowledged come again after a RESET under their numbers, and the new ones are numbered on from them."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, 3)
    device.catch_up(0.1)
    before = came(device, AmplitudeChanged)
    expect("how many came", len(before), 3)
    device.tester.events.clear()
    session = device.restart()
    expect("the highest event acknowledged", session.acknowledged_event, before[0][0] - 1)
    device.catch_up(0.1)
    expect("those not acknowledged", came(device, AmplitudeChanged), before)
    numbers = [number for number, _ in came(device, Message) if number]
    expect("all numbers", numbers, list(range(before[0][0], before[0][0] + len(numbers))))
    (happened,) = came(device, ResetHappened)
    expect_that("RESET_HAPPENED is numbered after them", happened[0] > before[-1][0], happened)


@case("EVT/RESET/BV-02", "REQ-EVT-001", "REQ-SES-001", profile=Profile.FULL)
def acknowledgements_outlive_a_reset(device: Device) -> None:
    """What was acknowledged before a RESET does not come again, and OPEN_SESSION tells how far that went."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, 3)
    device.catch_up(0.1)
    before = came(device, AmplitudeChanged)
    device.tester.acknowledge(before[1][0])
    device.ask(KeepAlive())
    device.tester.events.clear()
    expect("the highest event acknowledged", device.open_session().acknowledged_event, before[1][0])
    expect("the same after RESET", device.restart().acknowledged_event, before[1][0])
    device.catch_up(0.1)
    expect("what comes again", came(device, AmplitudeChanged), before[2:])
