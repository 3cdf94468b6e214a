"""The same seed and the same bytes at the same times give the same bytes, in whatever process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib, random, sys
from ipg_emulator.factory import build_device
from ipg_emulator.model import load
from ipg_protocol import CATALOGUE, Role, encode_frame, request_frame
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.frame import Frame, Kind

device = build_device(load(sys.argv[1]), seed=int(sys.argv[2]))
chance, now, output = random.Random(5), 1_000_000, hashlib.sha256()
requests = [OpenSession(Role.SERVICE, 1, 1), MeasureImpedance(0xFE, 0), StartTherapy(1)]
frames = [encode_frame(request_frame(request, number)) for number, request in enumerate(requests, 1)]
for opcode in [*sorted(CATALOGUE)] * 20:
    body = chance.randbytes(chance.choice((0, 1, 4, 5, 6, 9)))
    frames.append(encode_frame(Frame(Kind.REQUEST, opcode, chance.randrange(40), body)))
for frame in frames:
    now += chance.randrange(2_000_000)
    device.receive(frame, now)
    output.update(device.take_output(now))
print(output.hexdigest())
"""


def digest(model: str, seed: int, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", SCRIPT, model, str(seed)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("model", ["scs-rechargeable", "drg-primary", "scs-closed-loop", "pns-battery-free", "tms"])
def test_two_processes_with_different_hash_seeds_say_the_same(model):
    assert digest(model, 1, "1") == digest(model, 1, "2") != hashlib.sha256().hexdigest()


def test_another_seed_says_something_else():
    assert digest("scs-rechargeable", 1, "1") != digest("scs-rechargeable", 2, "1")
