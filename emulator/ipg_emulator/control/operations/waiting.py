"""Waiting for an event: time is let pass where it stands still, and followed where it passes by itself."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from ipg_protocol.command import EVENTS

from ipg_emulator.control.answers import Answer, SeenEvent, microseconds, seconds
from ipg_emulator.control.operation import Operation, OperationError, StillToCome, operation
from ipg_emulator.control.operations.device import LONGEST_ADVANCE_SECONDS
from ipg_emulator.control.witness import Witness, witness_of
from ipg_emulator.virtual import Subject

MESSAGES = {event.name: event.message for event in EVENTS.values()}
"""Every kind of event by its name."""

INSTEAD_TOLD = 10
EventNumber = Annotated[
    int, msgspec.Meta(ge=0, description="what counts is numbered higher than this; without it, what comes from now on")
]

if TYPE_CHECKING:
    EventName = str
else:
    EventName = Literal[tuple(sorted(MESSAGES))]


class Waited(Answer, frozen=True):
    """The event that was waited for; None if it did not come in time, and then the last of what came instead."""

    event: SeenEvent | None
    until_seconds: float
    instead: list[SeenEvent] = msgspec.field(default_factory=list[SeenEvent])


class Awaited(Operation[Waited], frozen=True):
    """An event that is waited for, and how long."""

    event: str
    fields: dict[str, Any]
    after: int
    deadline: int
    """In microseconds."""

    def run(self, subject: Subject) -> Waited:
        now = subject.present()
        witness = witness_of(subject.ipg)
        while (found := self._found(witness)) is None and now < self.deadline:
            if subject.passes_by_itself:
                raise StillToCome(self)
            due_at = subject.ipg.wake_at()
            until = self.deadline if due_at is None else min(self.deadline, max(due_at, now))
            subject.advance(seconds(until - now))
            now = subject.present()
        if found is not None:
            return Waited(found, seconds(now))
        return Waited(None, seconds(now), self._since(witness)[-INSTEAD_TOLD:])

    def _found(self, witness: Witness) -> SeenEvent | None:
        return next((event for event in self._since(witness) if self._fits(event)), None)

    def _since(self, witness: Witness) -> list[SeenEvent]:
        return [event for event in witness.memories.events if event.number > self.after]

    def _fits(self, event: SeenEvent) -> bool:
        return event.name == self.event and all(event.fields[name] == value for name, value in self.fields.items())


@operation("wait-for")
class WaitFor(Operation[Waited], frozen=True):
    """Wait for an event. Time that stands still is let pass up to it, and no further; else it is waited for."""

    event: Annotated[EventName, msgspec.Meta(description="the name of the event")]
    within_seconds: Annotated[
        float, msgspec.Meta(ge=0, le=LONGEST_ADVANCE_SECONDS, description="of the device's time, from now on")
    ] = 10.0
    fields: Annotated[
        dict[str, Any], msgspec.Meta(description="what its fields must hold: enumerations by name, flags as lists of names")
    ] = msgspec.field(default_factory=dict[str, Any])
    after: EventNumber | None = None

    def run(self, subject: Subject) -> Waited:
        names = MESSAGES[self.event].__struct_fields__
        for name in self.fields:
            if name not in names:
                near = get_close_matches(name, names, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise OperationError(f"{self.event} has no field {name}, it has {', '.join(names)}{hint}")
        now = subject.present()
        witness = witness_of(subject.ipg)
        after = witness.last_event if self.after is None else self.after
        return Awaited(self.event, self.fields, after, now + microseconds(self.within_seconds)).run(subject)
