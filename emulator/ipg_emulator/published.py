"""Published programs, and devices that are set up as they say: what the emulator's own physics is held to."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from ipg_protocol.commands.power import BatteryTierChanged
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.board import BatteryReading
from ipg_emulator.board.assembly import seeded_patient
from ipg_emulator.board.interface import interfaces
from ipg_emulator.factory import build_device
from ipg_emulator.model import DeviceModel, load
from ipg_emulator.patient import Patient, Tissue
from ipg_emulator.simulation import Simulation
from ipg_emulator.surroundings import PERFECT_COUPLING_PERMILLE, Surroundings

HOUR_SECONDS = 3_600
DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS
DAYS_PER_YEAR = 365.25
MOST_YEARS = 30


class LeadProgram(msgspec.Struct, frozen=True):
    """What one lead of a longevity row delivers, and the impedance that it meets."""

    amplitude_microamps: int
    pulse_width_us: int
    rate_millihertz: int
    ohms: int


class LongevityRow(msgspec.Struct, frozen=True):
    """Published years from implantation to the end of service, with a program that runs day and night."""

    name: str
    years: float
    leads: tuple[LeadProgram, ...]


class TierMark(msgspec.Struct, frozen=True):
    """When a tier was reached, and the voltage that told."""

    day: float
    millivolts: int


class Discharge(msgspec.Struct, frozen=True):
    """One battery's life: voltage and charge by day, and when ERI and EOS were reached, if they were."""

    days: list[float]
    millivolts: list[int]
    permille: list[int]
    eri: TierMark | None = None
    eos: TierMark | None = None


AXIUM_SOURCE = "Axium Clinical Manual, PMA P150004, p. 22"
AXIUM_LONGEVITY = (
    LongevityRow("5th percentile", 0.9, (LeadProgram(2750, 410, 20_000, 1609), LeadProgram(1350, 300, 34_000, 1796))),
    LongevityRow("nominal", 3.3, (LeadProgram(800, 300, 20_000, 1600), LeadProgram(800, 300, 20_000, 1600))),
    LongevityRow("50th percentile", 3.5, (LeadProgram(675, 1000, 16_000, 1727),)),
    LongevityRow("95th percentile", 4.9, (LeadProgram(500, 160, 20_000, 1886),)),
    LongevityRow("low", 5.0, (LeadProgram(650, 110, 10_000, 1140), LeadProgram(350, 230, 10_000, 1968))),
)

_DAY_US = DAY_SECONDS * 1_000_000
_YEAR_US = DAYS_PER_YEAR * _DAY_US


def area_of(model: DeviceModel, number: int = 0, first_contact: int = 0, **settings: object) -> AreaSettings:
    """Settings of an area as a model's first waveform has them, continuous and on a bipole of two neighbours.

    What is published is given as fields of `AreaSettings`; the patient may choose any amplitude up to it.
    """
    amplitude = settings["amplitude_microamps"]
    common: dict[str, object] = {
        "area": number,
        "waveform": Waveform[model.waveforms[0].name],
        "ramp_seconds": model.ranges.ramp_seconds.minimum,
        "burst_pulses": 1,
        "patient_minimum_microamps": 0,
        "patient_maximum_microamps": amplitude,
        "contacts": (ContactShare(first_contact, -1000), ContactShare(first_contact + 1, 1000)),
    }
    zero = dict.fromkeys(("intra_burst_millihertz", "cycle_on_seconds", "cycle_off_seconds", "dose_seconds"), 0)
    return msgspec.convert({**zero, **common, **settings}, AreaSettings)


def patient_with(model: DeviceModel, pair_ohms: Sequence[int], *, as_measured: bool = True) -> Patient:
    """A patient in whom the first two contacts of each lead in turn meet so many ohms together, now and for ever.

    What the model's test pulse measures, noise aside, is wire and tissue, and what the contacts' surfaces add within the pulse;
    not `as_measured`, the ohms are wire and tissue alone, as of a test resistor.
    """
    tissue = seeded_patient(model, 0).tissue
    bare = interfaces(model, Tissue((0.0,) * len(tissue.access_ohms), 0.0))
    access = list(tissue.access_ohms)
    for number, contact in enumerate(model.contacts):
        if contact.position < 2 and contact.lead < len(pair_ohms):
            wire = bare[number].pulse_ohms(model.impedance.test_pulse_us) if as_measured else bare[number].ohms()
            access[number] = pair_ohms[contact.lead] / 2 - wire
    return Patient(Tissue(tuple(access), tissue.case_ohms))


