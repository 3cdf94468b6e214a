"""A session with a virtual device, from the first look to a drawing of what it delivered: `make demo`.

The device runs in a process of its own, on a pseudo-terminal; each `$` line is another process, and can be typed by hand.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

OUT = Path("demo-out")
LINK = OUT / "ipg0"
RECORD = OUT / "delivered.jsonl"
DRAWING = OUT / "delivered.png"
COMMANDS = Path(sys.executable).parent
MODEL = "scs-rechargeable"
HELD_SECONDS = 1.5
"""How long each amplitude is held, so that it shows in the drawing."""


def say(text: str) -> None:
    """Print a heading for what comes next."""
    print(f"\n== {text}", flush=True)


def command(line: str) -> list[str]:
    """A command of this project, as it is typed, from the environment that this program runs in."""
    print(f"$ {line}", flush=True)
    name, *rest = shlex.split(line)
    return [str(COMMANDS / name), *rest]


def host(line: str) -> None:
    """Run one `ipg-host` command on the device, and show it."""
    subprocess.run(command(f"ipg-host --port {LINK} {line}"), check=True)


def state() -> str:
    """The device's state, from `ipg-host --json status`."""
    words = [str(COMMANDS / "ipg-host"), "--port", str(LINK), "--json", "status"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)["status"]["state"]


@contextmanager
def device() -> Generator[None]:
    """A device that is switched on, and off again at the end."""
    words = command(f"ipg-emulator run --model {MODEL} --seed 1 --link {LINK} --record {RECORD}")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        if not ready:
            raise RuntimeError(f"the device did not start: exit code {process.wait()}")
        print(ready, end="")
        yield
    finally:
        process.terminate()
        process.wait(10)


def hold_session() -> None:
    """Do what a clinician would."""
    say("who is there, and is it well?")
    host("status")
    host("impedance")
    host("battery")
    say("choose a program, and step its amplitude up before and during therapy")
    host("program select 0")
    host("amplitude step +5")
    host("start --wait")
    time.sleep(HELD_SECONDS)
    host("amplitude step +10")
    time.sleep(HELD_SECONDS)
    host("amplitude get")
    host("stop")
    while state() != "IDLE":
        time.sleep(0.1)


def main() -> int:
    """Run the demo in the present folder; its files go to `demo-out`."""
    began = time.monotonic()
    OUT.mkdir(exist_ok=True)
    say("a device is switched on")
    with device():
        hold_session()
    say("what was delivered")
    subprocess.run(command(f"ipg-emulator plot waveform --model {MODEL} --record {RECORD} -o {DRAWING}"), check=True)
    say("does the device keep to the protocol?")
    conformance = subprocess.run(command("ipg-conformance run --target emulator --profile quick"), check=False)
    print(f"\nthe drawing is {DRAWING.resolve()}; this took {time.monotonic() - began:.0f} s")
    return conformance.returncode


if __name__ == "__main__":
    os.chdir(Path(__file__).parents[2])
    sys.exit(main())
