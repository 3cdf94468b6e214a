"""The firmware as a whole: bytes in, bytes out, and a time to be woken. No thread, clock or generator inside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ipg_protocol.commands.link import ResetCause
from ipg_protocol.commands.therapy import TherapyCause
from ipg_protocol.frame import Frame, encode_frame
from ipg_protocol.trace import Towards
from ipg_protocol.vocabulary import BatteryTier
from ipg_protocol.wire import Message

from ipg_emulator.board import Board
from ipg_emulator.firmware import handlers
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import HANDLERS, NotYet, check_handlers
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.memory import Memory
from ipg_emulator.firmware.states import TRANSITIONS
from ipg_emulator.firmware.store import Store
from ipg_emulator.firmware.timers import Timer, Timers
from ipg_emulator.model import DeviceModel

__all__ = ["Firmware", "handlers"]

Ignored = Callable[[Towards, bytes, str, int], None]
"""Told of bytes that were dropped or ignored: where they were to go, why they came to nothing, and when."""

Alteration = Callable[["Firmware"], None]
"""Makes firmware other than it was written."""

_CLOCK_GOES_ON = frozenset({ResetCause.COMMAND, ResetCause.WATCHDOG})


class Firmware:
    """A powered device. All times are microseconds and must not go backwards."""

    def __init__(
        self, model: DeviceModel, board: Board, *, serial: str, now: int = 0, altered_by: Iterable[Alteration] = ()
    ) -> None:
        """Power the device on at `now`, altered before its first boot.

        Raises:
            CatalogueMismatch: a command of the catalogue has no handler.
        """
        check_handlers()
        self.model = model
        self.board = board
        self.serial = serial
        self.observers: list[Callable[[Message, int], None]] = []
        """Called with every event of the device and its time, over restarts."""
        self.ignored: list[Ignored] = []
        """Called with all that the device drops or ignores, over restarts."""
        self._now = now
        self.handlers = dict(HANDLERS)
        """What serves each request, over restarts: replace one, and this device is altered and no other."""
        self.transitions = dict(TRANSITIONS)
        """From each state, what leads where, over restarts."""
        self.survives: tuple[type[Exception], ...] = ()
        """Errors that end in a reset by the watchdog. Of sound firmware there are none: there, an error is a bug of ours."""
        self.figures = model
        """What it goes by, over restarts: the figures of its model, unless it was altered."""
        self.altered: list[Alteration] = []
        """Called at each boot, once its parts are there and before any of them acts."""
        for alter in altered_by:
            alter(self)
        self._has_power = True
        self._unserved: list[Frame] = []
        store = Store(board.flash)
        self._start(store, ResetCause.POWER_RESTORED if store.values else ResetCause.POWER_ON, now, time_went_on=False)

    def _boot(self, cause: ResetCause, now: int) -> None:
        self._start(Store(self.board.flash), cause, now)

    def _start(self, store: Store, cause: ResetCause, now: int, *, time_went_on: bool = True) -> None:
        """Boot on what the store holds. The boot is counted and written down before the link opens."""
        self._timers = Timers()
        self._held: Timers | None = None
        """The timers that do not run while the main loop stands still."""
        self.memory = Memory(self.figures, self.serial, store)
        self.memory.begin_boot(now, keeps_clock=cause in _CLOCK_GOES_ON, time_went_on=time_went_on)
        self.device = Device(self.figures, self.board, self.memory, self._timers, cause=cause, now=now)
        self.device.transitions = self.transitions
        self.link = Link(self.device, self._timers, self.handlers, self._ignore)
        self.device.listeners.append(self._observed)
        for alter in self.altered:
            alter(self)
        self.memory.flush(now)

    def _observed(self, event: Message, now: int) -> None:
        for observer in self.observers:
            observer(event, now)

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that arrived at `now`; what was due before them happens first. Without power they are lost."""
        self.wake(now)
        if not self._has_power:
            self._ignore(Towards.DEVICE, data, "it has no power")
            return
        self.board.power.telemetry(len(data), now)
        self._unserved += self.link.read(data, now)
        self._serve(now)
        self.wake(now)

    def _serve(self, now: int) -> None:
        """Serve what has arrived, in its order, as long as the main loop runs."""
        unserved = self._unserved
        while unserved and self._held is None:
            frame = unserved.pop(0)
            try:
                self.link.serve(frame, now)
            except NotYet as wait:
                unserved.insert(0, frame)
                self.stand_still(wait.until, self.go_on)
            except self.survives:
                self._ignore(Towards.DEVICE, encode_frame(frame), "it died of this and restarted")
                self.fail(ResetCause.WATCHDOG, now)
            if self.device.restart_requested:
                self._restart(now)

    def _ignore(self, to: Towards, data: bytes, why: str) -> None:
        for told in self.ignored:
            told(to, data, why, self._now)

    def _abandon(self, why: str) -> None:
        """Tell what comes to nothing because this boot ends so."""
        for frame in self._unserved:
            self._ignore(Towards.DEVICE, encode_frame(frame), f"{why} before it had served this")
        self._unserved.clear()
        self.link.abandon(why)

    def _shut_down(self, cause: TherapyCause, now: int) -> None:
        """End this boot's therapy and session, account for them, and write everything down."""
        self.link.close_session(None, now)
        self.device.delivery.shut_down(cause, now)
        self.memory.flush(now)

    def _restart(self, now: int) -> None:
        self._shut_down(TherapyCause.COMMAND, now)
        last_words = self.link.take_output()
        self.link.abandon("it restarted")
        self._boot(ResetCause.COMMAND, now)
        self.link.send_first(last_words)

    def board_changed(self, now: int) -> None:
        """Tell the firmware that something on the board is otherwise now: a load, a magnet, a charger."""
        if not self._has_power:
            self._boot_on_charger(now)
            return
        self.wake(now)
        if not self._has_power or self._held is not None:
            return
        try:
            self.device.board_changed(now)
            self.memory.save(now)
        except self.survives:
            self.fail(ResetCause.WATCHDOG, now)
        if self.device.restart_requested:
            self._restart(now)
        self.wake(now)

    def power_off(self, now: int) -> None:
        """Take the power away: what is being delivered ends."""
        self.board.output.drive((), now)

    def power_lost(self, now: int) -> None:
        """The supply is gone, as when a worn disc is lifted: all stops at once, and nobody is told.

        What is left in the capacitors is enough to write everything down. The clock stands still, and has to be set anew.
        """
        self.wake(now)
        if self._has_power:
            self._die(now)
            self.board.power.disconnect(now)

    def _die(self, now: int) -> None:
        self._shut_down(TherapyCause.BATTERY, now)
        self._has_power = False
        self._timers, self._held = Timers(), None
        self._abandon("its power went")

    def power_restored(self, now: int) -> None:
        """The supply is back: the device boots. Without a loss before, nothing happens."""
        if not self._has_power:
            self._has_power = True
            self._boot(ResetCause.POWER_RESTORED, now)

    def _boot_on_charger(self, now: int) -> None:
        """A charger brings an exhausted device back to life."""
        if self.board.charger is not None and self.board.charger.read(now).current_microamps:
            self.power_restored(now)

    def fail(self, cause: ResetCause, now: int) -> None:
        """The firmware dies on the spot, by a brown-out or its watchdog: nothing more is written, and it boots on what was."""
        if self._has_power:
            self._now = now
            self._abandon("it died and restarted")
            self.board.output.drive((), now)
            self._boot(cause, now)

    def stand_still(self, until: int, then: Callable[[int], None]) -> None:
        """Run no timer and serve nothing; the output goes on as it is driven. At `until`, `then` is called to end this."""
        self._held = self._held or self._timers
        self._timers = Timers()
        self._timers.on(Timer.STANDSTILL, then)
        self._timers.set(Timer.STANDSTILL, until)

    def go_on(self, now: int) -> None:
        """Let the main loop run again, if it stands still: first what was due meanwhile, then what has arrived."""
        if self._held is not None:
            self._timers, self._held = self._held, None
            self._timers.delay(now)
            self.board_changed(now)
            self._serve(now)
            self.wake(now)

    @property
    def has_power(self) -> bool:
        """Whether the supply feeds the electronics."""
        return self._has_power

    @property
    def is_at_end(self) -> bool:
        """Whether the battery has reached its end of service."""
        return self.device.supply.tier is BatteryTier.EOS

    def wake_at(self) -> int | None:
        """When `wake` is next needed; None if only bytes can change anything."""
        return self._timers.next

    def host_awaited_until(self) -> int | None:
        """When the silence of the host in its session will have consequences; None without a session."""
        if self.link.session is None:
            return None
        deadlines = self._timers.deadline(Timer.SESSION_IDLE), self.device.host_watch.silent_at()
        return min((at for at in deadlines if at is not None), default=None)

    def wake(self, now: int) -> None:
        """Let happen what is due by `now`, each thing at its own time and in order."""
        self._now = now
        try:
            if self._timers.run_due(now):
                self.memory.save(now)
                if self.device.supply.is_exhausted:
                    self._die(now)
        except self.survives:
            self.fail(ResetCause.WATCHDOG, now)

    def take_output(self, now: int) -> bytes:
        """The bytes to put on the wire."""
        output = self.link.take_output()
        if output:
            self.board.power.telemetry(len(output), now)
        return output
