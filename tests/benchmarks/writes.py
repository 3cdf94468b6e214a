"""What a change costs beside a read: both through the host library, the change journalled in flash, in memory or in a file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

from device import emulator
from ipg_host import Client, connect, procedures
from ipg_protocol import Role
from measure import Row, Sample, take_turns

CHANGES = 100
ROUNDS = 10
AMPLITUDES_MICROAMPS = cycle((3000, 3100))


def journalled_writes() -> Iterable[Row]:
    """SET_AMPLITUDE against GET_STATUS, without an image file and with one."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"SET_AMPLITUDE, journalled": (), "SET_AMPLITUDE, with --nvm": ("--nvm", str(Path(folder) / "device.nvm"))}
        for what, options in kinds.items():
            with emulator(*options) as (_, path), connect(path) as client:
                client.run(procedures.open_session(Role.CLINICIAN, host_id=1, nonce=1))
                taken = take_turns({"read": _reads_us(client), "change": _changes_us(client)}, ROUNDS)
            yield Row(what, "us", taken["change"], 5, taken["read"], "GET_STATUS")


def _reads_us(client: Client) -> Sample:
    def sample() -> Iterable[float]:
        for _ in range(CHANGES):
            began = time.perf_counter_ns()
            client.run(procedures.status())
            yield (time.perf_counter_ns() - began) / 1000

    return sample


def _changes_us(client: Client) -> Sample:
    def sample() -> Iterable[float]:
        for _ in range(CHANGES):
            began = time.perf_counter_ns()
            client.run(procedures.set_amplitude(0, next(AMPLITUDES_MICROAMPS)))
            yield (time.perf_counter_ns() - began) / 1000

    return sample
