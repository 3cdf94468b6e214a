"""Operations that let things go wrong, and be well again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

import msgspec

from ipg_emulator.control.answers import Answer, Moment, seconds
from ipg_emulator.control.operation import Operation, OperationError, operation
from ipg_emulator.faults.describe import every_kind
from ipg_emulator.faults.fault import Fault, FaultError
from ipg_emulator.faults.injector import Injector, inject
from ipg_emulator.virtual import Subject, VirtualIpg

if TYPE_CHECKING:
    AnyFault = Fault
else:
    AnyFault = Union[tuple(every_kind().values())]  # noqa: UP007 - it is made of what is declared

Number = Annotated[int, msgspec.Meta(ge=1, description="the number of the fault")]


class PlannedFault(Answer, frozen=True):
    """How a fault stands: how often it has struck, and whether it is there now, or can still strike."""

    number: int
    fault: AnyFault
    struck: int
    active: bool


class FaultNumber(Answer, frozen=True):
    """By which a fault can be removed."""

    number: int


@operation("faults", reads=True)
class ListFaults(Operation[list[PlannedFault]], frozen=True):
    """What goes wrong, and how often it has."""

    def run(self, subject: Subject) -> list[PlannedFault]:
        injector = _injector(subject.ipg)
        planned = injector.planned() if injector else []
        return [PlannedFault(each.number, each.fault, each.struck, each.active) for each in planned]


@operation("inject")
class InjectFault(Operation[FaultNumber], frozen=True):
    """Let something go wrong from now on, once or whenever its occasions come."""

    fault: Annotated[AnyFault, msgspec.Meta(description="what goes wrong, and when; `ipg-emulator faults` lists the kinds")]

    def run(self, subject: Subject) -> FaultNumber:
        try:
            return FaultNumber(inject(subject.ipg, self.fault, subject.present()))
        except FaultError as error:
            raise OperationError(str(error)) from None


@operation("remove-fault")
class RemoveFault(Operation[Moment], frozen=True):
    """Let one thing be well again."""

    number: Number

    def run(self, subject: Subject) -> Moment:
        now, injector = subject.present(), _injector(subject.ipg)
        try:
            if injector is None:
                raise FaultError(f"there is no fault {self.number}; there is none")
            injector.remove(self.number, now)
        except FaultError as error:
            raise OperationError(str(error)) from None
        return Moment(seconds(now))


@operation("clear-faults")
class ClearFaults(Operation[Moment], frozen=True):
    """Let everything be well again; what is on the line still arrives."""

    def run(self, subject: Subject) -> Moment:
        now, injector = subject.present(), _injector(subject.ipg)
        if injector is not None:
            injector.clear(now)
        return Moment(seconds(now))


def _injector(ipg: VirtualIpg) -> Injector | None:
    return ipg.faults if isinstance(ipg.faults, Injector) else None
