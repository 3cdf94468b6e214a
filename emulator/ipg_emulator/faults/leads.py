"""Faults of the leads: broken conductors and insulation, impedance that drifts, leads that shift. The firmware senses each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from ipg_emulator.board.assembly import VirtualBoard
from ipg_emulator.faults.fault import Chance, Condition, Count, FaultError, Undo, check_name, fault
from ipg_emulator.faults.lead import (
    BREACH_OHMS,
    OPENING_POSTURES,
    SHORT_OHMS,
    DriftingContacts,
    IntermittentContact,
    OpenContact,
    ShuntedContact,
    Wrap,
)
from ipg_emulator.patient import POSTURES

if TYPE_CHECKING:
    from ipg_emulator.firmware import Firmware
    from ipg_emulator.virtual import VirtualIpg

Contact = Annotated[int, msgspec.Meta(ge=0)]


def board_of(firmware: Firmware) -> VirtualBoard:
    """The board that a device runs on.

    Raises:
        TypeError: it is not a virtual one, and nothing can be made wrong with it.
    """
    if not isinstance(firmware.board, VirtualBoard):
        raise TypeError(f"only a virtual board has faults, not a {type(firmware.board).__name__}")
    return firmware.board


def sensed(firmware: Firmware, change: Callable[[int], None], now: int) -> None:
    """Change something on the board, and let the firmware sense it."""
    firmware.wake(now)
    change(now)
    firmware.board_changed(now)


def _check_contact(ipg: VirtualIpg, contact: int | None) -> None:
    model = ipg.firmware.model
    count = len(model.contacts)
    if not count:
        raise FaultError(f"{model.name} has no contacts that leads could lead to")
    if contact is not None and contact >= count:
        raise FaultError(f"contact = {contact}: {model.name} has contacts 0 to {count - 1}")


def _wrap(firmware: Firmware, wrap: Wrap, now: int) -> Undo:
    sensed(firmware, partial(_put_on, board_of(firmware), wrap), now)
    return partial(sensed, firmware, partial(_take_off, board_of(firmware), wrap))


def _put_on(board: VirtualBoard, wrap: Wrap, _now: int) -> None:
    board.electrodes.put_on(wrap)


def _take_off(board: VirtualBoard, wrap: Wrap, _now: int) -> None:
    board.electrodes.take_off(wrap)


class BrokenContact(Condition, frozen=True, kw_only=True):
    """Something wrong with one contact and its conductor."""

    contact: Contact

    def check(self, ipg: VirtualIpg, /) -> None:
        _check_contact(ipg, self.contact)

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        return _wrap(ipg.firmware, self.wrap(board_of(ipg.firmware)), now)

    def wrap(self, board: VirtualBoard, /) -> Wrap:
        """What the electrodes are seen through."""
        raise NotImplementedError


@fault
class LeadOpen(BrokenContact, frozen=True, kw_only=True, tag="lead-open"):
    """A conductor is fractured: there are 100 megohms in series with its contact."""

    def wrap(self, _: VirtualBoard, /) -> Wrap:
        return partial(OpenContact, contact=self.contact)


@fault
class LeadShort(BrokenContact, frozen=True, kw_only=True, tag="lead-short"):
    """A contact is shorted to whichever returns its current."""

    ohms: Count = round(SHORT_OHMS)

    def wrap(self, _: VirtualBoard, /) -> Wrap:
        return partial(ShuntedContact, contact=self.contact, shunt_ohms=float(self.ohms))


@fault
class LeadBreach(BrokenContact, frozen=True, kw_only=True, tag="lead-breach"):
    """Insulation leaks: there is a shunt from a contact's conductor to whichever returns its current."""

    ohms: Count = round(BREACH_OHMS)
    """Of the shunt: 50 to 500 as a rule."""

    def wrap(self, _: VirtualBoard, /) -> Wrap:
        return partial(ShuntedContact, contact=self.contact, shunt_ohms=float(self.ohms))


@fault
class LeadIntermittent(BrokenContact, frozen=True, kw_only=True, tag="lead-intermittent"):
    """A conductor is fractured and its ends touch: it is open in some postures only."""

    postures: tuple[str, ...] = tuple(sorted(OPENING_POSTURES))
    """In which it is open."""

    def __post_init__(self) -> None:
        """See that there are such postures.

        Raises:
            FaultError: there is one that is not.
        """
        for name in self.postures:
            check_name("posture", name, POSTURES)

    def wrap(self, board: VirtualBoard, /) -> Wrap:
        return partial(IntermittentContact, contact=self.contact, patient=board.patient, open_in=self.postures)


@fault
class ImpedanceDrift(Condition, frozen=True, kw_only=True, tag="impedance-drift"):
    """The resistance of a contact grows by the hour. When this ends, it is as before."""

    contact: Contact | None = None
    """Of every contact but the case, if none is given."""
    ohms_per_hour: Count = 100

    def check(self, ipg: VirtualIpg, /) -> None:
        _check_contact(ipg, self.contact)

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        model = ipg.firmware.model
        wrap = partial(
            DriftingContacts,
            contact=self.contact,
            ohms_per_hour=self.ohms_per_hour,
            since=now,
            most_millivolts=model.output.compliance_millivolts - model.output.headroom_millivolts,
            test_microamps=model.impedance.test_current_microamps,
        )
        return _wrap(ipg.firmware, wrap, now)


@fault
class LeadMigration(Condition, frozen=True, kw_only=True, tag="lead-migration"):
    """The leads shift along the cord: thresholds and ECAPs change, impedances do not."""

    contacts: Annotated[float, msgspec.Meta(ge=-32, le=32)]
    """How far, in distances from contact to contact; negative: towards the tip."""

    def check(self, ipg: VirtualIpg, /) -> None:
        _check_contact(ipg, None)

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware = ipg.firmware
        sensed(firmware, partial(_shift, board_of(firmware), self.contacts), now)
        return partial(sensed, firmware, partial(_shift, board_of(firmware), -self.contacts))


def _shift(board: VirtualBoard, contacts: float, _now: int) -> None:
    board.patient.migrate_leads(contacts)
