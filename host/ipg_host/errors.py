"""What can go wrong, as one tree under `IpgError`: the device refused, or the link failed, or the input was wrong.

Each exception carries the facts as attributes, and says in one or two lines what was wrong and what would be right.
"""

from __future__ import annotations

from typing import Any, cast

from ipg_protocol import COMMAND_OF, Message, Request, Status
from ipg_protocol.refusal import (
    BootDetail,
    BusyDetail,
    CircuitDetail,
    FaultDetail,
    FieldDetail,
    RangeDetail,
    RevisionDetail,
    RoleDetail,
    SafetyDetail,
    StateDetail,
)


class IpgError(Exception):
    """Anything that this library raises."""


class InputError(IpgError):
    """A value, a unit or a file that cannot be sent as it is."""


class MeasurementInterrupted(IpgError):
    """A measurement ended before all its pairs were measured; `measured` of `planned` pairs were."""

    def __init__(self, measured: int, planned: int) -> None:
        super().__init__(f"the measurement was stopped after {measured} of {planned} pairs")
        self.measured = measured
        self.planned = planned


class DoesNotFit(IpgError):
    """Programs of one device that another does not take; nothing was written. `misfits` has a line for each value."""

    def __init__(self, misfits: tuple[str, ...]) -> None:
        super().__init__("nothing was written, because some values do not fit:\n  " + "\n  ".join(misfits))
        self.misfits = misfits


class NotAsWritten(IpgError):
    """What was read back from slot `program` is not what was written."""

    def __init__(self, program: int) -> None:
        super().__init__(f"program {program} was written, but what was read back differs")
        self.program = program


class LinkError(IpgError):
    """The port or the link, not the device's judgement."""


class PortError(LinkError):
    """The port cannot be opened."""


class PortInUse(PortError):
    """Another program has the port."""


class LinkLost(LinkError):
    """The port went away in the middle."""


class OutcomeUnknown(LinkError):
    """A request was sent and no answer came, so it may have been carried out or not.

    `request` is as it was sent, and `transaction` its number, None when it carried none: `procedures.resolve` finds out what
    became of it, in this session or a later one.
    """

    def __init__(self, request: Request[Any], reason: str) -> None:
        self.request = request
        self.command = COMMAND_OF[type(request)].name
        self.transaction = cast("int | None", getattr(request, "transaction", None))
        super().__init__(f"{self.command}: {reason}{self.consequence}")

    @property
    def consequence(self) -> str:
        told = "" if self.transaction is None else f"; `ipg-host transaction {self.transaction}` tells"
        return f"; it may have been carried out or not{told}"


class NoAnswer(OutcomeUnknown):
    """Nothing came back to a request that changes nothing."""

    @property
    def consequence(self) -> str:
        return ""


class GarbageAnswer(NoAnswer):
    """Bytes came back to a request that changes nothing, but no answer was among them."""


class Refused(IpgError):
    """The device refused a request, and nothing was changed. `detail` says why, in a form a program can act on."""

    def __init__(self, request: Request[Any], status: Status, detail: Message, explanation: str) -> None:
        self.request = request
        self.command = COMMAND_OF[type(request)].name
        self.status = status
        self._detail = detail
        super().__init__(f"{self.command} refused ({status.name}): {explanation}")

    @property
    def detail(self) -> Message:
        return self._detail


class OutOfRange(Refused):
    """A value outside its range, or between the points of its grid."""

    @property
    def detail(self) -> RangeDetail:
        return cast("RangeDetail", self._detail)


class SessionLost(Refused):
    """There is no session, or none any more: it timed out, was replaced, or the device restarted."""

    @property
    def detail(self) -> BootDetail:
        return cast("BootDetail", self._detail)


class NotPermitted(Refused):
    """The session's role may not do this."""

    @property
    def detail(self) -> RoleDetail:
        return cast("RoleDetail", self._detail)


class WrongState(Refused):
    """Not in the state that the device is in."""

    @property
    def detail(self) -> StateDetail:
        return cast("StateDetail", self._detail)


class Unsafe(Refused):
    """Values that are allowed one by one, but not together."""

    @property
    def detail(self) -> SafetyDetail:
        return cast("SafetyDetail", self._detail)


class NotSupported(Refused):
    """This model does not have the command, or what one of its fields asks for."""

    @property
    def detail(self) -> FieldDetail:
        return cast("FieldDetail", self._detail)


class Busy(Refused):
    """Something is under way that must end first."""

    @property
    def detail(self) -> BusyDetail:
        return cast("BusyDetail", self._detail)


class Conflict(Refused):
    """The configuration has changed since it was read."""

    @property
    def detail(self) -> RevisionDetail:
        return cast("RevisionDetail", self._detail)


class FaultLatched(Refused):
    """A fault blocks therapy until it is cleared."""

    @property
    def detail(self) -> FaultDetail:
        return cast("FaultDetail", self._detail)


class BadCircuit(Refused):
    """A contact is open or shorted."""

    @property
    def detail(self) -> CircuitDetail:
        return cast("CircuitDetail", self._detail)
