"""The device under test: asks it, brings it to a known state, and writes down what a refusal must not change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, TypeVar, cast

import msgspec
from ipg_protocol import COMMAND_OF, Message, Reply, Request, Role, State, crc32c, encode
from ipg_protocol.command import is_change
from ipg_protocol.commands.link import (
    Capability,
    CapabilityRow,
    DeviceStatus,
    GetCapabilities,
    GetStatus,
    GetTime,
    Ping,
    Reset,
)
from ipg_protocol.commands.measurement import Impedance
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramArea,
    ProgramSummary,
    ReadProgram,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.sensing import ReadFeedback
from ipg_protocol.commands.session import KeepAlive, OpenSession, Session
from ipg_protocol.commands.therapy import ReadLimits, ReadSchedule, StartTherapy
from ipg_protocol.refusal import SafetyDetail, SafetyRule

from ipg_conformance.areas import smallest_area, typical_area
from ipg_conformance.capabilities import Capabilities
from ipg_conformance.expect import Failure, NotApplicable, OutOfReach, expect_ok
from ipg_conformance.ics import Statement
from ipg_conformance.inputs import CommandInputs, Inputs
from ipg_conformance.settling import settle
from ipg_conformance.tester import Tester

NEXT = 0
"""As a change's `transaction`: the next number. 0 itself is reserved, so nothing else could be meant."""

HOST_ID = 0xC0F0_12AC_E000_0001
BOOT_SECONDS = 5.0
REAL_PATIENCE_SECONDS = 65.0
VIRTUAL_PATIENCE_SECONDS = 3_700.0
LONGEST_SILENCE_SECONDS = 5.0
TELLING_SECONDS = 0.02
"""What a device is given to tell what has happened."""
READS_AT_ONCE = 4

R = TypeVar("R", bound=Message)
Q = TypeVar("Q", bound=Request[Any])


