"""Faults of the firmware: it dies, hangs, is slow, or does not leave a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from ipg_protocol.command import COMMAND_OF
from ipg_protocol.commands.link import ResetCause
from ipg_protocol.commands.therapy import TherapyCause
from ipg_protocol.vocabulary import State
from ipg_protocol.wire import Message

from ipg_emulator.faults.fault import Chance, Condition, Count, Undo, check_name, commands, fault
from ipg_emulator.faults.layer import Layer
from ipg_emulator.firmware.dispatch import Context, Handler, NotYet
from ipg_emulator.firmware.states import TRANSITIONS, Trigger

if TYPE_CHECKING:
    from ipg_emulator.firmware import Firmware
    from ipg_emulator.firmware.device import Device
    from ipg_emulator.virtual import VirtualIpg


@fault
class WatchdogReset(Condition, frozen=True, kw_only=True, tag="watchdog-reset"):
    """The watchdog resets the device: it dies on the spot and boots on what it has stored."""

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> None:
        ipg.firmware.wake(now)
        ipg.firmware.fail(ResetCause.WATCHDOG, now)


@fault
class Hung(Condition, frozen=True, kw_only=True, tag="hung"):
    """The main loop stands still: nothing is answered and no timer runs, while the output goes on as it was driven.

    The watchdog ends it by a reset, if it does not end before; then the device does, late, what was due meanwhile.
    """

    outlasts_boots: ClassVar[bool] = False
    watchdog_ms: Count = 1000

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware = ipg.firmware
        firmware.wake(now)
        firmware.stand_still(now + self.watchdog_ms * 1000, partial(firmware.fail, ResetCause.WATCHDOG))
        return firmware.go_on


_LEADS_TO = {trigger: state for row in TRANSITIONS.values() for trigger, state in row.items()}
"""Where a trigger leads from elsewhere: it can come where a sound device would not let it."""


class StuckRow(Layer[Mapping[Trigger, State]], Mapping[Trigger, State]):
    """A row of the table of states in which every way leads back to its own state."""

    def __init__(self, inner: Mapping[Trigger, State], firmware: Firmware, state: State) -> None:
        super().__init__(inner)
        self._firmware = firmware
        self._state = state
        self._device = firmware.device
        self._meant = state

    @property
    def meant(self) -> State:
        """Where the device would be if it could leave."""
        return self._meant if self._device is self._firmware.device else self._state

    def __getitem__(self, trigger: Trigger) -> State:
        self._device, self._meant = self._firmware.device, TRANSITIONS[self.meant].get(trigger, _LEADS_TO[trigger])
        return self._state

    def __contains__(self, trigger: object) -> bool:
        return trigger in TRANSITIONS[self.meant]

    def __iter__(self) -> Iterator[Trigger]:
        return iter(TRANSITIONS[self.meant])

    def __len__(self) -> int:
        return len(TRANSITIONS[self.meant])


@fault
class StuckState(Condition, frozen=True, kw_only=True, tag="stuck-state"):
    """Once the device is in this state it does not leave it, whatever the output does. Afterwards it is where it should be.

    It takes requests by the state that it is stuck in. Where one of them then leads firmware astray, the watchdog resets it.
    """

    state: str
    """Its name, such as IDLE."""

    def __post_init__(self) -> None:
        """See that there is such a state.

        Raises:
            FaultError: there is not.
        """
        check_name("state", self.state, State.__members__)

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware, state = ipg.firmware, State[self.state]
        firmware.wake(now)
        row = StuckRow(firmware.transitions[state], firmware, state)
        firmware.transitions[state] = row
        firmware.survives = (Exception,)
        return partial(_let_go, firmware, state, row)


def _let_go(firmware: Firmware, state: State, row: StuckRow, now: int) -> None:
    firmware.wake(now)
    firmware.transitions[state] = row.taken_off(firmware.transitions[state])
    if firmware.device.state is state:
        firmware.device.enter(row.meant, TherapyCause.FAULT, now)
        firmware.board_changed(now)


class SlowHandler(Layer[Handler]):
    """A handler that takes a request up only after a while, and with it all that comes behind."""

    def __init__(self, inner: Handler, delay_us: int) -> None:
        super().__init__(inner)
        self._delay_us = delay_us
        self._held_up: tuple[Device, Message, int] | None = None
        self._until = 0

    def __call__(self, request: Message, context: Context) -> Message | None:
        asked = context.device, request, context.request_id
        if asked != self._held_up:
            self._held_up, self._until = asked, context.now + self._delay_us
        if context.now < self._until:
            raise NotYet(self._until)
        self._held_up = None
        try:
            return self.inner(request, context)
        except NotYet:  # of a slow handler below
            self._held_up = asked
            raise


@fault
class SlowCommand(Condition, frozen=True, kw_only=True, tag="slow-handler"):
    """The firmware is so long about a request before it handles it; all that comes behind, and every timer, waits with it."""

    command: str
    """Of the request, such as MEASURE_IMPEDANCE."""
    milliseconds: Count

    def __post_init__(self) -> None:
        """See that there is such a command.

        Raises:
            FaultError: there is not.
        """
        check_name("command", self.command, commands())

    def begin(self, ipg: VirtualIpg, _now: int, _: Chance, /) -> Undo:
        handlers = ipg.firmware.handlers
        request = next(kind for kind, entry in COMMAND_OF.items() if entry.name == self.command)
        slow = SlowHandler(handlers[request], self.milliseconds * 1000)
        handlers[request] = slow
        return partial(_quicken, ipg.firmware, request, slow)


def _quicken(firmware: Firmware, request: type[Message], slow: SlowHandler, _now: int) -> None:
    firmware.handlers[request] = slow.taken_off(firmware.handlers[request])
