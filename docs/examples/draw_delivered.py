"""Draws what a virtual device delivered, from the file that `ipg-emulator run --record FILE` wrote, to a PNG.

The upper panel has a row for each contact: its current over the session, cathodes below zero. The lower one shows pulses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from ipg_emulator.board import Drive
from ipg_emulator.model import DeviceModel, OutputStage, load
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings

TRAIN_MS = 60
ROW_INCHES = 0.95
PULSES_INCHES = 2.9
CATHODE, ANODE = "#303030", "#9a9a9a"
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)))


class Point(NamedTuple):
    """A moment of the session, in seconds, and a current, in milliamperes."""

    seconds: float
    milliamps: float


def read_record(path: Path) -> list[Drive]:
    """The stretches of output in a record, one JSON object a line, in the order of their start."""
    drives = [msgspec.json.decode(line, type=Drive) for line in path.read_bytes().splitlines()]
    return sorted(drives, key=lambda drive: drive.start)


def draw(drives: list[Drive], model: DeviceModel, target: Path) -> None:
    """Write the drawing of what a device of this model delivered to `target`."""
    import_module("matplotlib").use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    contacts = sorted({share.contact for drive in drives for share in drive.settings.contacts})
    heights = [ROW_INCHES * len(contacts) + 0.9, PULSES_INCHES]
    figure = pyplot.figure(figsize=(11, sum(heights)), layout="constrained")
    session, pulses = figure.subfigures(2, 1, height_ratios=heights)
    session.suptitle(f"What {model.name} delivered: amplitude of the pulses through each contact", fontweight="bold")
    _draw_session(session.subplots(len(contacts), 1, sharex=True, squeeze=False)[:, 0], drives, contacts)
    strongest = max(drives, key=lambda drive: drive.delivered_to)
    train, single = pulses.subplots(1, 2, sharey=True)
    _draw_pulses(train, single, strongest, model.output)
    figure.savefig(target, dpi=110)


def contact_name(contact: int) -> str:
    """The name of a contact, as people say it."""
    return "case" if contact == CASE_CONTACT else f"contact {contact}"


def on_parts(drive: Drive) -> Iterator[tuple[Point, Point]]:
    """The straight parts of a stretch's delivered amplitude, the off-parts of its cycle left out."""
    on, off = drive.settings.cycle_on_seconds * 1_000_000, drive.settings.cycle_off_seconds * 1_000_000
    begin, end = drive.start, _end(drive)
    if not off:
        yield _point(drive, begin), _point(drive, end)
        return
    first = begin - (begin - drive.cycle_origin) % (on + off)
    for on_from in range(first, end, on + off):
        part = max(begin, on_from), min(end, on_from + on)
        if part[0] < part[1]:
            yield _point(drive, part[0]), _point(drive, part[1])


def occasions(drives: list[Drive]) -> list[tuple[float, str]]:
    """When therapy was started, changed and stopped, in seconds, as the first area's output shows it."""
    found: list[tuple[float, str]] = []
    programmed = 0
    for drive in drives:
        target = drive.programmed_to
        if drive.settings.area != drives[0].settings.area or target == programmed:
            continue
        verb = "start" if programmed == 0 else "stop" if target == 0 else "step"
        found.append((drive.start / 1e6, verb if target == 0 else f"{verb} to {target / 1000:g} mA"))
        programmed = target
    return found


def _end(drive: Drive) -> int:
    return drive.start if drive.until is None else drive.until


def _point(drive: Drive, moment: int) -> Point:
    passed = (moment - drive.start) / max(1, _end(drive) - drive.start)
    return Point(moment / 1e6, (drive.delivered_from + (drive.delivered_to - drive.delivered_from) * passed) / 1000)


