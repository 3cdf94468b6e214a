"""The device under test: asks it, brings it to a known state, and writes down what a refusal must not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
from ipg_protocol import COMMAND_OF, Message, Reply, Request, Role, State, Status, crc32c, encode
from ipg_protocol.command import is_change
from ipg_protocol.commands.link import (
    Alert,
    CapabilityRow,
    DeviceStatus,
    FactoryReset,
    GetCapabilities,
    GetStatus,
    GetTime,
    Reset,
)
from ipg_protocol.commands.log import ClearFault, Latch, ReadFaults
from ipg_protocol.commands.measurement import (
    ALL_CONTACTS,
    Impedance,
    ImpedanceVerdict,
    MeasureImpedance,
    ReadImpedance,
)
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramSummary,
    ReadProgram,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import CloseSession, OpenSession, Session
from ipg_protocol.commands.therapy import ReadLimits, StartTherapy, StopMode, StopTherapy

from ipg_conformance.capabilities import Capabilities
from ipg_conformance.case import Failure, expect_ok
from ipg_conformance.safety import smallest_area, typical_area
from ipg_conformance.tester import Tester

NEXT = 0
"""As a change's `transaction`: the next number. 0 itself is reserved, so nothing else could be meant."""

HOST_ID = 0xC0F0_12AC_E000_0001
PROGRAM = 1
"""The slot that cases write to."""

R = TypeVar("R", bound=Message)
Q = TypeVar("Q", bound=Request[Any])


