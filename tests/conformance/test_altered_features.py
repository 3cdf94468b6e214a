"""The suite fails devices of which one feature was altered, by the requirement that the feature must keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import msgspec
import pytest
from ipg_conformance import Profile, Verdict, open_port, run_cases
from ipg_conformance.runner import select
from ipg_emulator.firmware import rules, schedule
from ipg_emulator.firmware.capabilities import supported_commands
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import HANDLERS, Context
from ipg_emulator.firmware.doses import Doses
from ipg_emulator.firmware.ecap import EcapStream
from ipg_emulator.firmware.feedback import FeedbackLoop, Law
from ipg_emulator.firmware.host_watch import HostWatch
from ipg_emulator.firmware.journal import Journals
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.memory import Memory
from ipg_emulator.firmware.self_test import SelfTestRun
from ipg_emulator.firmware.sessions import Seen, Session
from ipg_protocol import COMMAND_OF, Message, State
from ipg_protocol.commands.measurement import ReadTemperature
from ipg_protocol.commands.power import GetLongevity, Longevity
from ipg_protocol.commands.programs import RestoreCheckpoint
from ipg_protocol.commands.sensing import FeedbackMode
from ipg_protocol.commands.therapy import ReadSchedule, ReadTherapy, WriteSchedule


def failed_requirements(model: str, cases: str) -> set[str]:
    """The requirements of the cases that a model fails, of those whose id begins so."""
    results = run_cases(open_port(f"ipg://{model}?seed=1"), select(Profile.FULL, [cases]))
    failed = [result for result in results if result.verdict is Verdict.FAILED and result.was_prepared]
    return {requirement for result in failed for requirement in result.case.requirements}


Altering = Callable[[pytest.MonkeyPatch], None]
Handler = Callable[[Any, Context], Message]


def replaced(owner: object, name: str, replacement: object) -> Altering:
    """Alter a device by one method, property or function."""
    return lambda monkeypatch: monkeypatch.setattr(owner, name, replacement)


def answering(request: type[Message], alter: Callable[[Any], Message]) -> Altering:
    """Alter a device by the answers to one request."""

    def altering(monkeypatch: pytest.MonkeyPatch) -> None:
        handler = cast("Handler", HANDLERS[request])
        altered: Handler = lambda message, context: alter(handler(message, context))  # noqa: E731 - it replaces a handler
        monkeypatch.setitem(HANDLERS, request, altered)

    return altering


def do_nothing(*_: object) -> None:
    """In place of what a device should do."""


def answer(value: object) -> Callable[..., object]:
    """In place of what a device should find out."""

    def same(*_: object) -> object:
        return value

    return same


def place_anywhere(trains: Sequence[object]) -> tuple[int, ...]:
    return (0,) * len(trains)


def ends_what_was_held_off(delivery: Any, cause: object, now: int) -> None:
    delivery.abandon(cause, now)


SUPPORTED_AND_A_SCHEDULE = property(
    lambda device: supported_commands(device.model) | {COMMAND_OF[ReadSchedule].opcode, COMMAND_OF[WriteSchedule].opcode}
)
_stop = Delivery.stop


def stop_unless_suspended(delivery: Any, *arguments: Any) -> None:
    if delivery._device.state is not State.SUSPENDED:
        _stop(delivery, *arguments)


_send: Any = vars(EcapStream)["_send"]


def send_as_the_first(stream: Any, now: int) -> None:
    stream._sent = 0
    _send(stream, now)


_law = Law.of


def law_without_rate_limit(*arguments: Any) -> Law:
    return msgspec.structs.replace(_law(*arguments), most_per_update=1e9)


_read: Any = vars(Memory)["_read"]
_note = Memory.note
_look_up = Session.look_up


def read_without(**forgotten: object) -> Callable[[Any], None]:
    """In place of reading the memory at a boot: some of it is as it was in the factory."""

    def read(memory: Any) -> None:
        _read(memory)
        for name, value in forgotten.items():
            setattr(memory, name, value)

    return read


def note_no_stop(memory: Any, **changes: object) -> None:
    """In place of taking note of what the device is in: that therapy was stopped is never noted."""
    _note(memory, **{name: value for name, value in changes.items() if (name, value) != ("therapy_on", False)})


def look_up_none_aborted(session: Any, frame: Any) -> Seen:
    seen = _look_up(session, frame)
    return Seen.NEW if seen is Seen.ABORTED else seen


def restore_without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back a checkpoint, but the limits stay as they are."""
    handler = cast("Handler", HANDLERS[RestoreCheckpoint])

    def altered(request: RestoreCheckpoint, context: Context) -> Message:
        memory, limits = context.device.memory, context.device.configuration.limits
        answer = handler(request, context)
        memory.configuration = REPLACE(memory.configuration, limits=limits)
        return answer

    monkeypatch.setitem(HANDLERS, RestoreCheckpoint, altered)


class Alteration(NamedTuple):
    """What is altered, on which model, and which cases must fail it by which requirement."""

    alter: Altering
    model: str
    cases: str
    requirement: str


