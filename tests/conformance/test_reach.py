"""The full profile, with inputs beside the link, meets all commands, states, roles, events and refusals that there can be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import pytest
from ipg_conformance import Profile, open_port, run_cases
from ipg_conformance.report.run import Verdict
from ipg_conformance.requirements import specification
from ipg_conformance.runner import select
from ipg_protocol import CATALOGUE, EVENTS, FrameReader, Kind, Role, State, Status, decode_event, decode_reply
from ipg_protocol.commands.link import DeviceStatus
from ipg_protocol.commands.log import LogCode, LogPage
from ipg_protocol.commands.session import Session
from ipg_protocol.commands.therapy import TherapyStateChanged

pytestmark = pytest.mark.timeout(120)
"""Whichever test comes first runs the cases on all devices, for the others too."""

DEVICES: dict[str, Sequence[str]] = {
    "scs-rechargeable": (),
    "scs-closed-loop": ("CMD", "REQ", "ECP", "THR", "PRG"),
    "scs-closed-loop?short=5": (),
    "scs-closed-loop?open=3": ("IMP", "THR", "MRI"),
    "tms": ("CMD",),
    "scs-trial": ("USE",),
    "tens": ("DOS/END", "HST"),
    "pns-percutaneous": ("USE/PERIOD/BO",),
}
"""Devices that have, between them, all that the protocol can name, and the cases to run on each: all where none are named."""

OUT_OF_REACH_STATUSES = {
    Status.STORAGE_FAILED: "nothing that a bench has wears the storage out",
    Status.COMPLIANCE: "no command of the catalogue is refused so",
}
HOURLY = "a device looks at its battery every hour or so, and this state passes within seconds"
OUT_OF_REACH_CHANGES = {
    (State.RAMPING, State.EOS): HOURLY,
    (State.MEASURING, State.EOS): HOURLY,
    (State.RAMPING, State.FAULT): "shorts are found by measurements, and the days of use do not end within a ramp",
    (State.SUSPENDED, State.FAULT): "no device has both a use period and something that holds therapy off",
}
OUT_OF_REACH_IN_THE_LOG = {
    LogCode.STORAGE_RECOVERED: "nothing that a bench has damages the storage",
    LogCode.STORAGE_LOST: "nothing that a bench has damages the storage",
}
SESSION_FIRST = "it is allowed in every state but BOOT, which no session outlives"
OUT_OF_REACH_REFUSALS = {
    ("ENTER_MRI_MODE", Status.SHORT_CIRCUIT): "a short latches a fault, and the state FAULT comes first",
    ("RECORD_ECAP", Status.UNSAFE_COMBINATION): "in its states a program is always selected",
}


class Met(NamedTuple):
    """What was seen on a device: answers by command and status, states, roles, events, changes of state and the log's codes."""

    answers: frozenset[tuple[str, Status]]
    states: frozenset[State]
    roles: frozenset[Role]
    events: frozenset[str]
    changes: frozenset[tuple[State, State]]
    """From which state to which other."""
    logged: frozenset[LogCode]


class Listening:
    """A port that keeps every frame that the device sent."""

    virtual = True

    def __init__(self, url: str) -> None:
        self._device: Any = open_port(url)
        self._reader = FrameReader()
        self.surroundings = self._device.surroundings
        self.frames: list[Any] = []
        self.timeout: float | None = None

    def monotonic(self) -> float:
        return float(self._device.monotonic())

    @property
    def in_waiting(self) -> int:
        return int(self._device.in_waiting)

    def read(self, size: int = 1, /) -> bytes:
        self._device.timeout = self.timeout
        data = bytes(self._device.read(size))
        self.frames += self._reader.feed(data, 0)
        return data

    def write(self, data: bytes, /) -> int:
        return int(self._device.write(data))

    def advance(self, seconds: float) -> None:
        self._device.advance(seconds)

    def close(self) -> None:
        self._device.close()