class Device:
    """A device reached through a `Tester`."""

    def __init__(self, tester: Tester) -> None:
        self.tester = tester
        self.open_contacts: list[Impedance] = []
        self.shorted_contacts: list[Impedance] = []
        self.session: Session | None = None
        self._capabilities: Capabilities | None = None
        self._nonce = 0
        self._transaction = 0
        self._clean_revision = -1
        self._leads_inspected = False

    @property
    def capabilities(self) -> Capabilities:
        """What the device reported the first time it was asked."""
        if self._capabilities is None:
            self._capabilities = Capabilities(self.read_capabilities())
        return self._capabilities

    @property
    def sound_contacts(self) -> list[int]:
        """The lead's contacts that no measurement found open or short."""
        bad = {row.cathode for row in self.open_contacts + self.shorted_contacts}
        return [contact for contact in self.capabilities.contacts if contact not in bad]

    @property
    def return_contact(self) -> int:
        """Where to measure against: the case, or without one the last sound contact."""
        return CASE_CONTACT if self.capabilities.has_case else self.sound_contacts[-1]

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
        """Send a request that must be accepted, and return its answer."""
        command = COMMAND_OF[type(message)]
        return cast("R", expect_ok(self.request(message), command.response, f"{command.name} is accepted"))

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
        if not self._nonce:
            self._nonce = self.ask(GetTime()).uptime_milliseconds & 0xFFFF_FFFF
        self._nonce += 1
        session = self.ask(OpenSession(role=role, host_id=host_id, nonce=self._nonce))
        if self.session is None or session.boot_counter != self.session.boot_counter:
            self.tester.forget_event_numbers()
        self.session = session
        self.tester.next_request_id = 1
        self._transaction = session.last_transaction
        return session

    def settle(self) -> None:
        """Bring the device to IDLE, with no fault latched, the factory's configuration and a SERVICE session."""
        self.request(StopTherapy(mode=StopMode.IMMEDIATE))
        state = self.wait_for_state(lambda state: state not in (State.BOOT, State.MEASURING), 10)
        self.open_session()
        if state in (State.RAMPING, State.THERAPY):
            self.ask(StopTherapy(mode=StopMode.IMMEDIATE))  # refused above, and has cases of its own to say so
        if state is State.SHELF:
            self.restart()
        status = self.status()
        if status.alerts & Alert.FAULT_LATCHED:
            self.clear_faults()
        if status.revision != self._clean_revision:
            self._clean_revision = self.ask(FactoryReset(NEXT)).revision

    def restart(self, role: Role = Role.SERVICE) -> Session:
        """RESET, wait for the boot to end, and open a session."""
        self.ask(Reset(NEXT))
        self.session = None
        self.wait_for_state(lambda state: state is not State.BOOT, 5)
        return self.open_session(role)

    def finish_measurement(self) -> None:
        """Wait until no measurement is under way."""
        self.wait_for_state(lambda state: state is not State.MEASURING, 10)

    def clear_faults(self) -> None:
        """Clear what is latched; where a measurement found a short, RESET forgets the measurement first."""
        for record in self.ask(ReadFaults()).rows:
            clear = ClearFault(NEXT, fault=record.fault)
            if record.latch is Latch.LATCHED and self.request(clear).status is Status.SHORT_CIRCUIT:
                self.restart()
                self.ask(clear)

    def wait_for_state(self, wanted: Callable[[State], bool], within: float = 2.0) -> State:
        """Poll the state until it is as wanted.

        Raises:
            Failure: it did not become so in time.
        """
        deadline = self.tester.clock() + within
        while True:
            state = self.status().state
            if wanted(state):
                return state
            if self.tester.clock() >= deadline:
                raise Failure(f"the state within {within:g} s", expected="another state", got=state.name)
            self.tester.listen(0.005)

    def write_program(self, *areas: AreaSettings, program: int = PROGRAM, select: bool = True) -> int:
        """Write a whole program and select it; returns the configuration revision."""
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
            if slot.area_count and slot.program != PROGRAM:
                self.ask(EraseProgram(NEXT, slot.program))

    def measure(self, cathode: int, anode: int) -> Impedance:
        """Measure one pair and wait for the result."""
        self.ask(MeasureImpedance(cathode, anode))
        self.finish_measurement()
        return self.ask(ReadImpedance(first=0)).rows[0]

    def measure_all(self) -> list[Impedance]:
        """Measure every contact against the return contact and wait for the results."""
        started = self.ask(MeasureImpedance(cathode=ALL_CONTACTS, anode=self.return_contact))
        self.wait_for_state(lambda state: state is not State.MEASURING, started.duration_ms / 1000 + 2)
        return self.read_impedance()

    def read_impedance(self) -> list[Impedance]:
        """All rows of the last measurement, page by page."""
        rows: list[Impedance] = []
        while page := self.ask(ReadImpedance(first=len(rows))).rows:
            rows += page
        return rows

    def inspect_leads_once(self) -> None:
        """Find the contacts that measure open or short, so that cases can use the others; settles the device again."""
        if self._leads_inspected:
            return
        rows = self.measure_all()
        self.open_contacts = [row for row in rows if row.verdict is ImpedanceVerdict.OPEN]
        self.shorted_contacts = [row for row in rows if row.verdict is ImpedanceVerdict.SHORT]
        self._leads_inspected = True
        self.settle()

    def programs(self) -> list[ProgramSummary]:
        """All slots, page by page."""
        rows: list[ProgramSummary] = []
        while page := self.ask(ListPrograms(first=len(rows))).rows:
            rows += page
        return rows

    def stored_amplitude(self) -> int:
        """The amplitude of the first area of the program that cases write to, in microamperes."""
        return self.ask(ReadProgram(PROGRAM, 0)).settings.amplitude_microamps

    def stored_areas(self) -> list[AreaSettings]:
        """Every area of every program, in order."""
        places = [(slot.program, area) for slot in self.programs() for area in range(slot.area_count)]
        return [self.ask(ReadProgram(program, area)).settings for program, area in places]

    def snapshot(self) -> tuple[Message, ...]:
        """What a refusal must leave as it was: programs, limits, selection, state and revision."""
        steady = msgspec.structs.replace(self.status(), unacknowledged_events=0, uptime_seconds=0)
        return (steady, self.ask(ReadLimits()), *self.programs(), *self.stored_areas())

    def stop_and_close(self) -> None:
        """Stop therapy at once, and leave no session behind."""
        self.tester.request(StopTherapy(mode=StopMode.IMMEDIATE))
        self.tester.request(CloseSession())


def checksum(*areas: AreaSettings) -> int:
    """The checksum that COMMIT_PROGRAM carries."""
    return crc32c(b"".join(encode(area) for area in areas))
