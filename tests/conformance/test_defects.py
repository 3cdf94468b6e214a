"""Every defect that a virtual device can be given is caught: the named case fails with it, and passes without it."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ipg_conformance import CASES, Result, Verdict, open_port, run_cases, tester
from ipg_conformance.device import Device
from ipg_emulator.faults import BatteryLevel, inject
from ipg_emulator.faults.defects import DEFECTS

HOUR_SECONDS = 3600

CAUGHT: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("caught.toml").read_text())


def battery_runs_down(port: Any) -> None:
    """Therapy has run until the battery was found at its end."""
    device = Device(tester.Tester(port))
    device.settle()
    device.run_therapy()
    inject(port.ipg, BatteryLevel(tier="EOS"), port.present())
    port.advance(4 * HOUR_SECONDS)


BEFORE: dict[str, Callable[[Any], None]] = {"the battery runs down": battery_runs_down}
"""What no request can bring about, by what the table says of it under `after`."""


def run_on(device: str, *cases: str, defect: str = "", after: str | None = None) -> dict[str, Result]:
    """What comes of cases on a device, with a defect or sound, after what has happened to it."""
    model, _, options = device.partition("?")
    chosen = [each for each in ("seed=1", options, defect and f"defect={defect}") if each]
    port = open_port(f"ipg://{model}?{'&'.join(chosen)}")
    if after is not None:
        BEFORE[after](port)
    return {result.case: result for result in run_cases(port, [CASES[case] for case in cases])}


@functools.cache
def on_the_sound_device(device: str, after: str | None) -> dict[str, Result]:
    """What comes of every case that catches a defect on a device which has none, all in one run."""
    place = device, after
    return run_on(device, *sorted({caught["case"] for caught in CAUGHT.values() if sound_place(caught) == place}), after=after)


def sound_place(caught: dict[str, str]) -> tuple[str, str | None]:
    """Where the case passes: on the same device, unless the table names another under `sound`."""
    return caught.get("sound", caught["device"]), caught.get("after")


def test_every_defect_is_in_the_table_in_the_order_of_declaration() -> None:
    assert list(CAUGHT) == list(DEFECTS)


def test_there_are_at_least_eighty_defects() -> None:
    assert len(DEFECTS) >= 80


@pytest.mark.parametrize("defect", CAUGHT)
def test_defect_fails_its_case_and_a_sound_device_passes_it(defect: str) -> None:
    caught = CAUGHT[defect]
    found = run_on(caught["device"], caught["case"], defect=defect, after=caught.get("after"))[caught["case"]]
    assert (found.verdict, found.was_prepared) == (Verdict.FAIL, True), found.what
    assert caught["requirement"] in found.requirements
    assert on_the_sound_device(*sound_place(caught))[caught["case"]].verdict is Verdict.PASS
