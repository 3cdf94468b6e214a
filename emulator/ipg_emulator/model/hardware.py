"""What a device is built of, as tables of a model file: output stage, battery, charger, electrodes, sensors, timing."""

from enum import StrEnum, unique
from itertools import pairwise
from typing import Annotated

import msgspec
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.model.ranges import Count, Figures, Permille, Positive, PositiveFloat, Table


@unique
class AfterReset(StrEnum):
    """What becomes of therapy that ran when the device restarts: it is resumed with its ramp, or stays off."""

    RESUME = "resume"
    OFF = "off"


class Timing(Figures, frozen=True):
    """How long the firmware takes."""

    boot_ms: Count
    stop_ramp_ms: Count
    measure_pair_ms: Positive
    session_idle_ms: Positive
    battery_check_ms: Positive
    host_silence_ms: Count = 0
    """After so long without a request therapy stops; 0: it goes on."""


class ImpedanceTest(Figures, frozen=True):
    """The test pulse, and how its result is judged. An open pair reads `open_reads_ohms`."""

    test_current_microamps: Positive
    test_pulse_us: Positive
    noise_permille: Count
    open_above_ohms: Positive
    open_reads_ohms: Positive
    short_below_ohms: Count


class Shape(Figures, frozen=True):
    """A waveform that the device has, and how it recovers charge."""

    name: str
    recharge_phases: Count
    """Active recharge takes so many pulse widths, with so much less current; 0 where recharge is passive or there is none."""
    recharge_us: Count = 0
    """Passive recharge needs at least so long; it goes on until the next pulse."""
    interphase_us: Count = 0


class OutputStage(Figures, frozen=True):
    """The current source: the most voltage it has, what it drops itself, and what a pulse costs it."""

    compliance_millivolts: Positive
    headroom_millivolts: Count
    supply_margin_millivolts: Count
    """How far the supply is held above what the worst area needs; paid for in battery charge."""
    coupling_microfarads: PositiveFloat
    """The capacitor in the way of each contact."""
    recharge_ohms: Count
    """Of the switches that join the contacts for passive recharge."""
    active_mismatch_permille: Count
    """How far the two phases of active recharge may differ in charge."""
    leakage_nanoamps: Count
    """Direct current through a contact's coupling capacitor."""
    converter_efficiency_permille: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    pulse_overhead_nanocoulombs: Count
    """Battery charge that each pulse costs beside what it delivers."""
    independent_leads: bool = False
    """Whether each lead has a current source of its own, so that areas on different leads need not give way to each other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.headroom_millivolts >= self.compliance_millivolts:
            raise ValueError(f"headroom_millivolts must be below compliance_millivolts ({self.compliance_millivolts})")


class VoltagePoint(Table, frozen=True):
    """Open-circuit voltage and internal resistance at a depth of discharge."""

    depth_permille: Permille
    millivolts: Positive
    milliohms: Count


@unique
class MagnetAction(StrEnum):
    """What a magnet can do. STOP holds therapy off while it is there; BOOST delivers the boost program once."""

    NONE = "none"
    STOP = "stop"
    TOGGLE = "toggle"
    BOOST = "boost"
    WAKE = "wake"
    RESET = "reset"


@unique
class Supply(StrEnum):
    """What the device lives on. WORN: a disc on the skin feeds it, and without the disc it is dead. MAINS never runs down."""

    PRIMARY = "primary"
    RECHARGEABLE = "rechargeable"
    REPLACEABLE = "replaceable"
    WORN = "worn"
    MAINS = "mains"


class BatteryCell(Figures, frozen=True):
    """The cell, its thresholds, and what the electronics take from it."""

    supply: Supply
    capacity_milliamp_hours: PositiveFloat
    open_circuit: Annotated[tuple[VoltagePoint, ...], msgspec.Meta(min_length=2)]
    low_millivolts: Positive
    eri_millivolts: Positive
    eos_millivolts: Positive
    consecutive_readings: Positive
    idle_nanoamps: Count
    shelf_nanoamps: Count
    telemetry_nanocoulombs_per_byte: Count
    fade_permille_per_year: Count = 0
    fade_permille_per_hundred_cycles: Count = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.eos_millivolts < self.eri_millivolts < self.low_millivolts:
            raise ValueError("thresholds must rise: eos_millivolts < eri_millivolts < low_millivolts")
        if self.open_circuit[0].depth_permille != 0 or self.open_circuit[-1].depth_permille != 1000:
            raise ValueError("open_circuit must go from depth_permille 0 to 1000")
        for before, after in pairwise(self.open_circuit):
            if after.depth_permille <= before.depth_permille or after.millivolts >= before.millivolts:
                raise ValueError(f"open_circuit must rise in depth and fall in voltage after depth {before.depth_permille}")

    @property
    def threshold_millivolts(self) -> dict[BatteryTier, int]:
        """The voltage at or below which a tier begins; OK begins nowhere."""
        return {
            BatteryTier.LOW: self.low_millivolts,
            BatteryTier.ERI: self.eri_millivolts,
            BatteryTier.EOS: self.eos_millivolts,
        }


class Charging(Figures, frozen=True):
    """Charging through the skin: constant current up to a voltage, then a taper; slower while the cell is deeply discharged."""

    current_milliamps: PositiveFloat
    constant_millivolts: Positive
    complete_below_permille: Permille
    """Charging is complete when the taper has come down to this part of the full current."""
    taper_from_permille: Permille
    """The state of charge at which the full current brings the cell to the constant voltage."""
    trickle_milliamps: PositiveFloat
    trickle_below_millivolts: Positive
    """A cell found at this voltage or below is deeply discharged: a trickle brings it to the charge at which it works again."""
    restart_permille: Permille
    """A device that was at its end works again from this state of charge on."""
    least_coupling_permille: Permille
    pause_millicelsius: Positive
    resume_millicelsius: Positive
    heating_millikelvin_per_milliamp: Count
    """How far the case comes to rest above the body for each milliampere into the cell at perfect coupling."""
    heating_seconds: Positive
    """The time constant of the case."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.taper_from_permille == 1000 or self.complete_below_permille == 1000:
            raise ValueError("taper_from_permille and complete_below_permille must be below 1000")
        if self.resume_millicelsius >= self.pause_millicelsius:
            raise ValueError(f"resume_millicelsius must be below pause_millicelsius ({self.pause_millicelsius})")


