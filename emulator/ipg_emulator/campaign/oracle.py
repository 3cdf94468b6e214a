"""The judge of one device: after every step, what it says and keeps is held against the reference model and the invariants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from ipg_protocol.command import COMMAND_OF, Change, Request, decode_reply, is_change
from ipg_protocol.commands.link import (
    DeviceStatus,
    GetStatus,
    Identify,
    Identity,
    Reset,
    TransactionOutcome,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.log import Counters, LogPage, ReadCounters, ReadLog
from ipg_protocol.commands.programs import ListPrograms, ProgramArea, ProgramPage, ReadProgram
from ipg_protocol.commands.therapy import (
    AreaTherapy,
    Limits,
    ReadLimits,
    ReadSchedule,
    ReadTherapy,
    Schedule,
    StopTherapy,
    TherapyFlag,
    TherapyState,
)
from ipg_protocol.frame import FrameReader, Kind
from ipg_protocol.wire import Message, encode

from ipg_emulator.campaign.invariants import Broken, Client, Events, OutputWatch, Records, require
from ipg_emulator.campaign.reference import Kept, NotPossible, Reference, StoredProgram, changes_configuration
from ipg_emulator.campaign.step import Step, is_ok, request_of
from ipg_emulator.firmware import Firmware

ONCE = "every change is committed once, or known not to be"
CONTENTS = "the configuration is what the committed changes make it"
TOLD = "the device tells what it keeps"

Key = tuple[int, int]
"""Of a change: its host and its transaction."""
Intent = tuple[int, bytes]
"""Opcode and payload of a change."""


def kept_by(firmware: Firmware) -> Kept:
    """What a device keeps, in the words of the reference model."""
    found = firmware.memory.configuration
    limits = found.limits
    programs = [None if each is None else StoredProgram(each.name, each.areas, each.revision) for each in found.programs]
    return Kept(
        found.revision,
        found.active_program,
        (limits.amplitude_microamps, limits.pulse_width_us, limits.rate_millihertz, limits.charge_per_phase_nanocoulombs),
        tuple(programs),
        found.schedule,
    )


class Oracle:
    """Judges one device over its life, and what its hosts believe of it."""

    def __init__(self, firmware: Firmware) -> None:
        """Take a device as it has left the factory."""
        self.commits = 0
        self._firmware = firmware
        self._reference = Reference(kept_by(firmware), firmware.model.ranges.amplitude_microamps)
        self._configuration = firmware.memory.configuration
        self._records = Records(firmware)
        self._events = Events()
        self._output = OutputWatch(firmware)
        self._committed: dict[Key, Intent] = {}
        self._perhaps: dict[Key, Intent] = {}
        """Changes that a power cut met half way, and that leave no trace in the configuration: committed or not."""
        self._not_applied: dict[Key, Intent] = {}
        self._heard = FrameReader()
        self._said = FrameReader()
        self._arrived = FrameReader()
        self._answers: dict[type[Request[Any]], Callable[[Step, Any], None]] = {
            GetStatus: self._judge_status,
            Identify: self._judge_identity,
            ReadLimits: self._judge_limits,
            ListPrograms: self._judge_slots,
            ReadProgram: self._judge_program,
            ReadSchedule: self._judge_schedule,
            ReadLog: self._judge_log_page,
            ReadCounters: self._judge_counters,
            ReadTherapy: self._judge_therapy,
            StopTherapy: self._judge_stop,
            TransactionStatus: self._judge_report,
        }
        """How each answer is judged, by what was asked."""

    # The device

    def judge(self, heard: bytes, said: Sequence[bytes], host_id: int, now: int, boots: int) -> None:
        """Judge what the device did at one moment, in which it was made to boot so many times.

        Raises:
            Broken: an invariant does not hold.
        """
        step = self._step(heard, said, host_id, now, boots)
        applied = self._judge_configuration(step)
        self._judge_commit(step, applied)
        if step.boots:
            self._reference.booted()
            self._heard = FrameReader()
        for frame in step.said:
            if frame.kind is Kind.EVENT:
                self._events.said(frame)
        self._records.judge(step.boots)
        self._output.judge(self._reference.kept, now)
        self._judge_answer(step)

    def time_passes(self, now: int) -> None:
        """Judge the output before anything happens at `now`."""
        self._output.judge(self._reference.kept, now)

    def _step(self, heard: bytes, said: Sequence[bytes], host_id: int, now: int, boots: int) -> Step:
        frames = [frame for frame in self._heard.feed(heard, now) if frame.kind is Kind.REQUEST]
        frame = frames[0] if frames else None
        answers = [frame for each in said for frame in self._said.feed(each, now)]
        step = Step(now, host_id, boots, frame, None if frame is None else request_of(frame), answers)
        if isinstance(step.request, Reset) and (boots or is_ok(step.reply)):
            step.boots += 1
        return step

    def _judge_configuration(self, step: Step) -> bool:
        """Judge what has become of the configuration; whether the step's request has changed it."""
        present = self._firmware.memory.configuration
        if present is self._configuration:
            return False
        self._configuration = present
        found, kept = kept_by(self._firmware), self._reference.kept
        if found == kept:
            return False
        revision = kept.revision + 1
        require(found.revision == revision, "the revision rises by one with each change", revision, found.revision)
        request = step.request
        expected = self._expected(request, step.now)
        require(found in expected, CONTENTS, _differences(expected[0], found), _differences(found, expected[0]))
        self._reference.changed(request, found)
        return request is not None

    def _expected(self, request: Request[Any] | None, now: int) -> list[Kept]:
        """What the configuration may be after the step, given that it has changed."""
        if request is not None:
            try:
                return self._reference.after(request)
            except NotPossible as impossible:
                raise Broken(CONTENTS, f"no change, as {impossible}", "a change") from None
        offset = self._firmware.memory.condition.clock_offset_us
        programs = self._reference.scheduled_at(now + offset) if offset is not None else ()
        require(bool(programs), CONTENTS, "no change, as nobody asked for one", "a change")
        return [self._reference.after_schedule(program) for program in programs]

    def _judge_commit(self, step: Step, applied: bool) -> None:
        request, frame, carried_out = step.request, step.frame, is_ok(step.reply)
        if frame is None or request is None:
            return
        if carried_out:
            require(applied or not changes_configuration(request), CONTENTS, f"{request} to take effect", "no change")
            self._reference.executed(request)
        if not is_change(request):
            return
        key, intent = (step.host_id, request.transaction), (frame.opcode, frame.payload)
        if applied or carried_out:
            require(key not in self._committed, ONCE, f"transaction {key} once", f"{request} a second time")
            require(self._not_applied.get(key) != intent, ONCE, f"{request} never, as its host was told", "it took effect")
            require(carried_out or step.reply is None, "a refusal changes nothing", "no change", request)
            self._committed[key] = intent
            self.commits += 1
        elif step.boots and step.reply is None:
            self._perhaps[key] = intent
            self._reference.perhaps_executed(request)

    # What the device says

    def _judge_answer(self, step: Step) -> None:
        if step.request is None or step.reply is None or not is_ok(step.reply):
            return
        judgement = self._answers.get(type(step.request))
        if judgement is not None:
            judgement(step, decode_reply(step.reply).body)

    def _judge_status(self, _: Step, told: DeviceStatus) -> None:
        kept, memory = self._reference.kept, self._records
        found = (told.revision, told.active_program, told.boot_counter)
        require(found == (kept.revision, kept.active, memory.boot_counter), TOLD, (kept.revision, kept.active), found)

    def _judge_identity(self, _: Step, told: Identity) -> None:
        require(told.boot_counter == self._records.boot_counter, TOLD, self._records.boot_counter, told.boot_counter)

    def _judge_limits(self, _: Step, told: Limits) -> None:
        found = (told.amplitude_microamps, told.pulse_width_us, told.rate_millihertz, told.charge_per_phase_nanocoulombs)
        require(found == self._reference.kept.limits, TOLD, self._reference.kept.limits, found)

    def _judge_slots(self, _: Step, told: ProgramPage) -> None:
        kept = self._reference.kept
        require(told.active_program == kept.active, TOLD, kept.active, told.active_program)
        for row in told.rows:
            stored = kept.program(row.program)
            expected = (len(stored.areas), stored.revision, stored.name) if stored else (0, 0, "")
            require((row.area_count, row.revision, row.name) == expected, TOLD, expected, row)

    def _judge_program(self, _: Step, told: ProgramArea) -> None:
        stored = self._reference.kept.program(told.program)
        place = told.settings.area
        expected = stored and (len(stored.areas), stored.revision, stored.areas[place])
        require((told.area_count, told.revision, told.settings) == expected, TOLD, expected, told)

    def _judge_schedule(self, _: Step, told: Schedule) -> None:
        require(told.rows == self._reference.kept.schedule, TOLD, self._reference.kept.schedule, told.rows)

    def _judge_log_page(self, _: Step, told: LogPage) -> None:
        for row in told.rows:
            require(self._records.entries.get(row.number) == row, TOLD, self._records.entries.get(row.number), row)

    def _judge_counters(self, _: Step, told: Counters) -> None:
        require(told == self._records.counters, TOLD, self._records.counters, told)

    def _judge_therapy(self, _: Step, told: AreaTherapy) -> None:
        most = told.deliverable_microamps
        if not told.flags & (TherapyFlag.RAMPING | TherapyFlag.CLOSED_LOOP):
            most = min(most, told.programmed_microamps)
        require(told.delivered_microamps <= most, "no more is delivered than deliverable and programmed", most, told)

    def _judge_stop(self, step: Step, _: TherapyState) -> None:
        self._output.judge_stop(cast("StopTherapy", step.request).mode, step.now)

    def _judge_report(self, step: Step, told: TransactionReport) -> None:
        key = step.host_id, cast("TransactionStatus", step.request).transaction
        if key in self._perhaps:
            return
        is_right = (told.outcome is TransactionOutcome.COMMITTED) == (key in self._committed)
        require(is_right or told.outcome is TransactionOutcome.FORGOTTEN, TOLD, self._committed.get(key, "NOT_SEEN"), told)

    # What the hosts believe

    def committed(self, host_id: int, request: Change[Any]) -> None:
        """A host takes a change for carried out."""
        key, intent = (host_id, request.transaction), _intent(request)
        if self._perhaps.get(key) == intent:
            self._committed[key] = self._perhaps.pop(key)
        require(self._committed.get(key) == intent, ONCE, f"{request} committed, as its host believes", "it is not")

    def not_applied(self, host_id: int, request: Change[Any]) -> None:
        """A host takes a change for refused."""
        self.not_seen(host_id, request)
        self._not_applied[host_id, request.transaction] = _intent(request)

    def not_seen(self, host_id: int, request: Change[Any]) -> None:
        """A host has asked for a change of an earlier session, and takes it for not carried out; its number is free again."""
        key, intent = (host_id, request.transaction), _intent(request)
        require(self._committed.get(key) != intent, ONCE, f"{request} without effect, as its host believes", "it took effect")
        self._perhaps.pop(key, None)

    def delivered(self, client: Client, frame: bytes, event: Message, now: int) -> None:
        """A host hands on an event that came in a frame."""
        for arrived in self._arrived.feed(frame, now):
            self._events.delivered(client, arrived, event)

    def began_anew(self, host_id: int) -> None:
        """A host has taken up its line anew: it counts on from what the device has, and may use a refused number again."""
        self._not_applied = {key: intent for key, intent in self._not_applied.items() if key[0] != host_id}


def _intent(request: Request[Any]) -> Intent:
    return COMMAND_OF[type(request)].opcode, encode(request)


def _differences(one: Kept, other: Kept) -> dict[str, object]:
    """The fields of one configuration in which another differs."""
    names = Kept.__struct_fields__
    return {name: getattr(one, name) for name in names if getattr(one, name) != getattr(other, name)}