REPLACE = msgspec.structs.replace
ALTERATIONS = {
    "a command that the model lacks is answered": Alteration(
        replaced(Device, "supported_commands", SUPPORTED_AND_A_SCHEDULE), "drg-primary", "CMD/LACKING", "REQ-CMD-010"
    ),
    "charge density is not checked": Alteration(
        replaced(rules, "_densest", answer((0.0, 0))), "dbs-primary", "WAV/DENSITY", "REQ-WAV-003"
    ),
    "areas may overlap": Alteration(
        replaced(rules, "offsets_us", place_anywhere), "scs-rechargeable", "WAV/OVERLAP", "REQ-WAV-004"
    ),
    "MRI mode restores nothing": Alteration(
        replaced(Delivery, "resume", ends_what_was_held_off), "scs-rechargeable", "MRI", "REQ-MRI-002"
    ),
    "STOP does not reach what is held off": Alteration(
        replaced(Delivery, "stop", stop_unless_suspended), "scs-rechargeable", "SUS", "REQ-SUS-001"
    ),
    "a dose never ends": Alteration(replaced(Doses, "_await_next", do_nothing), "tens", "DOS/END", "REQ-DOS-001"),
    "doses are not limited": Alteration(replaced(Doses, "check", do_nothing), "vns-external", "DOS/DAY", "REQ-DOS-002"),
    "a silent host is borne": Alteration(replaced(HostWatch, "begin", do_nothing), "tens", "HST", "REQ-HST-001"),
    "the schedule reads in no order": Alteration(
        answering(ReadSchedule, lambda schedule: REPLACE(schedule, rows=schedule.rows[::-1])),
        "scs-rechargeable",
        "SCH/WRITE",
        "REQ-SCH-001",
    ),
    "rows of a schedule may overlap": Alteration(
        replaced(schedule, "_overlaps", answer(())), "scs-rechargeable", "SCH/WRITE", "REQ-SCH-002"
    ),
    "the schedule never runs": Alteration(
        replaced(schedule.Schedule, "plan", do_nothing), "scs-rechargeable", "SCH/RUN", "REQ-SCH-003"
    ),
    "each batch of samples is the first": Alteration(
        replaced(EcapStream, "_send", send_as_the_first), "scs-closed-loop", "ECP/STREAM", "REQ-ECP-005"
    ),
    "the loop never falls back": Alteration(
        replaced(FeedbackLoop, "_next_mode", answer(FeedbackMode.HOLDING)), "scs-closed-loop", "ECP/LOST", "REQ-ECP-004"
    ),
    "the loop knows no rate limit": Alteration(
        replaced(Law, "of", law_without_rate_limit), "scs-closed-loop", "ECP/LOOP", "REQ-ECP-003"
    ),
    "the count of pulses falls": Alteration(
        answering(ReadTherapy, lambda report: REPLACE(report, pulses=2**40 - report.pulses)),
        "scs-rechargeable",
        "THR/READ",
        "REQ-THR-013",
    ),
    "longevity does not know of therapy": Alteration(
        answering(GetLongevity, lambda _: Longevity(1000, 1100, 5000)), "drg-primary", "LON", "REQ-LON-001"
    ),
    "the temperature is another one": Alteration(
        answering(ReadTemperature, lambda told: REPLACE(told, case_millicelsius=told.case_millicelsius + 1000)),
        "drg-primary",
        "TMP",
        "REQ-TMP-001",
    ),
    "the journal is lost in a reset": Alteration(
        replaced(Journals, "put", do_nothing), "scs-rechargeable", "TXN", "REQ-TXN-004"
    ),
    "events are numbered from 1 in each boot": Alteration(
        replaced(Memory, "_read", read_without(acknowledged_event=0, events={})), "scs-rechargeable", "EVT", "REQ-EVT-001"
    ),
    "the log begins anew in each boot": Alteration(
        replaced(Memory, "_read", read_without(_log=[])), "scs-rechargeable", "RST/LASTING", "REQ-RST-007"
    ),
    "therapy that runs is not resumed": Alteration(
        replaced(Delivery, "resume_after_reset", do_nothing), "scs-rechargeable", "RST/THERAPY", "REQ-RST-006"
    ),
    "therapy that was stopped is resumed": Alteration(
        replaced(Memory, "note", note_no_stop), "scs-rechargeable", "RST/THERAPY", "REQ-RST-006"
    ),
    "what was aborted is executed": Alteration(
        replaced(Session, "look_up", look_up_none_aborted), "scs-rechargeable", "REQ/ABORT", "REQ-REQ-006"
    ),
    "a self-test goes on while therapy runs": Alteration(
        replaced(SelfTestRun, "_state_changed", do_nothing), "scs-rechargeable", "REQ/PENDING", "REQ-REQ-005"
    ),
    "what takes time is pending for ever": Alteration(
        replaced(Link, "answer_awaited", do_nothing), "scs-rechargeable", "REQ/PENDING", "REQ-REQ-005"
    ),
    "a checkpoint forgets the limits": Alteration(restore_without_limits, "scs-rechargeable", "PRG/RESTORE", "REQ-PRG-012"),
    "checkpoints are lost in a reset": Alteration(
        replaced(Memory, "_read", read_without(checkpoints=(None, None))), "scs-rechargeable", "PRG/RESTORE", "REQ-RST-007"
    ),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_altered_feature_fails_by_its_requirement(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alteration = ALTERATIONS[name]
    assert failed_requirements(alteration.model, alteration.cases) == set(), "the device is sound before it is altered"
    alteration.alter(monkeypatch)
    assert alteration.requirement in failed_requirements(alteration.model, alteration.cases)