@cache
def met_on(device: str) -> Met:
    """Run the cases on a device, all of which must pass, and gather what came."""
    port = Listening(f"ipg://{device}{'&' if '?' in device else '?'}seed=1")
    results = run_cases(port, select(Profile.FULL, DEVICES[device]))
    assert [result.case for result in results if result.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)] == []
    responses = [frame for frame in port.frames if frame.kind is Kind.RESPONSE and frame.opcode in CATALOGUE]
    events = [frame for frame in port.frames if frame.kind is Kind.EVENT]
    bodies = [decode_reply(frame).body for frame in responses]
    return Met(
        frozenset((CATALOGUE[frame.opcode].name, Status(frame.payload[0])) for frame in responses),
        frozenset(body.state for body in bodies if isinstance(body, DeviceStatus)),
        frozenset(body.role for body in bodies if isinstance(body, Session)),
        frozenset(EVENTS[frame.opcode].name for frame in events),
        frozenset((told.previous, told.state) for told in map(decode_event, events) if isinstance(told, TherapyStateChanged)),
        frozenset(entry.code for body in bodies if isinstance(body, LogPage) for entry in body.rows),
    )


def met() -> Met:
    """What was seen on all devices together."""
    seen = [met_on(device) for device in DEVICES]
    return Met(*(frozenset().union(*parts) for parts in zip(*seen, strict=True)))


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_is_refused_in_a_way_that_the_catalogue_does_not_name(device: str) -> None:
    declared = {(command.name, status) for command in CATALOGUE.values() for status in {*command.refusals, Status.OK}}
    assert met_on(device).answers - declared == set()


def test_every_command_is_accepted_once() -> None:
    accepted = {name for name, status in met().answers if status is Status.OK}
    assert accepted == {command.name for command in CATALOGUE.values()}


def test_every_state_is_met() -> None:
    assert met().states == set(State)


def test_every_role_is_met() -> None:
    assert met().roles == set(Role)


def changes_of_the_specification() -> set[tuple[State, State]]:
    """The rows of its table of states, a row from any state being one from each that a RESET is taken in."""
    rows = re.findall(r"^\| (any|[A-Z]+) \| [^|]+ \| ([A-Z]+) \|$", specification(), re.MULTILINE)
    return {(State[first], State[last]) for first, last in rows if first != "any"}


def test_every_change_of_state_in_the_specification_s_table_is_met() -> None:
    assert changes_of_the_specification() - met().changes == OUT_OF_REACH_CHANGES.keys()


def test_no_change_of_state_is_met_that_the_specification_does_not_have() -> None:
    assert {(first, last) for first, last in met().changes - changes_of_the_specification() if last is not State.BOOT} == set()


def test_everything_that_a_log_can_tell_is_met_but_what_is_out_of_reach() -> None:
    assert set(LogCode) - met().logged == OUT_OF_REACH_IN_THE_LOG.keys()


def test_every_event_is_met() -> None:
    assert met().events == {event.name for event in EVENTS.values()}


def reason_why_not(name: str, status: Status) -> str:
    """Why nobody can provoke a refusal of a command; empty if somebody can."""
    command = next(command for command in CATALOGUE.values() if command.name == name)
    if status is Status.WRONG_STATE and command.role is not None and set(State) - command.states == {State.BOOT}:
        return SESSION_FIRST
    return OUT_OF_REACH_REFUSALS.get((name, status)) or OUT_OF_REACH_STATUSES.get(status, "")


def test_every_refusal_of_the_catalogue_is_provoked_or_out_of_reach() -> None:
    declared = {(command.name, status) for command in CATALOGUE.values() for status in command.refusals}
    assert {refusal for refusal in declared - met().answers if not reason_why_not(*refusal)} == set()


def test_no_refusal_is_called_out_of_reach_that_was_provoked() -> None:
    assert {refusal for refusal in met().answers if reason_why_not(*refusal)} == set()


def test_every_status_is_met_but_those_out_of_reach() -> None:
    """UNKNOWN_COMMAND belongs to no command of the catalogue; cases of it have a requirement of their own."""
    seen = {status for _, status in met().answers} | {Status.UNKNOWN_COMMAND}
    assert set(Status) - seen == set(OUT_OF_REACH_STATUSES)
