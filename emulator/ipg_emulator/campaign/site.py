"""One device of a world, the line to it, the hosts that take turns at the line, and the oracle that watches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, unique
from functools import partial
from hashlib import blake2b
from itertools import count
from typing import NamedTuple

from ipg_protocol.commands.link import ResetCause

from ipg_emulator.board.assembly import VirtualBoard
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.campaign.chance import bits
from ipg_emulator.campaign.history import Action, Deed, DevicePlan, Happening, HostActs
from ipg_emulator.campaign.hosts import Host
from ipg_emulator.campaign.invariants import Broken
from ipg_emulator.campaign.line import Line
from ipg_emulator.campaign.oracle import Oracle
from ipg_emulator.campaign.script import model_of
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.flash import FailingFlash, Moment, PowerCut

MILLISECOND_US = 1000
TAIL = 12
"""How many of the last frames are told of with a violation."""

_MOMENTS = tuple(Moment)


@unique
class Way(Enum):
    """The way of a frame."""

    UP = "host -> device"
    DOWN = "device -> host"


class Passed(NamedTuple):
    """A frame as it arrived at the device, or left it."""

    at_us: int
    way: Way
    frame: bytes


Later = Callable[[int, Callable[[int], None]], None]
"""Have something called at a time, with that time."""


class Site:
    """Lets things happen to one device, and has its oracle judge each of them."""

    def __init__(self, seed: int, plan: DevicePlan, later: Later) -> None:
        model, name = model_of(plan.model), f"{seed} {plan.number}"
        self.flash = FailingFlash(FlashMemory(), bits(f"{name} torn"))
        self.firmware = build_device(model, seed=plan.seed, flash=self.flash)
        assert isinstance(self.firmware.board, VirtualBoard)
        self.board = self.firmware.board
        self.oracle = Oracle(self.firmware)
        self.hosts = [Host(number, role, model, f"{name} {number}", self.oracle) for number, role in enumerate(plan.hosts)]
        self.up, self.down = Line(f"{name} up", plan.noise), Line(f"{name} down", plan.noise)
        self.begins_at = boot_finished_at(model)
        self.wire: deque[Passed] = deque(maxlen=TAIL)
        self.digest = blake2b(digest_size=16)
        self.boots = 0
        self.power_cuts = 0
        self._later = later
        self._at_the_line: Host | None = None
        self._turn = 0
        self._has_power = True
        self._next_cut = 0

    # What happens

    def act(self, action: Action, now: int) -> None:
        """Let an action of the history happen."""
        self.up.begin(action.at_us)
        self.down.begin(action.at_us)
        if isinstance(action, HostActs):
            host = self.hosts[action.host % len(self.hosts)]
            if self._at_the_line is not host or action.deed is Deed.TAKE_LINE:
                self.connect(host, now)
            if action.deed is not Deed.TAKE_LINE:
                host.do(action.deed, action.values, now)
        else:
            _HAPPENINGS[action.happening](self, now, *action.values)
        self.flush(now)

    def connect(self, host: Host, now: int) -> None:
        """Give the line to a host; what was on it is lost, and so is what the host before had under way."""
        if self._at_the_line is not None:
            self._at_the_line.leave_line(now)
        self._turn += 1
        self._at_the_line = host
        self.oracle.began_anew(host.host_id)
        host.take_line(now)

    def wake_at(self) -> int | None:
        """When the device or the host at the line next has something to do by itself."""
        at = self.firmware.wake_at()
        own = self._at_the_line.wake_at() if self._at_the_line is not None else None
        return own if at is None or (own is not None and own < at) else at

    def wake(self, now: int) -> None:
        """Let the device and its host do what is due."""
        self._wake_device(now)
        at = self._at_the_line.wake_at() if self._at_the_line is not None else None
        if self._at_the_line is not None and at is not None and at <= now:
            self._at_the_line.wake(now)

    def flush(self, now: int) -> None:
        """Put on the line what the host has to say."""
        if self._at_the_line is not None:
            for frame in frames_of(self._at_the_line.take_output()):
                for at, copy in self.up.send(frame, now):
                    self._later(at, partial(self._reach_device, copy, self._turn))

    @property
    def unacknowledged(self) -> list[int]:
        """The numbers of the events that the device keeps because nobody has acknowledged them."""
        return list(self.firmware.memory.events)

    def heal(self) -> None:
        """From now on the line is good, and the power does not fail."""
        self.up.heal()
        self.down.heal()
        self.flash.fail_at(None, Moment.BEFORE)

    # One step of the device

    def _reach_device(self, frame: bytes, turn: int, now: int) -> None:
        if turn == self._turn:
            self._wake_device(now)
            self._note(now, Way.UP, frame)
            self._step(now, lambda: self.firmware.receive(frame, now), heard=frame)

    def _reach_host(self, frame: bytes, turn: int, now: int) -> None:
        if turn == self._turn and self._at_the_line is not None:
            self._at_the_line.receive(frame, now)

    def _wake_device(self, now: int) -> None:
        at = self.firmware.wake_at()
        if at is not None and at <= now:
            self._step(now, lambda: self.firmware.wake(now))

    def _step(self, now: int, act: Callable[[], None], *, heard: bytes = b"", boots: int = 0) -> None:
        """Have the device do something, judge it, and put on the line what it says."""
        self.oracle.time_passes(now)
        try:
            try:
                act()
            except PowerCut:
                boots += self._survive(now)
            said = frames_of(self.firmware.take_output(now))
        except Exception as error:
            raise Broken("neither device nor host raises", "no exception", f"{type(error).__name__}: {error}") from error
        self.boots += boots
        for frame in said:
            self._note(now, Way.DOWN, frame)
        self.oracle.judge(heard, said, self._at_the_line.host_id if self._at_the_line else 0, now, boots)
        for frame in said:
            for at, copy in self.down.send(frame, now):
                self._later(at, partial(self._reach_host, copy, self._turn))

    def _survive(self, now: int) -> int:
        """Boot after a power cut, which may be cut short once more; how many boots were begun."""
        next_cut, self._next_cut = self._next_cut, 0
        for boots in count(1):
            self.power_cuts += 1
            self.flash.fail_at(next_cut - 1 if next_cut else None, Moment.INSIDE)
            next_cut = 0
            try:
                self.firmware.fail(ResetCause.BROWN_OUT, now)
            except PowerCut:
                continue
            return boots
        raise AssertionError("the power is cut twice at most")

    def _note(self, now: int, way: Way, frame: bytes) -> None:
        self.wire.append(Passed(now, way, frame))
        self.digest.update(b"%d %s" % (now, frame))

    # What happens to the device

    def brown_out(self, now: int) -> None:
        """The supply dips."""
        self._fail(now, ResetCause.BROWN_OUT)

    def bite(self, now: int) -> None:
        """The watchdog finds the firmware stuck."""
        self._fail(now, ResetCause.WATCHDOG)

    def _fail(self, now: int, cause: ResetCause) -> None:
        self._step(now, lambda: self.firmware.fail(cause, now), boots=int(self._has_power))

    def cut_power(self, _now: int, operations: int, moment: int, next_cut: int) -> None:
        """Cut the power at a flash operation to come, and again while the device recovers."""
        self.flash.fail_at(operations - 1, _MOMENTS[moment])
        self._next_cut = next_cut

    def lose_power(self, now: int, milliseconds: int) -> None:
        """The supply is gone for a while. A power cut while the device notices is over before that."""
        cuts = -1
        while cuts != self.power_cuts:
            cuts = self.power_cuts
            self._step(now, lambda: self.firmware.power_lost(now))
        self._has_power = False
        self._later(now + milliseconds * MILLISECOND_US, self._restore_power)

    def _restore_power(self, now: int) -> None:
        if not self._has_power:
            self._has_power = True
            self._step(now, lambda: self.firmware.power_restored(now), boots=1)

    def lay_magnet(self, now: int, milliseconds: int) -> None:
        """A magnet comes, and goes after a while."""
        self._set_magnet(True, now)
        self._later(now + milliseconds * MILLISECOND_US, partial(self._set_magnet, False))

    def _set_magnet(self, present: bool, now: int) -> None:
        self.board.magnet_present = present
        self._step(now, lambda: self.firmware.board_changed(now))

    def break_lead(self, now: int, contact: int, milliseconds: int) -> None:
        """A conductor breaks, and is mended after a while."""
        self.board.electrodes.break_contacts({contact: "open"})
        self._step(now, lambda: self.firmware.board_changed(now))
        self._later(now + milliseconds * MILLISECOND_US, partial(self._mend_lead, contact))

    def _mend_lead(self, contact: int, now: int) -> None:
        self.board.electrodes.mend(contact)
        self._step(now, lambda: self.firmware.board_changed(now))

    def fall_silent(self, now: int, milliseconds: int) -> None:
        """Nothing comes through for a while, either way."""
        for line in (self.up, self.down):
            line.fall_silent(now + milliseconds * MILLISECOND_US)


def frames_of(data: bytes) -> list[bytes]:
    """The frames that stand in bytes one after the other, each with its delimiters."""
    return [b"\0" + encoded + b"\0" for encoded in data.split(b"\0") if encoded]


_HAPPENINGS: dict[Happening, Callable[..., None]] = {
    Happening.BROWN_OUT: Site.brown_out,
    Happening.WATCHDOG: Site.bite,
    Happening.POWER_CUT: Site.cut_power,
    Happening.POWER_LOST: Site.lose_power,
    Happening.MAGNET: Site.lay_magnet,
    Happening.LEAD_BROKEN: Site.break_lead,
    Happening.SILENCE: Site.fall_silent,
}
"""What each happening does, by its word; its values follow the time."""
