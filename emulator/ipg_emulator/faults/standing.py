"""A fault that is planned on a device: its occasions so far, how often it has struck, and whether it is there now."""

from __future__ import annotations

import msgspec
from ipg_protocol.command import CATALOGUE
from ipg_protocol.frame import Kind

from ipg_emulator.faults.fault import Chance, Condition, Fault, Passing, Undo
from ipg_emulator.virtual import VirtualIpg

_OF_COMMANDS = frozenset({Kind.REQUEST, Kind.RESPONSE})


class Standing(msgspec.Struct):
    """One planned fault."""

    number: int
    fault: Fault
    from_us: int
    """Since when there can be occasions."""
    chance: Chance
    struck: int = 0
    is_over: bool = False
    """Whether it will not strike again, because the device has restarted."""
    is_there: bool = False
    """Of a condition: whether it has begun, and lasts."""
    raised: int = 0
    """How often the event that it waits for was raised."""
    undo: Undo | None = None
    ends_at: int | None = None
    _frames: int = 0
    _occasions: int = 0
    _is_time: bool = False
    _was_met: bool = False
    _raised_before: int = 0

    @property
    def can_strike(self) -> bool:
        """Whether there may be an occasion for it yet."""
        fault = self.fault
        return not self.is_over and fault.probability > 0 and (fault.times is None or self.struck < fault.times)

    @property
    def is_active(self) -> bool:
        """Of a condition, whether it is there now; of others, whether they can still strike."""
        return self.is_there if isinstance(self.fault, Condition) else self.can_strike

    def begins_at(self) -> int | None:
        """The moment from which on a condition can begin by itself; None when that has come, or a frame brings it about."""
        waits = isinstance(self.fault, Condition) and not self.fault.when.is_of_frames and not self._is_time
        return self.from_us if waits and self.can_strike else None

    def strikes_frame(self, passing: Passing) -> bool:
        """Count a frame, and decide whether it is struck."""
        when = self.fault.when
        if not self.can_strike or passing.now < self.from_us or not self.fault.concerns(passing):
            return False
        self._frames += 1
        if when.frame not in (None, self._frames) or not _is_of_command(when.command, passing):
            return False
        return self._is_met(passing.ipg, passing.now) and self._strikes()

    def begins(self, ipg: VirtualIpg, now: int) -> bool:
        """Whether a condition that no frame brings about begins now: what it waits for has come, or has come once more."""
        if not self.can_strike or self.fault.when.is_of_frames:
            return False
        self._is_time = now >= self.from_us
        was_met, self._was_met = self._was_met, self._is_met(ipg, now)
        if not self._was_met:
            return False
        if self.fault.when.event is None:
            return not was_met and self._strikes()
        while self._raised_before < self.raised:
            self._raised_before += 1
            if self._strikes():
                return True
        return False

    def _is_met(self, ipg: VirtualIpg, now: int) -> bool:
        """Whether time, state and events are as they have to be."""
        when = self.fault.when
        if now < self.from_us or (when.event is not None and not self.raised):
            return False
        return when.state is None or ipg.firmware.device.state.name == when.state

    def _strikes(self) -> bool:
        """Whether this occasion, one more, is one on which it strikes."""
        self._occasions += 1
        fault = self.fault
        if self.is_there or not self.can_strike or fault.when.nth not in (None, self._occasions):
            return False
        if fault.probability < 1 and self.chance.random() >= fault.probability:
            return False
        self.struck += 1
        return True


def _is_of_command(name: str | None, passing: Passing) -> bool:
    if name is None:
        return True
    frame = passing.frame
    if frame is None or frame.kind not in _OF_COMMANDS:
        return False
    entry = CATALOGUE.get(frame.opcode)
    return entry is not None and entry.name == name
