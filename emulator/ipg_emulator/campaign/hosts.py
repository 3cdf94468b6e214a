"""The hosts of a world: real sessions and procedures of the host library, one conversation after another, in virtual time.

This is the one module of a world that knows the host library; it imports it inside functions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from ipg_protocol.command import Change, Request, is_change
from ipg_protocol.commands.link import FactoryReset, Reset, SelfTest, SetTime
from ipg_protocol.commands.programs import RestoreCheckpoint, SaveCheckpoint
from ipg_protocol.commands.therapy import ScheduleRow, SetPulseWidth, SetRate, StopMode, StopTherapy
from ipg_protocol.vocabulary import FaultCode, Role
from ipg_protocol.wire import Message

from ipg_emulator.campaign.chance import fractions
from ipg_emulator.campaign.history import Deed
from ipg_emulator.campaign.invariants import Witness
from ipg_emulator.campaign.script import scaled_areas
from ipg_emulator.model import DeviceModel

if TYPE_CHECKING:
    from ipg_host.conversation import Procedure
    from ipg_host.errors import OutcomeUnknown
    from ipg_host.exchange import Exchange
    from ipg_host.session import Session

UNNUMBERED = 0
_LOG_ENTRIES = 20
_RETRY_MS = 1000


class Host:
    """One host of a device. It has a session while it has the line, and takes up a new one each time it takes the line."""

    def __init__(self, number: int, role: Role, model: DeviceModel, name: str, witness: Witness) -> None:
        """`name` is what the jitter of its retries is drawn from."""
        self.host_id = number + 1
        self.commands = 0
        self._role = role
        self._model = model
        self._witness = witness
        self._jitter = fractions(name)
        self._nonces = count(1)
        self._clients = count(1)
        self._client = 0
        self._session: Session | None = None
        self._deeds: deque[tuple[Deed, tuple[int, ...]]] = deque()
        self._in_doubt: deque[OutcomeUnknown] = deque()
        self._procedure: Procedure[object] | None = None
        self._exchange: Exchange[Any] | None = None
        self._stops: list[Exchange[Any]] = []
        self._pause_until: int | None = None
        self._has_opened = False
        self._arriving = b""
        self._now = 0

    # The line

    def take_line(self, now: int) -> None:
        """Begin anew with a session of this host's own; what it was about to do is dropped."""
        from ipg_host.session import Session

        self.leave_line(now)
        self._client = next(self._clients)
        self._has_opened = False
        self._session = Session(self._jitter, self._heard)

    def leave_line(self, now: int) -> None:
        """Be unplugged: what is under way has an unknown outcome, to be asked about the next time."""
        from ipg_host.errors import LinkLost

        if self._session is not None:
            self._now = now
            self._deeds.clear()
            self._session.lose(LinkLost("the line was taken away"))
            self._go_on()
            self._session = None
            self._pause_until = None

    @property
    def is_busy(self) -> bool:
        """Whether there is anything left to do or to find out."""
        return bool(self._deeds or self._in_doubt or self._procedure is not None or self._stops)

    @property
    def unresolved(self) -> list[Request[Any]]:
        """Changes that may have been carried out or not."""
        return [unknown.request for unknown in self._in_doubt]

    # Time and bytes

    def do(self, deed: Deed, values: tuple[int, ...], now: int) -> None:
        """Do something once all that came before is done; stop therapy at once."""
        assert self._session is not None, "a host acts with the line in its hand"
        self._now = now
        if deed is Deed.STOP:
            self._stops.append(self._session.request(StopTherapy(StopMode(values[0])), now))
        else:
            self._deeds.append((deed, values))
        self._go_on()

    def receive(self, frame: bytes, now: int) -> None:
        if self._session is not None:
            self._arriving, self._now = frame, now
            self._session.receive(frame, now)
            self._go_on()

    def wake_at(self) -> int | None:
        if self._session is None:
            return None
        at = self._session.wake_at()
        return at if self._pause_until is None or (at is not None and at < self._pause_until) else self._pause_until

    def wake(self, now: int) -> None:
        if self._session is not None:
            self._now = now
            self._session.wake(now)
            self._go_on()

    def take_output(self) -> bytes:
        return b"" if self._session is None else self._session.take_output()

    def _heard(self, event: Message) -> None:
        self._witness.delivered((self.host_id, self._client), self._arriving, event, self._now)

    # Conversations

    def _go_on(self) -> None:
        for stop in [stop for stop in self._stops if stop.done]:
            self._stops.remove(stop)
            self.commands += 1
        while self._session is not None and not self._is_waiting():
            outcome, self._exchange, self._pause_until = self._exchange, None, None
            if outcome is not None:
                self._conclude(outcome)
            elif self._procedure is None:
                self._procedure = self._next()
            if self._procedure is None:
                return
            self._resume(outcome)

    def _is_waiting(self) -> bool:
        if self._exchange is not None:
            return not self._exchange.done
        return self._pause_until is not None and self._now < self._pause_until

    def _resume(self, outcome: Exchange[Any] | None) -> None:
        from ipg_host.conversation import Pause, resume
        from ipg_host.errors import IpgError

        assert self._procedure is not None
        assert self._session is not None
        try:
            step = resume(self._procedure, outcome)
        except (StopIteration, IpgError):
            self._procedure = None
            return
        if isinstance(step, Pause):
            self._pause_until = self._now + step.milliseconds * 1000
        else:
            self._exchange = self._session.request(step, self._now)

    def _next(self) -> Procedure[object] | None:
        """What to do next: open a session (a lost one opens itself), then find out what is in doubt, then the next deed."""
        assert self._session is not None
        if self._session.lost or not (self._in_doubt or self._deeds):
            return None
        if not self._has_opened:
            return self._open()
        if self._in_doubt:
            return self._resolve(self._in_doubt[0])
        deed, values = self._deeds.popleft()
        self._has_opened = deed is not Deed.CLOSE
        return _conversations()[deed](self._model, values)

    def _open(self) -> Procedure[None]:
        from ipg_host import IpgError, procedures

        try:
            yield from procedures.open_session(self._role, self.host_id, next(self._nonces))
            self._has_opened = True
        except IpgError:
            if self._deeds:
                self._deeds.popleft()

    def _resolve(self, unknown: OutcomeUnknown) -> Procedure[None]:
        from ipg_host import pause, procedures
        from ipg_host.errors import OutcomeUnknown, Refused

        is_known = True
        try:
            yield from procedures.resolve(unknown)
            self._witness.committed(self.host_id, cast("Change[Any]", unknown.request))
        except OutcomeUnknown:
            is_known = False
        except Refused as refused:
            is_known = refused.request == unknown.request
        if is_known:
            self._in_doubt.remove(unknown)
        else:
            yield from pause(_RETRY_MS)

    def _conclude(self, exchange: Exchange[Any]) -> None:
        """Tell the witness what is known of a change now."""
        from ipg_host.errors import OutcomeUnknown

        self.commands += 1
        request, error = exchange.request, exchange.error
        if not is_change(request) or request.transaction == UNNUMBERED:
            return
        was_in_doubt = any(unknown.request == request for unknown in self._in_doubt)
        if error is None:
            self._witness.committed(self.host_id, request)
        elif not isinstance(error, OutcomeUnknown):
            (self._witness.not_seen if was_in_doubt else self._witness.not_applied)(self.host_id, request)
        elif not was_in_doubt:
            self._in_doubt.append(error)


