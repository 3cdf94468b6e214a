"""Lets things go wrong as planned: the faults of one device, and the line to its host with what is on it."""

from __future__ import annotations

from random import Random

import msgspec
from ipg_protocol.command import EVENT_OF
from ipg_protocol.frame import Frame, FrameReader
from ipg_protocol.trace import Towards
from ipg_protocol.wire import Message

from ipg_emulator.factory import seed_of
from ipg_emulator.faults.fault import Carried, Condition, Fault, FaultError, FrameFault, Passing, Place
from ipg_emulator.faults.lane import Lane, Piece
from ipg_emulator.faults.line import LineCondition
from ipg_emulator.faults.plan import FaultPlan
from ipg_emulator.faults.standing import Standing
from ipg_emulator.virtual import VirtualIpg

_BEFORE_DEVICE = Place.DEVICE, Towards.DEVICE
"""Where bytes wait until they are handled, so that what a frame brings about is there when that frame is handled."""


class Planned(msgspec.Struct, frozen=True):
    """How a fault stands."""

    number: int
    fault: Fault
    struck: int
    """How often it has struck."""
    active: bool
    """Of a condition, whether it is there now; of others, whether they can still strike."""


class Injector:
    """The faults of a device. They are numbered from 1 in the order in which they are planned, and strike in that order."""

    def __init__(self, ipg: VirtualIpg, plan: FaultPlan = FaultPlan(), device_seed: int = 0, *, now: int) -> None:  # noqa: B008
        """Plan faults on a device at `now` microseconds.

        Raises:
            FaultError: the device cannot have one of them.
        """
        self._ipg = ipg
        self._standing: dict[int, Standing] = {}
        self._last_number = 0
        self._boot = ipg.firmware.device
        self._lanes = {(place, to): Lane() for place in Place for to in Towards}
        self._before_host = b""
        self._carried_at = now
        ipg.firmware.observers.append(self._observed)
        self.plan(plan, device_seed, now)

    def plan(self, plan: FaultPlan, device_seed: int, now: int) -> None:
        """Plan the faults of a plan beside those that are there; what is added after it draws from its seed too.

        Raises:
            FaultError: the device cannot have one of them.
        """
        self._seeds = f"{device_seed} {plan.seed}"
        for place, fault in enumerate(plan.faults, 1):
            try:
                self.add(fault, now)
            except FaultError as error:
                raise FaultError(f"fault {place} ({fault.__struct_config__.tag}): {error}") from None

    def add(self, fault: Fault, now: int) -> int:
        """Plan one more fault, whose time counts from `now`; its number.

        Raises:
            FaultError: the device cannot have it.
        """
        fault.check(self._ipg)
        self._last_number = number = self._last_number + 1
        chance = Random(f"fault {self._seeds} {fault.seed} {number}")
        self._standing[number] = Standing(number, fault, now + (fault.when.at_ms or 0) * 1000, chance)
        self._attend(now)
        return number

    def remove(self, number: int, now: int) -> None:
        """Take a fault away; what it did to the device is made well again.

        Raises:
            FaultError: there is no fault of this number.
        """
        if number not in self._standing:
            there = f"there are {', '.join(map(str, self._standing))}" if self._standing else "there is none"
            raise FaultError(f"there is no fault {number}; {there}")
        self._end(self._standing.pop(number), now)

    def clear(self, now: int) -> None:
        """Take all faults away; what is on the line still arrives."""
        for number in list(self._standing):
            self.remove(number, now)

    def planned(self) -> list[Planned]:
        """Every fault that was not taken away, in the order of their numbers."""
        return [Planned(each.number, each.fault, each.struck, each.is_active) for each in self._standing.values()]

    # The line

    def put(self, to: Towards, data: bytes, now: int) -> None:
        """Take bytes that were sent at `now`."""
        if to is Towards.DEVICE:
            self._attend(now)
            self._set_out(Place.LINE, to, data, now)
        else:  # what the device has said before it restarted meets the faults of that time
            self._set_out(Place.DEVICE, to, data, now)
            self._attend(now)
        self._carry(now)

    def take(self, to: Towards, now: int) -> bytes:
        """What has arrived by `now`: of what goes to the device one frame, where a fault watches for frames."""
        self._carry(now)
        if to is Towards.HOST:
            arrived, self._before_host = self._before_host, b""
            return arrived
        pieces, arrived = self._lanes[_BEFORE_DEVICE].pieces, b""
        while pieces and not arrived:
            self._attend(now)
            self._strike(*_BEFORE_DEVICE, pieces.popleft(), now)
            arrived = self._arrived(*_BEFORE_DEVICE, now)
        return arrived

    def wake_at(self) -> int | None:
        """When the next bytes arrive, or something else goes wrong or is well again; None while nothing is due."""
        times = [lane.next_at() for lane in self._lanes.values()]
        if self._lanes[_BEFORE_DEVICE].pieces:
            times.append(self._carried_at)
        for each in self._standing.values():
            times += each.ends_at, each.begins_at()
        return min((at for at in times if at is not None), default=None)

    def wake(self, now: int) -> None:
        """Let go wrong, or be well again, what is due by `now`."""
        self._attend(now)
        self._carry(now)

    def _carry(self, now: int) -> None:
        """Let everything go on as far as it has come by `now`; what is before the device waits there to be taken."""
        self._carried_at = now
        self._set_out(Place.LINE, Towards.DEVICE, b"", now)
        self._set_out(Place.DEVICE, Towards.DEVICE, self._arrived(Place.LINE, Towards.DEVICE, now), now)
        self._set_out(Place.DEVICE, Towards.HOST, b"", now)
        self._set_out(Place.LINE, Towards.HOST, self._arrived(Place.DEVICE, Towards.HOST, now), now)
        self._before_host += self._arrived(Place.LINE, Towards.HOST, now)

    def _arrived(self, place: Place, to: Towards, now: int) -> bytes:
        return self._lanes[place, to].queue.arrived(now)

    def _set_out(self, place: Place, to: Towards, data: bytes, now: int) -> None:
        lane = self._lanes[place, to]
        if data or lane.is_holding:
            lane.put(data, now, as_frames=self._is_watched(place, to))
        while lane.pieces and (place, to) != _BEFORE_DEVICE:
            self._strike(place, to, lane.pieces.popleft(), now)

    def _is_watched(self, place: Place, to: Towards) -> bool:
        return any(each.can_strike and (place, to) in each.fault.watches() for each in self._standing.values())

    def _strike(self, place: Place, to: Towards, piece: Piece, now: int) -> None:
        """Send a piece on its way as the faults there leave it."""
        passing = Passing(self._ipg, to, now, piece.data, _frame_in(piece))
        there = [Carried(now, piece.data)]
        for standing in list(self._standing.values()):
            if not there:
                break
            there = self._struck_by(standing, place, passing, there, is_frame=piece.is_delimited)
        for carried in there:
            if carried.is_answer:
                self._set_out(Place.DEVICE, Towards.HOST, carried.data, now)
            else:
                self._lanes[place, to].queue.send(carried)

    def _struck_by(
        self, standing: Standing, place: Place, passing: Passing, there: list[Carried], *, is_frame: bool
    ) -> list[Carried]:
        """What one fault leaves of what the faults before it have left."""
        fault, chance, where = standing.fault, standing.chance, (place, passing.to)
        strikes = is_frame and where in fault.watches() and standing.strikes_frame(passing)
        if strikes and isinstance(fault, Condition):
            self._begin(standing, passing.now)
        if strikes and isinstance(fault, FrameFault):
            struck = [left for carried in there for left in fault.strike(carried, passing, chance)]
        elif standing.is_there and isinstance(fault, LineCondition) and where in fault.stretches():
            struck = [left for carried in there for left in fault.carry(carried, chance)]
        else:
            return there
        if strikes or struck != there:
            data = b"".join(carried.data for carried in there)
            self._ipg.tell(passing.to, data, passing.now, f"{place}: {fault.did} (fault {standing.number})")
        return struck

    # Conditions

    def _attend(self, now: int) -> None:
        """Begin and end what depends on the time, on the device's state, its events, and its restarts."""
        self._note_restart(now)
        for standing in list(self._standing.values()):
            if standing.ends_at is not None and standing.ends_at <= now:
                self._end(standing, now)
            while isinstance(standing.fault, Condition) and standing.begins(self._ipg, now):
                self._begin(standing, now)

    def _note_restart(self, now: int) -> None:
        boot = self._ipg.firmware.device
        if boot is self._boot:
            return
        self._boot = boot
        for standing in self._standing.values():
            fault = standing.fault
            if not fault.survives_restart:
                standing.is_over = True
                self._end(standing, now)
            elif isinstance(fault, Condition) and not fault.outlasts_boots:
                self._end(standing, now)

    def _begin(self, standing: Standing, now: int) -> None:
        fault = standing.fault
        assert isinstance(fault, Condition), "nothing else begins"
        standing.is_there = True  # also while it begins, so that nothing that this brings about begins it again
        standing.undo = fault.begin(self._ipg, now, standing.chance)
        standing.is_there = standing.undo is not None
        if standing.is_there and fault.for_ms is not None:
            standing.ends_at = now + fault.for_ms * 1000

    def _end(self, standing: Standing, now: int) -> None:
        undo, standing.undo, standing.ends_at, standing.is_there = standing.undo, None, None, False
        if undo is not None:
            undo(now)

    def _observed(self, event: Message, now: int) -> None:
        name = EVENT_OF[type(event)].name
        for standing in self._standing.values():
            if standing.fault.when.event == name and now >= standing.from_us:
                standing.raised += 1


def _frame_in(piece: Piece) -> Frame | None:
    frames = FrameReader().feed(piece.data, 0) if piece.is_delimited else []
    return frames[0] if frames else None


def injector_of(ipg: VirtualIpg, now: int) -> Injector:
    """What lets things go wrong with a device; made, if there is none yet."""
    if ipg.faults is None:
        ipg.faults = Injector(ipg, device_seed=seed_of(ipg.firmware.serial), now=now)
    if not isinstance(ipg.faults, Injector):
        raise FaultError(f"a {type(ipg.faults).__name__} stands between this device and its host, and takes no faults")
    return ipg.faults


def inject(ipg: VirtualIpg, fault: Fault, now: int) -> int:
    """Plan a fault on a running device; its number.

    Raises:
        FaultError: the device cannot have it.
    """
    return injector_of(ipg, now).add(fault, now)
