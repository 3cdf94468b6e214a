"""The states of the device and every way from one to another, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto, unique

from ipg_protocol.vocabulary import State


@unique
class Trigger(Enum):
    """What can move the device from one state to another."""

    BOOTED = auto()
    RAMP_BEGAN = auto()
    AMPLITUDE_REACHED = auto()
    OUTPUT_OFF = auto()
    MEASUREMENT_BEGAN = auto()
    FAULT_LATCHED = auto()
    FAULTS_CLEARED = auto()
    BATTERY_DEPLETED = auto()
    SHELVED = auto()
    SUSPENDED = auto()
    BATTERY_RECOVERED = auto()


Transitions = dict[State, Mapping[Trigger, State]]

_ANYWHERE_AWAKE = {Trigger.FAULT_LATCHED: State.FAULT, Trigger.BATTERY_DEPLETED: State.EOS}

TRANSITIONS: Transitions = {
    State.SHELF: {},
    State.BOOT: _ANYWHERE_AWAKE | {Trigger.BOOTED: State.IDLE},
    State.IDLE: _ANYWHERE_AWAKE
    | {
        Trigger.SUSPENDED: State.SUSPENDED,
        Trigger.RAMP_BEGAN: State.RAMPING,
        Trigger.MEASUREMENT_BEGAN: State.MEASURING,
        Trigger.OUTPUT_OFF: State.IDLE,
        Trigger.SHELVED: State.SHELF,
    },
    State.RAMPING: _ANYWHERE_AWAKE
    | {
        Trigger.SUSPENDED: State.SUSPENDED,
        Trigger.RAMP_BEGAN: State.RAMPING,
        Trigger.AMPLITUDE_REACHED: State.THERAPY,
        Trigger.OUTPUT_OFF: State.IDLE,
        Trigger.MEASUREMENT_BEGAN: State.MEASURING,
    },
    State.THERAPY: _ANYWHERE_AWAKE
    | {
        Trigger.SUSPENDED: State.SUSPENDED,
        Trigger.RAMP_BEGAN: State.RAMPING,
        Trigger.OUTPUT_OFF: State.IDLE,
        Trigger.MEASUREMENT_BEGAN: State.MEASURING,
    },
    State.MEASURING: _ANYWHERE_AWAKE
    | {
        Trigger.SUSPENDED: State.SUSPENDED,
        Trigger.RAMP_BEGAN: State.RAMPING,
        Trigger.OUTPUT_OFF: State.IDLE,
    },
    State.FAULT: _ANYWHERE_AWAKE
    | {
        Trigger.MEASUREMENT_BEGAN: State.MEASURING,
        Trigger.FAULTS_CLEARED: State.IDLE,
        Trigger.OUTPUT_OFF: State.FAULT,
        Trigger.SHELVED: State.SHELF,
    },
    State.EOS: {
        Trigger.BATTERY_DEPLETED: State.EOS,
        Trigger.BATTERY_RECOVERED: State.IDLE,
        Trigger.FAULT_LATCHED: State.FAULT,
    },
    State.SUSPENDED: _ANYWHERE_AWAKE
    | {
        Trigger.RAMP_BEGAN: State.RAMPING,
        Trigger.OUTPUT_OFF: State.IDLE,
        Trigger.SUSPENDED: State.SUSPENDED,
    },
}
"""A restart leads from every state to BOOT and stands in no row, because it makes a new device."""