class Device:
    """A device reached through a `Tester`."""

    def __init__(self, tester: Tester, inputs: Inputs | None = None, statement: Statement | None = None) -> None:
        self.tester = tester
        self.inputs = inputs or CommandInputs()
        self.statement = statement
        """What its maker declares of it."""
        self.open_contacts: list[Impedance] = []
        self.shorted_contacts: list[Impedance] = []
        self._capabilities: Capabilities | None = None
        self.refuses = False
        """Whether it was seen not to agree to everything."""
        self._nonce = self._transaction = 0
        self.clean_revision: int | None = None
        """The configuration's revision when it was last the factory's; None before it was."""
        self.leads_inspected = False
        self.measured_in_boot = 0
        """The boot counter when every contact was last measured."""
        self.measuring_seconds = 0.0
        """How long it takes to measure every contact, as the device says."""

    @property
    def capabilities(self) -> Capabilities:
        """What the device reported the first time it was asked."""
        if self._capabilities is None:
            self._capabilities = Capabilities(self.read_capabilities())
        return self._capabilities

    def makes_sense(self) -> bool:
        """Whether the capabilities were read, and are such that values can be reckoned from them."""
        return self._capabilities is not None and self._capabilities.make_sense()

    @property
    def program(self) -> int:
        """The slot that cases write to: the second, where there are two."""
        return min(1, self.capabilities.limit(Capability.PROGRAM_SLOTS) - 1)

    @property
    def other_program(self) -> int:
        """Another slot.

        Raises:
            NotApplicable: there is only one.
        """
        if self.program == 0:
            raise NotApplicable("the device has one program slot")
        return 0

    @property
    def sound_contacts(self) -> list[int]:
        """The lead's contacts that no measurement found open or short."""
        bad = {row.cathode for row in self.open_contacts + self.shorted_contacts}
        return [contact for contact in self.capabilities.contacts if contact not in bad]

    @property
    def return_contact(self) -> int:
        """Where to measure against: the case, or without one the last sound contact.

        Raises:
            NotApplicable: there is no case, and no other sound contact to be measured against that one.
        """
        if self.capabilities.has_case:
            return CASE_CONTACT
        if len(self.sound_contacts) < 2 <= len(self.capabilities.contacts):
            raise NotApplicable("the device has fewer than two sound contacts")
        return self.sound_contacts[-1]

    def request(self, message: Request[Any]) -> Reply:
        """Send a request; a change whose transaction is `NEXT` gets the next number."""
        return self.tester.request(self.numbered(message))

    def numbered(self, message: Q) -> Q:
        """The same request, a change with its transaction filled in."""
        if is_change(message) and message.transaction == NEXT:
            return cast("Q", msgspec.structs.replace(message, transaction=self.next_transaction()))
        return message

    def next_transaction(self) -> int:
        self._transaction += 1
        return self._transaction

    def ask(self, message: Request[R]) -> R:
        """Send a request that must be accepted, and return its answer.

        Raises:
            NotApplicable: the device lacks the command, or has given as many doses today as it may.
        """
        command = COMMAND_OF[type(message)]
        self.need(type(message))
        reply = self.request(message)
        self.need_doses(reply)
        return cast("R", expect_ok(reply, command.response, f"{command.name} is accepted"))

    def need_doses(self, reply: Reply) -> None:
        """Go on only if a request was not refused for the doses of the day.

        Raises:
            NotApplicable: it was.
        """
        detail = reply.body
        if isinstance(detail, SafetyDetail) and detail.rule is SafetyRule.DOSES_PER_DAY:
            most = self.capabilities.limit(Capability.DOSES_PER_DAY)
            if 0 < most <= detail.value and detail.limit == most:
                raise NotApplicable("the doses that the device gives within 24 h are used up")

    def request_all(self, messages: Sequence[Request[Any]]) -> list[Reply]:
        """Send requests, some at a time without waiting, and return their answers in order."""
        replies: list[Reply] = []
        for first in range(0, len(messages), READS_AT_ONCE):
            some = [(COMMAND_OF[type(read)].opcode, encode(read)) for read in messages[first : first + READS_AT_ONCE]]
            sent = [(opcode, self.tester.send(opcode, payload)) for opcode, payload in some]
            replies += [self.tester.answer_to(opcode, number) for opcode, number in sent]
        return replies

    def has(self, request: type[Message]) -> bool:
        """Whether the device has a command: one that no device may lack, or one that it names."""
        return not COMMAND_OF[request].optional or self.capabilities.supports(request)

    def need(self, *requests: type[Message]) -> None:
        """Go on only if the device has these commands.

        Raises:
            NotApplicable: it lacks one.
        """
        for request in requests:
            if not self.has(request):
                raise NotApplicable(f"the device has no {COMMAND_OF[request].name}")

    def status(self) -> DeviceStatus:
        return self.ask(GetStatus())

    def read_capabilities(self) -> list[CapabilityRow]:
        """All rows of GET_CAPABILITIES, page by page."""
        rows: list[CapabilityRow] = []
        while True:
            page = self.ask(GetCapabilities(first=len(rows)))
            rows += page.rows
            if len(rows) >= page.total or not page.rows:
                return rows

    def open_session(self, role: Role = Role.SERVICE, host_id: int = HOST_ID) -> Session:
        """Open a new session, which replaces the one that may be open; request ids begin at 1 again."""
        return self.begin(self.ask(self.opening(role, host_id)))

    def opening(self, role: Role = Role.SERVICE, host_id: int = HOST_ID) -> OpenSession:
        """The request for a new session, with a nonce of its own."""
        if not self._nonce:
            self._nonce = self.ask(GetTime()).uptime_milliseconds & 0xFFFF_FFFF
        self._nonce += 1
        return OpenSession(role=role, host_id=host_id, nonce=self._nonce)

    def begin(self, session: Session) -> Session:
        """Go on in a session that was opened."""
        self.tester.next_request_id = 1
        self._transaction = session.last_transaction
        return session

    def settle(self) -> None:
        """Bring the device to IDLE, with no fault latched, the factory's configuration and a SERVICE session."""
        settle(self)

    def restart(self, role: Role = Role.SERVICE) -> Session:
        """RESET, wait for the boot to end, and open a session."""
        self.ask(Reset(NEXT))
        self.wait_for_boot()
        return self.open_session(role)

    def wait_for_state(self, wanted: Callable[[State], bool], within: float = 2.0) -> State:
        """Poll the state until it is as wanted, the line's time given besides.

        Raises:
            Failure: it did not become so in time.
        """
        started = self.tester.clock()
        while True:
            state = self.status().state
            if wanted(state):
                return state
            waited = self.tester.clock() - started
            if waited >= within + self.tester.line_seconds:
                raise Failure(f"the state within {within:g} s", expected="another state", got=state.name)
            self.tester.listen(min(0.005 + waited / 50, 0.2))

    def wait_for_boot(self) -> State:
        """Wait for the boot to end; the state that follows."""
        return self.wait_for_state(lambda state: state is not State.BOOT, BOOT_SECONDS)

    @property
    def patience_seconds(self) -> float:
        """How long a case may take: an hour where that costs no real time."""
        return VIRTUAL_PATIENCE_SECONDS if self.tester.is_virtual else REAL_PATIENCE_SECONDS

    def need_silent_host(self) -> None:
        """Go on only if the end that silence puts to a session comes as soon as the device's time passes.

        Raises:
            OutOfReach: the time is hurried; no more of it passes towards that end than really passes.
        """
        if self.tester.speed > 1:
            raise OutOfReach("a device in a hurry waits for a silent host in real time: leave --speed out")

    def rest(self, seconds: float) -> None:
        """Let time pass, so that neither the session nor a device that minds silence is lost to it.

        Raises:
            OutOfReach: it would take longer than a case may.
        """
        if seconds > self.patience_seconds:
            raise OutOfReach(f"it would take {_minutes(seconds)}")
        silence = self.capabilities.limit(Capability.HOST_SILENCE_MS) / 2000 or LONGEST_SILENCE_SECONDS
        end = self.tester.clock() + seconds
        while (left := end - self.tester.clock()) > 0:
            self.tester.listen(min(left, silence, LONGEST_SILENCE_SECONDS))
            self.ask(KeepAlive())

    def catch_up(self, seconds: float = TELLING_SECONDS) -> None:
        """Let time pass, and take in all that was sent by then: over a slow line a PING's answer is the last of it."""
        self.tester.listen(seconds)
        self.ask(Ping(0))

    def forget_events(self) -> None:
        """Take in the events of what was asked before, and forget them."""
        self.catch_up()
        self.tester.events.clear()

    def let_pass(self, seconds: float) -> None:
        """Let so much of the device's time pass without a word from the host: by the input `time`, or else by waiting.

        Raises:
            OutOfReach: there is no such input, and it would take longer than a case may.
        """
        if self.inputs.has_time:
            self.tester.grant(seconds)
            self.inputs.time(seconds)
        elif seconds <= self.patience_seconds:
            self.tester.listen(seconds)
        else:
            raise OutOfReach(f"it would take {_minutes(seconds)}, and there is no input `time`")

    def write_program(self, *areas: AreaSettings, program: int | None = None, select: bool = True) -> int:
        """Write a whole program and select it; returns the configuration revision."""
        program = self.program if program is None else program
        self.ask(BeginProgramWrite(program, area_count=len(areas), name="conformance"))
        for area in areas:
            self.ask(WriteProgramBlock(program, settings=area))
        revision = self.ask(CommitProgram(NEXT, program=program, checksum=checksum(*areas))).revision
        if select:
            self.ask(SelectProgram(NEXT, program=program))
        return revision

    def typical(self, **chosen: object) -> AreaSettings:
        """A typical area on sound contacts."""
        return typical_area(self.capabilities, self.sound_contacts, **chosen)

    def smallest(self, **chosen: object) -> AreaSettings:
        """An area on sound contacts with every parameter not chosen at its minimum."""
        return smallest_area(self.capabilities, self.sound_contacts, **chosen)

    def begin_therapy(self, area: AreaSettings | None = None) -> AreaSettings:
        """Write and select a program of one area (a typical one by default), and start it."""
        used = self.typical() if area is None else area
        self.write_program(used)
        self.ask(StartTherapy(NEXT))
        return used

    def run_therapy(self, area: AreaSettings | None = None) -> None:
        """Begin therapy and wait until the ramp is over."""
        used = self.begin_therapy(area)
        self.wait_for_state(lambda state: state is State.THERAPY, used.ramp_seconds + 2)

    def erase_others(self) -> None:
        """Empty every slot but the one that cases write to."""
        for slot in self.programs():
            if slot.area_count and slot.program != self.program:
                self.ask(EraseProgram(NEXT, slot.program))

    def programs(self) -> list[ProgramSummary]:
        """All slots, page by page."""
        rows: list[ProgramSummary] = []
        while True:
            page = self.ask(ListPrograms(first=len(rows)))
            rows += page.rows
            if len(rows) >= page.total or not page.rows:
                return rows

    def stored_amplitude(self) -> int:
        """The amplitude of the first area of the program that cases write to, in microamperes."""
        return self.ask(ReadProgram(self.program, 0)).settings.amplitude_microamps

    def stored_areas(self) -> list[AreaSettings]:
        """Every area of every program, in order."""
        return self._areas_of(self.programs())

    def _areas_of(self, programs: list[ProgramSummary]) -> list[AreaSettings]:
        places = [(slot.program, area) for slot in programs for area in range(slot.area_count)]
        replies = self.request_all([ReadProgram(program, area) for program, area in places])
        return [expect_ok(reply, ProgramArea, "READ_PROGRAM is accepted").settings for reply in replies]

    def snapshot(self) -> tuple[Message, ...]:
        """What a refusal must leave as it was: programs, schedule, feedback, limits, selection, state and revision."""
        steady = msgspec.structs.replace(self.status(), unacknowledged_events=0, uptime_seconds=0)
        programs = self.programs()
        reads: list[Request[Any]] = [ReadLimits(), ReadSchedule(), ReadFeedback(0)]
        replies = self.request_all([read for read in reads if self.has(type(read))])
        return (steady, *programs, *self._areas_of(programs), *(reply.body for reply in replies))


def checksum(*areas: AreaSettings) -> int:
    """The checksum that COMMIT_PROGRAM carries."""
    return crc32c(b"".join(encode(area) for area in areas))


def _minutes(seconds: float) -> str:
    """A time in words, so coarse that two runs say the same."""
    return f"{ceil(seconds / 60)} minutes"
