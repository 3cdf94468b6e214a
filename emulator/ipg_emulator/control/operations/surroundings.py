"""Operations on what is round the device: the patient, the leads, a magnet, a charger, the supply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.control.answers import Moment, seconds
from ipg_emulator.control.operation import Operation, OperationError, operation
from ipg_emulator.faults.lead import LEAD_FAULTS, LeadFaultError
from ipg_emulator.patient.posture import POSTURES
from ipg_emulator.surroundings import PERFECT_COUPLING_PERMILLE, SurroundingsError
from ipg_emulator.virtual import Subject, VirtualIpg

if TYPE_CHECKING:
    PostureName = str
    LeadFaultName = str
    TierName = str
else:
    PostureName = Literal[tuple(POSTURES)]
    LeadFaultName = Literal[tuple(LEAD_FAULTS)]
    TierName = Literal[tuple(BatteryTier.__members__)]

MOST_CONTACTS_SHIFTED = 100
Contact = Annotated[int, msgspec.Meta(ge=0, le=252, description="number of a contact, from 0")]


class Act(Operation[Moment], frozen=True):
    """Something that happens to the device at its present, and is sensed at once."""

    def run(self, subject: Subject) -> Moment:
        now = subject.present()
        try:
            self.happen(subject.ipg, now)
        except (SurroundingsError, LeadFaultError) as error:
            raise OperationError(str(error)) from None
        return Moment(seconds(now))

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        """Let it happen."""
        raise NotImplementedError


@operation("posture")
class TakePosture(Act, frozen=True):
    """The patient moves into another posture."""

    name: Annotated[PostureName, msgspec.Meta(description="the posture that is taken")]

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.take_posture(self.name, now)


@operation("cough")
class Cough(Act, frozen=True):
    """The patient coughs once."""

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.cough(now)


@operation("migrate")
class MigrateLeads(Act, frozen=True):
    """The leads shift along the cord. Impedances stay; thresholds and ECAPs change."""

    contacts: Annotated[
        float,
        msgspec.Meta(
            ge=-MOST_CONTACTS_SHIFTED, le=MOST_CONTACTS_SHIFTED, description="by how many contacts, away from the tip"
        ),
    ]

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.migrate_leads(self.contacts, now)


@operation("break-lead")
class BreakLead(Act, frozen=True):
    """A contact's conductor or insulation breaks."""

    contact: Contact
    fault: Annotated[LeadFaultName, msgspec.Meta(description="what is wrong with it; intermittent goes by posture")] = "open"

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.break_lead(self.contact, self.fault, now)


@operation("mend-lead")
class MendLead(Act, frozen=True):
    """A contact is sound again; one that is, stays so."""

    contact: Contact

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        contacts = len(ipg.firmware.model.contacts)
        if self.contact >= contacts:
            raise OperationError(f"contact {self.contact}: {ipg.firmware.model.name} has contacts 0 to {contacts - 1}")
        ipg.surroundings.mend_lead(self.contact, now)


@operation("magnet")
class HoldMagnet(Act, frozen=True):
    """A magnet comes, or goes."""

    present: Annotated[bool, msgspec.Meta(description="whether a magnet is there from now on")] = True

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.magnet(self.present, now)


@operation("charger")
class PlaceCharger(Act, frozen=True):
    """The external charger is laid over the implant, moved, or taken away."""

    coupling_permille: Annotated[
        int,
        msgspec.Meta(ge=0, le=PERFECT_COUPLING_PERMILLE, description="1000 is perfect alignment, 0 takes it away"),
    ] = PERFECT_COUPLING_PERMILLE

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.charger(self.coupling_permille, now)


@operation("battery")
class SetBattery(Act, frozen=True):
    """The cell is at another level at once. The device finds out when it next checks its battery."""

    tier: Annotated[
        TierName,
        msgspec.Meta(description="the tier to whose voltage, under the load of the moment, it has come down; OK: full enough"),
    ]

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.battery(BatteryTier[self.tier], now)


@operation("worn-disc")
class WearDisc(Act, frozen=True):
    """The disc that feeds the device is put on, or lifted: without it the device is dead."""

    present: Annotated[bool, msgspec.Meta(description="whether the disc is worn from now on")]

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.worn_disc(self.present, now)


@operation("replace-battery")
class ReplaceBattery(Act, frozen=True):
    """A new cell is put in; the device boots on it."""

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.replace_battery(now)


@operation("brown-out")
class GiveWay(Act, frozen=True):
    """The supply gives way for a moment: the device dies on the spot, and boots on what it has stored."""

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.surroundings.brown_out(now)


@operation("cut-power")
class CutPower(Act, frozen=True):
    """The supply is gone, whatever it is: all stops at once, and the device is silent until `restore-power`."""

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.firmware.power_lost(now)


@operation("restore-power")
class RestorePower(Act, frozen=True):
    """The supply is back: the device boots. Without a loss before, nothing happens."""

    def happen(self, ipg: VirtualIpg, now: int) -> None:
        ipg.firmware.power_restored(now)
