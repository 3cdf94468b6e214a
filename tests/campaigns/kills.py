"""The emulator's process killed at random moments while a host programs it: the image holds every change that was answered.

`python tests/campaigns/kills.py [KILLS [SEED]]` kills so many, on a real pseudo-terminal, and prints the counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any, NamedTuple

import msgspec
from ipg_emulator.model import load
from ipg_host import Client, LinkError, OutcomeUnknown, Program, Refused, ask, connect, procedures
from ipg_host.conversation import Procedure
from ipg_host.session import UNNUMBERED
from ipg_protocol import Role
from ipg_protocol.commands.link import TransactionOutcome
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import Limits, ScheduleRow, SetPulseWidth, SetRate

MODEL = load("scs-rechargeable")
FULL = 300
HOST = 7
LONGEST_LIFE_SECONDS = 0.15
AREAS = 3
"""Of the programs that are written: so many blocks and a commit."""


class Wrong(Exception):
    """The device is not as the host knows it to be."""


class View(msgspec.Struct, frozen=True):
    """The configuration, as a host knows or reads it. `checkpoints` cannot be read, only restored."""

    revision: int
    active: int
    programs: dict[int, Program]
    limits: tuple[int, ...]
    schedule: tuple[ScheduleRow, ...]

    def changed(self, **changes: Any) -> View:
        return msgspec.structs.replace(self, revision=self.revision + 1, **changes)

    def with_area(self, **changes: Any) -> View:
        """With values of area 0 of the active program changed."""
        program = self.programs[self.active]
        areas = (msgspec.structs.replace(program.areas[0], **changes), *program.areas[1:])
        return self.changed(programs=self.programs | {self.active: Program(program.name, areas)})


class Known(msgspec.Struct, frozen=True):
    """All that the host knows: the configuration, and its copies in the device."""

    view: View
    checkpoints: dict[int, View] = {}

    def then(self, view: View) -> Known:
        """The same, with the configuration changed."""
        return Known(view, self.checkpoints)


class Tally(msgspec.Struct):
    """What happened."""

    kills: int = 0
    answered: int = 0
    refused: int = 0
    in_doubt: int = 0
    committed_unanswered: int = 0
    not_seen: int = 0
    writes_broken_off: int = 0

    def describe(self) -> str:
        return (
            f"{self.kills} kills at random moments: {self.answered:,} changes answered and all found, {self.refused} refused, "
            f"{self.in_doubt} in doubt ({self.committed_unanswered} committed once, {self.not_seen} not seen), "
            f"{self.writes_broken_off} programs broken off before their commit, "
            f"0 lost, 0 repeated, revision as counted after every restart"
        )


class Change(NamedTuple):
    """What the host does, and what it will then know."""

    procedure: Procedure[Any]
    known: Known


def amplitude(rng: Random, known: Known) -> Change:
    value = rng.choice(list(MODEL.ranges.amplitude_microamps.values())[:40])
    return Change(procedures.set_amplitude(0, value), known.then(known.view.with_area(amplitude_microamps=value)))


def pulse_width(rng: Random, known: Known) -> Change:
    value = rng.choice(list(MODEL.ranges.pulse_width_us.values()))
    return Change(ask(SetPulseWidth(UNNUMBERED, 0, value)), known.then(known.view.with_area(pulse_width_us=value)))


def rate(rng: Random, known: Known) -> Change:
    value = rng.choice(list(MODEL.ranges.rate_millihertz.values()))
    return Change(ask(SetRate(UNNUMBERED, 0, value)), known.then(known.view.with_area(rate_millihertz=value)))


def write_program(rng: Random, known: Known) -> Change:
    view = known.view
    slot = rng.choice([slot for slot in range(MODEL.program_slots) if slot != view.active])
    first: AreaSettings = MODEL.programs[0].areas[0].settings(0)
    amplitudes = list(MODEL.ranges.amplitude_microamps.values())[:20]
    areas = [msgspec.structs.replace(first, area=area, amplitude_microamps=rng.choice(amplitudes)) for area in range(AREAS)]
    program = Program(f"program {rng.randrange(1000)}", tuple(areas))
    after = view.changed(programs=view.programs | {slot: program})
    return Change(procedures.write_program(slot, program), known.then(after))


def erase_program(rng: Random, known: Known) -> Change:
    view = known.view
    slot = rng.choice([slot for slot in range(MODEL.program_slots) if slot != view.active])
    left = {number: program for number, program in view.programs.items() if number != slot}
    rows = tuple(row for row in view.schedule if row.program != slot)
    return Change(procedures.erase_program(slot), known.then(view.changed(programs=left, schedule=rows)))


def select_program(rng: Random, known: Known) -> Change:
    slot = rng.choice(sorted(known.view.programs))
    return Change(procedures.select_program(slot), known.then(known.view.changed(active=slot)))


def write_schedule(rng: Random, known: Known) -> Change:
    rows = (ScheduleRow(rng.randrange(1440), rng.randrange(1, 60), rng.choice(sorted(known.view.programs))),)
    return Change(procedures.write_schedule(rows), known.then(known.view.changed(schedule=rows)))


def write_limits(rng: Random, known: Known) -> Change:
    charge = known.view.limits[-1] - rng.randrange(2)
    after = known.view.changed(limits=(*known.view.limits[:-1], charge))
    return Change(procedures.write_limits(charge_per_phase_nanocoulombs=charge), known.then(after))


def save_checkpoint(rng: Random, known: Known) -> Change:
    number = rng.randrange(2)
    return Change(procedures.save_checkpoint(number), Known(known.view, known.checkpoints | {number: known.view}))


def restore_checkpoint(rng: Random, known: Known) -> Change:
    number = rng.randrange(2)
    kept = known.checkpoints.get(number, known.view)
    restored = msgspec.structs.replace(kept, revision=known.view.revision + 1)
    return Change(procedures.restore_checkpoint(number), known.then(restored))


KINDS: tuple[Callable[[Random, Known], Change], ...] = (
    amplitude,
    pulse_width,
    rate,
    write_program,
    write_program,
    erase_program,
    select_program,
    write_schedule,
    write_limits,
    save_checkpoint,
    restore_checkpoint,
)


def read_view(client: Client) -> View:
    """The configuration as the device tells it."""
    status, limits = client.run(procedures.status()), client.run(procedures.read_limits())
    programs, schedule = client.run(procedures.read_programs()), client.run(procedures.read_schedule())
    values = tuple(getattr(limits, name) for name in Limits.__struct_fields__ if name != "revision")
    return View(status.revision, status.active_program, programs, values, schedule.rows)


class Emulator:
    """A process with a device on a pseudo-terminal, its flash in an image."""

    def __init__(self, image: Path) -> None:
        command = [sys.executable, "-m", "ipg_emulator", "run", "--model", MODEL.name, "--nvm", str(image)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def kill(self) -> None:
        self.process.kill()
        _, said = self.process.communicate()
        if "Traceback" in said or "--nvm" in said:
            raise Wrong(said)


class Campaign:
    """A host that programs a device whose process is killed again and again."""

    def __init__(self, image: Path, seed: int) -> None:
        self.tally = Tally()
        self._image = image
        self._rng = Random(seed)
        self._boots = 0
        self._known: Known | None = None
        self._doubtful: tuple[int, Known] | None = None
        """The number of the change that was not answered, and what is known if it took effect."""

    def run(self, kills: int) -> Tally:
        """Kill so many times, and look once more at the end. Raises `Wrong` when host and device disagree."""
        for _ in range(kills):
            self._live(self._program_until_killed)
            self.tally.kills += 1
        self._live(self._look_once_more)
        return self.tally

    def _live(self, use: Callable[[Client, Emulator], None]) -> None:
        emulator = Emulator(self._image)
        try:
            with connect(emulator.address, host_id=HOST) as client:
                use(client, emulator)
        finally:
            emulator.kill()

    def _look_once_more(self, client: Client, _: Emulator) -> None:
        self._known = self._compare(client)

    def _program_until_killed(self, client: Client, emulator: Emulator) -> None:
        known = self._compare(client)
        killer = Timer(self._rng.random() * LONGEST_LIFE_SECONDS, emulator.process.kill)
        killer.start()
        while True:
            self._known = known
            change = self._rng.choice(KINDS)(self._rng, known)
            try:
                client.run(change.procedure)
            except Refused:
                self.tally.refused += 1
            except LinkError as error:
                self._broken_off(error, change)
                break
            else:
                self.tally.answered += 1
                known = change.known
        killer.join()

    def _broken_off(self, error: LinkError, change: Change) -> None:
        if isinstance(error, OutcomeUnknown) and error.transaction is not None:
            self._doubtful = error.transaction, change.known
        else:
            self.tally.writes_broken_off += 1

    def _compare(self, client: Client) -> Known:
        """Settle what was in doubt, and see that host and device agree."""
        terms = client.open_session(Role.SERVICE)
        if terms.boot_counter <= self._boots:
            raise Wrong(f"boot {terms.boot_counter} after {self._boots}")
        self._boots = terms.boot_counter
        known = self._known or Known(read_view(client))
        if self._doubtful:
            known = self._settle(client, known, *self._doubtful)
        found = read_view(client)
        if found != known.view:
            raise Wrong(f"the host knows {known.view}, the device says {found}")
        return known

    def _settle(self, client: Client, known: Known, transaction: int, after: Known) -> Known:
        self._doubtful = None
        self.tally.in_doubt += 1
        outcome = client.run(procedures.fate(transaction)).outcome
        if outcome is TransactionOutcome.COMMITTED:
            self.tally.committed_unanswered += 1
            return after
        if outcome is not TransactionOutcome.NOT_SEEN:
            raise Wrong(f"change {transaction}: {outcome.name}")
        self.tally.not_seen += 1
        return known


def main(arguments: Sequence[str] = ()) -> int:
    """Kill so many. A disagreement between host and device raises."""
    kills, seed = (int(argument) for argument in (*arguments, *(FULL, 1)[len(arguments) :]))
    with tempfile.TemporaryDirectory() as folder:
        print(Campaign(Path(folder, "device.nvm"), seed).run(kills).describe())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