_Conversation = Callable[[DeviceModel, tuple[int, ...]], "Procedure[object]"]


@cache
def _conversations() -> dict[Deed, _Conversation]:
    """How each deed is done; STOP_THERAPY alone does not wait in line."""
    from ipg_host import ask, procedures

    changes: dict[Deed, Callable[..., Request[Any]]] = {
        Deed.SET_TIME: SetTime,
        Deed.SAVE_CHECKPOINT: SaveCheckpoint,
        Deed.RESTORE_CHECKPOINT: RestoreCheckpoint,
        Deed.FACTORY_RESET: FactoryReset,
        Deed.RESET: Reset,
        Deed.SET_PULSE_WIDTH: SetPulseWidth,
        Deed.SET_RATE: SetRate,
    }
    plain: dict[Deed, Callable[..., Procedure[object]]] = {
        Deed.SET_AMPLITUDE: procedures.set_amplitude,
        Deed.STEP_AMPLITUDE: procedures.step_amplitude,
        Deed.START: procedures.start,
        Deed.SELECT: procedures.select_program,
        Deed.ERASE: procedures.erase_program,
        Deed.WRITE_LIMITS: _write_limit,
        Deed.WRITE_SCHEDULE: _write_schedule,
        Deed.CLEAR_FAULT: _clear_fault,
        Deed.MEASURE: procedures.measure_impedance,
        Deed.SELF_TEST: lambda: ask(SelfTest()),
        Deed.READ_STATUS: procedures.overview,
        Deed.READ_PROGRAM: procedures.read_program,
        Deed.READ_SETTINGS: _read_settings,
        Deed.READ_THERAPY: procedures.read_therapy,
        Deed.READ_LOG: _read_log,
        Deed.CLOSE: procedures.close_session,
    }
    table: dict[Deed, _Conversation] = {deed: _plainly(hold) for deed, hold in plain.items()}
    table |= {deed: _plainly(_changing(request)) for deed, request in changes.items()}
    return table | {Deed.WRITE_PROGRAM: _write_program}


def _plainly(hold: Callable[..., Procedure[object]]) -> _Conversation:
    return lambda _model, values: hold(*values)


def _changing(request: Callable[..., Request[Any]]) -> Callable[..., Procedure[object]]:
    from ipg_host import ask

    return lambda *values: ask(request(UNNUMBERED, *values))


def _write_limit(microamps: int) -> Procedure[object]:
    from ipg_host import procedures

    return procedures.write_limits(amplitude_microamps=microamps)


def _write_schedule(*values: int) -> Procedure[object]:
    from ipg_host import procedures

    return procedures.write_schedule(tuple(ScheduleRow(*values[at : at + 3]) for at in range(0, len(values), 3)))


def _clear_fault(fault: int) -> Procedure[object]:
    from ipg_host import procedures

    return procedures.clear_fault(FaultCode(fault))


def _read_settings() -> Procedure[None]:
    """Every read of what is kept: limits, schedule, slots, counters."""
    from ipg_host import procedures

    yield from procedures.read_limits()
    yield from procedures.list_programs()
    yield from procedures.read_counters()
    yield from procedures.read_schedule()


def _read_log() -> Procedure[object]:
    from ipg_host import procedures

    return procedures.read_log(last=_LOG_ENTRIES)


def _write_program(model: DeviceModel, values: tuple[int, ...]) -> Procedure[object]:
    from ipg_host import Program, procedures

    slot, template, permille, name = values
    return procedures.write_program(slot, Program(f"w{name}", scaled_areas(model, template, permille)))