class Gesture(Table, frozen=True):
    """What a magnet does that is held for a time in this window and taken away."""

    minimum_ms: Count
    maximum_ms: Positive
    action: MagnetAction

    def __post_init__(self) -> None:
        if self.minimum_ms >= self.maximum_ms:
            raise ValueError(f"minimum_ms must be below maximum_ms ({self.maximum_ms})")


class Magnet(Figures, frozen=True):
    """What a magnet does: at once while it is there, or by gesture when it is taken away."""

    while_held: MagnetAction
    gestures: tuple[Gesture, ...] = ()
    boost_program: Count = 0
    """The program that BOOST delivers once, for its dose."""

    @property
    def boosts(self) -> bool:
        """Whether anything that a magnet does is a boost."""
        return MagnetAction.BOOST in (self.while_held, *(gesture.action for gesture in self.gestures))


class Sensing(Figures, frozen=True):
    """The ECAP amplifier, and how far its loop may be set."""

    noise_nanovolts: Count
    saturation_microvolts: Positive
    maximum_target_microvolts: Positive
    maximum_gain_permille: Positive
    assumed_slope_nanovolts_per_nanocoulomb: Positive
    """The slope of the growth curve by which the loop turns microvolts into charge; the patient's own may differ."""
    amplitude_step_microamps: Positive
    """The step of the current source that the loop uses; finer than the grid of what is programmed."""


class NerveFigures(Figures, frozen=True):
    """How the nerve answers: y = slope * max(0, charge - threshold), softly bent at the threshold and at saturation."""

    threshold_nanocoulombs: Positive
    slope_nanovolts_per_nanocoulomb: Positive
    knee_nanocoulombs: Positive
    saturation_microvolts: Positive
    latency_us: Positive
    """From the pulse to N1 right at the stimulating contact."""
    conduction_metres_per_second: PositiveFloat
    contact_spacing_millimetres: PositiveFloat
    """From one contact to the next, centre to centre; with the velocity it gives N1's latency at the recording contact."""
    stimulation_exponent_permille: Count
    """The threshold goes with the distance to this power, in permille; see `patient.ecap`."""
    measurement_exponent_permille: Count
    """The recorded height goes with the distance to minus this power."""
    target_contact: float
    """Where along the lead the nerve is nearest, in contacts counted from the tip."""
    field_width_contacts: PositiveFloat
    """So far from there a contact needs twice the charge."""


class MriMode(Figures, frozen=True):
    """The longest examination, and the impedances that a sound lead may have."""

    maximum_minutes: Positive
    lowest_ohms: Count
    highest_ohms: Positive


class ElectrodeFigures(Figures, frozen=True):
    """The electrode interface and what lies round it. Access resistances vary from contact to contact by the spread."""

    lead_ohms: Count
    access_ohms: Positive
    access_spread_permille: Count
    case_ohms: Count
    case_area_square_millimetres: PositiveFloat
    double_layer_microfarads_per_square_centimetre: PositiveFloat
    faradaic_ohms_square_centimetre: PositiveFloat
    phase_element_ohm_square_centimetre: Count = 0
    """k of a constant phase element, Z = k / (jw)^alpha, in place of the double layer; 0: a double layer."""
    phase_element_alpha_permille: Permille = 0
    daily_permille: Count = 0
    """How far the tissue's resistance swings over a day."""
    ageing_permille: Count = 0
    """How much the tissue's resistance has grown in the end, by encapsulation."""
    ageing_days: Positive = 14


class Safety(Figures, frozen=True):
    """When firmware latches a fault by itself."""

    over_temperature_millicelsius: Positive
