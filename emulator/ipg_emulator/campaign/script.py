"""Draws a world from its seed: which devices, how bad their lines are, and what happens when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import msgspec
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.vocabulary import Role

from ipg_emulator.campaign.history import (
    SECOND_US,
    Action,
    Deed,
    DeviceMeets,
    DevicePlan,
    Happening,
    History,
    HostActs,
    LineNoise,
)
from ipg_emulator.model import DeviceModel, Range, load, names

HOUR_US = 3600 * SECOND_US

_NOISES = (
    LineNoise(delay_us=2_000),
    LineNoise(lost_permille=20, repeated_permille=20, corrupted_permille=5, delay_us=60_000),
    LineNoise(lost_permille=150, repeated_permille=100, corrupted_permille=20, delay_us=100_000),
    LineNoise(lost_permille=50, repeated_permille=200, corrupted_permille=50, delay_us=400_000),
)
_DEVICES = (1, 1, 1, 1, 2, 3)
_HOSTS = ((Role.SERVICE,), (Role.CLINICIAN,), (Role.SERVICE, Role.PATIENT), (Role.CLINICIAN, Role.SERVICE))
_FIRST_US = 2 * SECOND_US
_VISIT_ACTIONS = (4, 24)
"""Fewest and most actions of a visit: the host is busy for a while, and then leaves the device alone."""
_VISITS_PER_HOUR = 5
_GAPS_US = (20_000, 200_000, 1_500_000, 4_000_000)
"""The longest time between two actions of a visit, one for each visit."""

_Values = Callable[[Random, DeviceModel], tuple[int, ...]]


def _none(_rng: Random, _model: DeviceModel) -> tuple[int, ...]:
    return ()


def _area(rng: Random) -> int:
    return rng.choice((0, 0, 0, 0, 1, 2))


def _near(rng: Random, allowed: Range, usual: int) -> int:
    """A value of the grid from half to one and a half times the usual one; now and then one that is off the grid."""
    value = allowed.nearest(rng.randint(usual // 2, usual + usual // 2))
    return value + (rng.random() < 0.03)


def _usual(model: DeviceModel, name: str) -> int:
    return int(getattr(model.programs[0].areas[0], name))


def _adjusting(name: str) -> _Values:
    def values(rng: Random, model: DeviceModel) -> tuple[int, ...]:
        return _area(rng), _near(rng, getattr(model.ranges, name), _usual(model, name))

    return values


def _slot(rng: Random, model: DeviceModel) -> int:
    return rng.randrange(min(model.program_slots, len(model.programs) + 2) + 1)


def _program(rng: Random, model: DeviceModel) -> tuple[int, ...]:
    return _slot(rng, model), rng.randrange(len(model.programs)), rng.randint(300, 1100), rng.randrange(10_000)


def _limit(rng: Random, model: DeviceModel) -> tuple[int, ...]:
    allowed = model.ranges.amplitude_microamps
    return (allowed.nearest(rng.randint(allowed.maximum // 2, allowed.maximum)),)


def _schedule(rng: Random, model: DeviceModel) -> tuple[int, ...]:
    rows = range(rng.randint(0, min(3, model.schedule_rows)))
    return tuple(value for row in rows for value in (20 * row + rng.randrange(10), rng.randint(1, 9), _slot(rng, model)))


def _contact(rng: Random, model: DeviceModel) -> int:
    return rng.randrange(len(model.contacts))


DEEDS: dict[Deed, tuple[int, _Values]] = {
    Deed.SET_AMPLITUDE: (14, _adjusting("amplitude_microamps")),
    Deed.STEP_AMPLITUDE: (8, lambda rng, _: (_area(rng), rng.randint(-3, 3))),
    Deed.SET_PULSE_WIDTH: (5, _adjusting("pulse_width_us")),
    Deed.SET_RATE: (5, _adjusting("rate_millihertz")),
    Deed.START: (10, _none),
    Deed.STOP: (7, lambda rng, _: (rng.randrange(2),)),
    Deed.SELECT: (5, lambda rng, model: (_slot(rng, model),)),
    Deed.WRITE_PROGRAM: (7, _program),
    Deed.ERASE: (3, lambda rng, model: (_slot(rng, model),)),
    Deed.WRITE_LIMITS: (3, _limit),
    Deed.WRITE_SCHEDULE: (2, _schedule),
    Deed.SET_TIME: (2, lambda rng, _: (1_700_006_400_000 + 60_000 * rng.randrange(40),)),
    Deed.SAVE_CHECKPOINT: (3, lambda rng, _: (rng.choice((0, 0, 1, 2)),)),
    Deed.RESTORE_CHECKPOINT: (3, lambda rng, _: (rng.choice((0, 0, 1, 2)),)),
    Deed.FACTORY_RESET: (1, _none),
    Deed.CLEAR_FAULT: (2, lambda rng, _: (rng.randrange(2),)),
    Deed.MEASURE: (3, lambda rng, model: (rng.choice((254, _contact(rng, model))), _contact(rng, model))),
    Deed.SELF_TEST: (2, _none),
    Deed.READ_STATUS: (8, _none),
    Deed.READ_PROGRAM: (5, lambda rng, model: (_slot(rng, model),)),
    Deed.READ_SETTINGS: (4, _none),
    Deed.READ_THERAPY: (6, lambda rng, _: (_area(rng),)),
    Deed.READ_LOG: (3, _none),
    Deed.RESET: (3, _none),
    Deed.CLOSE: (2, _none),
    Deed.TAKE_LINE: (2, _none),
}
"""How often a host does each, and with which values."""

HAPPENINGS: dict[Happening, tuple[int, _Values]] = {
    Happening.BROWN_OUT: (3, _none),
    Happening.WATCHDOG: (2, _none),
    Happening.POWER_CUT: (8, lambda rng, _: (rng.randint(1, 12), rng.randrange(3), rng.choice((0, 0, 1, 2)))),
    Happening.POWER_LOST: (1, lambda rng, _: (rng.randint(10, 5000),)),
    Happening.MAGNET: (2, lambda rng, _: (rng.randint(100, 8000),)),
    Happening.LEAD_BROKEN: (2, lambda rng, model: (_contact(rng, model), rng.randint(1000, 200_000))),
    Happening.SILENCE: (3, lambda rng, _: (rng.randint(100, 12_000),)),
}

_HAPPENING_SHARE = 0.12


@cache
def model_of(name: str) -> DeviceModel:
    """A model of the catalogue, read once."""
    return load(name)


def scaled_areas(model: DeviceModel, program: int, permille: int) -> tuple[AreaSettings, ...]:
    """The areas of a factory program with so much of their amplitudes, on the grid."""
    grid = model.ranges.amplitude_microamps
    return tuple(
        msgspec.structs.replace(settings, amplitude_microamps=grid.nearest(settings.amplitude_microamps * permille // 1000))
        for settings in (area.settings(number) for number, area in enumerate(model.programs[program].areas))
    )


def history_of(seed: int, hours: float = 1.0) -> History:
    """The world of a seed: at least so many hours long."""
    rng = Random(f"world {seed}")
    duration_us = int(hours * HOUR_US)
    devices = tuple(_device(number, rng) for number in range(rng.choice(_DEVICES)))
    actions = [action for device in devices for action in _actions(device, duration_us, rng)]
    return History(seed, duration_us, devices, tuple(sorted(actions, key=lambda action: action.at_us)))


def _device(number: int, rng: Random) -> DevicePlan:
    return DevicePlan(number, rng.choice(names()), rng.getrandbits(32), rng.choice(_HOSTS), rng.choice(_NOISES))


def _actions(device: DevicePlan, duration_us: int, rng: Random) -> Iterator[Action]:
    model = model_of(device.model)
    visits = max(1, round(_VISITS_PER_HOUR * duration_us / HOUR_US))
    for _ in range(visits):
        at_us = rng.randrange(_FIRST_US, max(_FIRST_US + 1, duration_us - 120 * SECOND_US))
        gap_us, host = rng.choice(_GAPS_US), rng.randrange(len(device.hosts))
        for _ in range(rng.randint(*_VISIT_ACTIONS)):
            at_us += rng.randint(1, gap_us)
            yield _action(device.number, host, at_us, model, rng)


def _action(device: int, host: int, at_us: int, model: DeviceModel, rng: Random) -> Action:
    if rng.random() < _HAPPENING_SHARE:
        happening = rng.choices(list(HAPPENINGS), [weight for weight, _ in HAPPENINGS.values()])[0]
        return DeviceMeets(at_us, device, happening, HAPPENINGS[happening][1](rng, model))
    deed = rng.choices(list(DEEDS), [weight for weight, _ in DEEDS.values()])[0]
    return HostActs(at_us, device, host, deed, DEEDS[deed][1](rng, model))
