"""The output stage: holds the plan that the firmware has set, limits by compliance, and accounts for what is delivered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipg_protocol.commands.programs import AreaSettings, Waveform

from ipg_emulator.board import Delivered, Drive, Electrodes, Segment
from ipg_emulator.board.account import Account, Circuit, circuit_of
from ipg_emulator.board.dose import cut, delivered_at, is_on, moments
from ipg_emulator.board.energy import TherapyEnergy
from ipg_emulator.board.recharge import residual_nanocoulombs
from ipg_emulator.board.waveform import pulse_of
from ipg_emulator.model import DeviceModel

Record = Callable[[Segment], None]
"""Is given every drive, or the part of it that was output, once it is over or replaced."""

COIL_MAXIMUM_PERMILLE = 1000
"""A coil's amplitudes are permille of its maximum, which nothing in the patient lowers."""

_NO_ACCOUNT = Account()


class CurrentOutput:
    """Delivers the drives of the present plan. The supply is set once for a plan, to what its worst area needs.

    The load of an area is looked at whenever the firmware asks what can be delivered there, and holds until the next time.
    """

    def __init__(
        self, model: DeviceModel, electrodes: Electrodes, battery_millivolts: float, record: Record | None = None
    ) -> None:
        self._model = model
        self._stage = model.output
        self._electrodes = electrodes
        self._battery_millivolts = battery_millivolts
        self.listeners: list[Record] = [] if record is None else [record]
        """Called with every stretch of output once it is over or replaced."""
        self._running: list[tuple[Drive, Circuit]] = []
        self._set_at = 0
        self._supply_millivolts = 0.0
        self._circuits: dict[int, Circuit] = {}
        self._accounts: dict[int, Account] = {}
        self._settled = _NO_ACCOUNT
        self._over: dict[int, Account] = {}
        """What drives of the present plan that are over have delivered, by their place in it."""

    # What can be delivered

    def deliverable_microamps(self, settings: AreaSettings, now: int) -> int:
        """(V_compliance - V_headroom) / (R + t / C), where t is how long charge piles up before any of it is recovered."""
        if settings.waveform is Waveform.MAGNETIC_BIPHASIC:
            return COIL_MAXIMUM_PERMILLE
        available_millivolts = self._stage.compliance_millivolts - self._stage.headroom_millivolts
        return int(available_millivolts * 1000 / self._look(settings, now).peak_ohms)

    def residual_nanocoulombs(self, settings: AreaSettings, microamps: int, now: int) -> float:
        """The charge that recharge leaves behind: see `recharge.residual_nanocoulombs`."""
        return residual_nanocoulombs(self._circuit(settings, now), self._model, microamps)

    def coupling_millivolts(self, settings: AreaSettings, microamps: int) -> float:
        """The voltage at a pulse's or burst's end on the coupling capacitor of the contact that carries most: Q / C."""
        share = max(abs(share.permille) for share in settings.contacts) / 1000
        pulse = pulse_of(settings, self._model.shape(settings.waveform))
        return share * microamps * pulse.accumulated_us / 1000 / self._stage.coupling_microfarads

    # What is delivered

    def drive(self, drives: Sequence[Drive], now: int) -> None:
        self.flush(now)
        ahead = [d for d in drives if d.until is None or d.until > max(d.start, now)]
        ahead.sort(key=_start)
        self._running = [(drive, self._circuit(drive.settings, now)) for drive in ahead]
        self._supply_millivolts = self._needed_millivolts()

    def flush(self, now: int) -> None:
        """Account for, and report to the listeners, what the drives under way have delivered up to `now`."""
        since, supply = self._set_at, self._supply_millivolts
        for drive, circuit in self._running:
            begin = since if since > drive.start else drive.start
            end = now if drive.until is None or now < drive.until else drive.until
            if end > begin:
                area, delivered = drive.settings.area, circuit.account(moments(drive, begin, end), supply)
                self._accounts[area] = self._accounts.get(area, _NO_ACCOUNT).plus(delivered)
                self._settled = self._settled.plus(delivered)
                for listener in self.listeners:
                    listener(Segment(cut(drive, begin, end), circuit.load))
        self._set_at = now
        self._over.clear()

    @property
    def reported_until(self) -> int:
        """Up to when the listeners know what was delivered."""
        return self._set_at

    def under_way(self, now: int) -> list[Segment]:
        """What was delivered since then, up to `now`; to look at it changes nothing."""
        found: list[Segment] = []
        for drive, circuit in self._running:
            begin, end = max(self._set_at, drive.start), now if drive.until is None else min(now, drive.until)
            if end > begin:
                found.append(Segment(cut(drive, begin, end), circuit.load))
        return found

    def delivered_microamps(self, area: int, now: int) -> int:
        return sum(
            [delivered_at(drive, now) for drive, _ in self._running if drive.settings.area == area and is_on(drive, now)]
        )

    def total(self, area: int, now: int) -> Delivered:
        account = self._account(area, now)
        return Delivered(account.nanocoulombs, account.on_time_us, account.pulses, account.load_microjoules)

    # What it costs

    def energy(self, now: int) -> TherapyEnergy:
        """What therapy has taken from the battery up to `now`, which is not before the last change, and where it went."""
        total = self._settled
        for place in range(len(self._running)):
            total = total.plus(self._since_set(place, now))
        return total.energy(self._stage, self._battery_millivolts)

    def battery_nanocoulombs(self, now: int) -> float:
        """All the charge that therapy has taken from the battery up to `now`, which is not before the last change."""
        return _drawn(self.energy(now))

    def battery_microamps(self, now: int) -> float:
        """What therapy takes from the battery at this moment."""
        second = _NO_ACCOUNT
        for drive, circuit in self._running:
            if is_on(drive, now):
                second = second.plus(circuit.account_of_a_second(delivered_at(drive, now), self._supply_millivolts))
        return _drawn(second.energy(self._stage, self._battery_millivolts)) / 1000

    def _account(self, area: int, now: int) -> Account:
        account = self._accounts.get(area, _NO_ACCOUNT)
        for place, (drive, _) in enumerate(self._running):
            if drive.settings.area == area:
                account = account.plus(self._since_set(place, now))
        return account

    def _since_set(self, place: int, now: int) -> Account:
        """What a drive of the present plan has delivered since the plan was set."""
        drive, circuit = self._running[place]
        if drive.until is None or now < drive.until:
            return circuit.account(moments(drive, self._set_at, now), self._supply_millivolts)
        if place not in self._over:
            self._over[place] = circuit.account(moments(drive, self._set_at, drive.until), self._supply_millivolts)
        return self._over[place]

    def _needed_millivolts(self) -> float:
        """What the worst drive needs at its highest, and the supply's margin over it; never more than the stage has."""
        peaks = [max(drive.delivered_from, drive.delivered_to) * circuit.peak_ohms for drive, circuit in self._running]
        needed = max(peaks, default=0.0) / 1000 + self._stage.headroom_millivolts + self._stage.supply_margin_millivolts
        return min(needed, self._stage.compliance_millivolts)

    def _circuit(self, settings: AreaSettings, now: int) -> Circuit:
        known = self._circuits.get(settings.area)
        return known if known is not None and known.settings == settings else self._look(settings, now)

    def _look(self, settings: AreaSettings, now: int) -> Circuit:
        load = self._electrodes.load(settings.contacts, now)
        circuit = self._circuits[settings.area] = circuit_of(settings, self._model, load)
        return circuit


def _drawn(energy: TherapyEnergy) -> float:
    return energy.converter_nanocoulombs + energy.overhead_nanocoulombs


def _start(drive: Drive) -> int:
    return drive.start