def _draw_session(rows: list[Any], drives: list[Drive], contacts: list[int]) -> None:
    for row, contact in zip(rows, contacts, strict=True):
        _draw_contact(row, drives, contact)
        for seconds, _ in occasions(drives):
            row.axvline(seconds, color="black", linewidth=0.8, linestyle=":")
    highest = max(abs(limit) for row in rows for limit in row.get_ylim())
    for row in rows:
        low, high = row.get_ylim()
        row.set_ylim(-highest if low < -high else -0.12 * highest, highest if high > -low else 0.12 * highest)
    for seconds, word in occasions(drives):
        rows[0].annotate(word, (seconds, 1.05), xycoords=("data", "axes fraction"), va="bottom", fontsize=9)
    rows[-1].set_xlabel("time since the device was switched on, s")


def _draw_contact(row: Any, drives: list[Drive], contact: int) -> None:
    roles: set[str] = set()
    currents = [0.0]
    for drive, permille in ((d, s.permille) for d in drives for s in d.settings.contacts if s.contact == contact):
        roles.add(f"{'cathode' if permille < 0 else 'anode'}, area {drive.settings.area}")
        for begin, end in on_parts(drive):
            heights = [point.milliamps * permille / 1000 for point in (begin, end)]
            currents += heights
            row.fill_between((begin.seconds, end.seconds), heights, color=CATHODE if permille < 0 else ANODE, linewidth=0)
    row.axhline(0, color="black", linewidth=0.8)
    row.set_ylabel("\n".join([contact_name(contact), *sorted(roles), "mA"]), rotation=0, ha="right", va="center")
    row.yaxis.set_label_coords(-0.045, 0.5)
    row.annotate(f"peak {max(currents, key=abs):+.2f} mA", (0.995, 0.5), xycoords="axes fraction", ha="right", fontsize=9)
    row.margins(x=0.08, y=0.12)
    row.grid(axis="y", color="#dddddd", linewidth=0.6)
    row.set_axisbelow(True)


def _draw_pulses(train: Any, single: Any, drive: Drive, stage: OutputStage) -> None:
    settings = drive.settings
    period_us = 1e9 / settings.rate_millihertz
    starts = [number * period_us for number in range(int(TRAIN_MS * 1000 / period_us) + 1)]
    dashes = cycle(DASHES)
    for share in settings.contacts:
        corners = pulse(settings, stage, drive.delivered_to / 1000 * share.permille / 1000)
        color = CATHODE if share.permille < 0 else ANODE
        label = f"{contact_name(share.contact)} ({abs(share.permille) / 10:g} % {'cathode' if share.permille < 0 else 'anode'})"
        train.plot(
            [(start + t) / 1000 for start in starts for t, _ in corners],
            [i for _, i in corners] * len(starts),
            color=color,
            linewidth=1,
        )
        single.plot(*zip(*corners, strict=True), label=label, color=color, linewidth=2, linestyle=next(dashes))
    charge_microcoulombs = drive.delivered_to * settings.pulse_width_us / 1e6
    train.set(title=f"Area {settings.area}, {settings.rate_millihertz / 1000:g} pulses a second", xlabel="time, ms")
    train.set(ylabel="current, mA", xlim=(-1, TRAIN_MS))
    single.set(title=f"One pulse: {settings.pulse_width_us} us, {charge_microcoulombs:.2f} uC a phase", xlabel="time, us")
    single.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9, frameon=False)


def pulse(settings: AreaSettings, stage: OutputStage, milliamps: float) -> list[tuple[float, float]]:
    """The corners of one pulse, in microseconds and milliamperes; recharge is drawn with its mean current."""
    width = settings.pulse_width_us
    recharge_from = width + stage.interphase_us
    recharge_to = recharge_from + width * stage.recharge_phases
    recharge = -milliamps / stage.recharge_phases
    return [
        *((-width, 0), (0, 0), (0, milliamps), (width, milliamps), (width, 0)),
        *((recharge_from, 0), (recharge_from, recharge), (recharge_to, recharge), (recharge_to, 0), (recharge_to + width, 0)),
    ]


def main(words: list[str]) -> int:
    """`draw_delivered.py MODEL RECORD PNG`: draw the record of a device of that model."""
    if len(words) != 3:
        print(f"usage: {Path(__file__).name} MODEL RECORD PNG", file=sys.stderr)
        return 2
    model, record, target = words
    draw(read_record(Path(record)), load(model), Path(target))
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