def run_down(simulation: Simulation, check_seconds: int = WEEK_SECONDS) -> Discharge:
    """Let a device go on as it is to the end of its service, or for 30 years, and look at its battery now and then."""
    began = simulation.now
    days: list[float] = []
    readings: list[BatteryReading] = []
    while simulation.firmware.device.supply.tier is not BatteryTier.EOS and simulation.now - began < MOST_YEARS * _YEAR_US:
        days.append((simulation.now - began) / _DAY_US)
        readings.append(simulation.firmware.board.power.read(simulation.now))
        simulation.advance(check_seconds)
    tiers = {
        event.tier: TierMark((at - began) / _DAY_US, event.millivolts)
        for at, event in simulation.events
        if isinstance(event, BatteryTierChanged) and at >= began
    }
    millivolts, permille = [each.millivolts for each in readings], [each.charge_permille for each in readings]
    eos = tiers.get(BatteryTier.EOS)
    if eos is not None:
        days.append(eos.day)
        millivolts.append(eos.millivolts)
        permille.append(simulation.firmware.board.power.read(simulation.now).charge_permille)
    return Discharge(days, millivolts, permille, tiers.get(BatteryTier.ERI), eos)


def axium_life(row: LongevityRow) -> Discharge:
    """A `drg-primary` that runs a row's program from implantation to EOS, each of its leads in tissue of the row's ohms."""
    model = load("drg-primary")
    patient = patient_with(model, [lead.ohms for lead in row.leads])
    simulation = Simulation(build_device(model, patient=patient))
    areas: list[AreaSettings] = []
    for number, lead in enumerate(row.leads):
        settings = {name: getattr(lead, name) for name in ("amplitude_microamps", "pulse_width_us", "rate_millihertz")}
        areas.append(area_of(model, number, first_contact=4 * number, **settings))
    simulation.open_session()
    simulation.write_program(0, row.name[:16], tuple(areas))
    simulation.ask(StartTherapy(0))
    simulation.close_session()
    return run_down(simulation)


ETERNA_SOURCE = "Eterna 32400 clinician manual, App. C"
ETERNA_OHMS = 525
_STARTS_AT_PERMILLE = 150


def eterna_days_on_one_charge() -> float:
    """How many days an hour of charging lasts a `scs-burst` that delivers the nominal program day and night.

    Counted from the end of charging until the cell is as empty as it was before. The charger's coil lies as well as it can.
    """
    model = load("scs-burst")
    patient = patient_with(model, [ETERNA_OHMS])
    simulation = Simulation(build_device(model, patient=patient, charge_permille=_STARTS_AT_PERMILLE))
    nominal = area_of(
        model,
        waveform=Waveform.BURST_PASSIVE_RECHARGE,
        amplitude_microamps=600,
        pulse_width_us=1000,
        rate_millihertz=40_000,
        burst_pulses=5,
        intra_burst_millihertz=500_000,
        cycle_on_seconds=30,
        cycle_off_seconds=90,
    )
    simulation.open_session()
    simulation.write_program(0, "nominal", (nominal,))
    simulation.ask(StartTherapy(0))
    simulation.close_session()
    return _days_from_an_hour(simulation)


def _days_from_an_hour(simulation: Simulation) -> float:
    surroundings = Surroundings(simulation.firmware)
    surroundings.charger(PERFECT_COUPLING_PERMILLE, simulation.now)
    simulation.advance(HOUR_SECONDS)
    surroundings.charger(0, simulation.now)
    charged = simulation.now
    while simulation.firmware.board.power.read(simulation.now).charge_permille > _STARTS_AT_PERMILLE:
        simulation.advance(HOUR_SECONDS)
    return (simulation.now - charged) / _DAY_US
