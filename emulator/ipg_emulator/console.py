"""What `ipg-emulator run` shows of its devices: a status line on a terminal, a line per change elsewhere."""

from __future__ import annotations

import os
import select
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from ipg_protocol.command import EVENT_OF
from ipg_protocol.wire import Message

from ipg_emulator import terminal
from ipg_emulator.firmware import Firmware

REFRESH_US = 500_000
STANDARD_ERROR = 2


def describe(firmware: Firmware, now: int) -> str:
    """The device in one line."""
    device = firmware.device
    reading = device.supply.read(now)
    program = device.active_program
    areas = [device.delivery.therapy.report(area, now) for area in program.areas] if program else []
    delivered = ", ".join(f"{area.delivered_microamps / 1000:.2f} mA" for area in areas)
    link = firmware.link.statistics()
    return (
        f"{device.state.name:9} program {device.configuration.active_program} ({delivered or 'no areas'}) | "
        f"battery {reading.millivolts / 1000:.3f} V {reading.charge_permille / 10:.1f} % | "
        f"{link.requests_executed} answered, {link.requests_refused} refused, {_noise(firmware)} noise"
    )


def describe_fleet(fleet: Sequence[Firmware]) -> str:
    """Many devices in one line."""
    states = Counter(firmware.device.state.name for firmware in fleet)
    links = [firmware.link.statistics() for firmware in fleet]
    return (
        f"{len(fleet)} devices: {', '.join(f'{count} {name}' for name, count in sorted(states.items()))} | "
        f"{sum(link.requests_executed for link in links)} answered, "
        f"{sum(link.requests_refused for link in links)} refused, {sum(map(_noise, fleet))} noise"
    )


def _noise(firmware: Firmware) -> int:
    statistics = firmware.link.statistics()
    return sum(getattr(statistics, name) for name in statistics.__struct_fields__ if name.startswith("noise_"))


class StatusLine:
    """Rewrites one line of a terminal twice a second, but only when it would read differently."""

    def __init__(self, describe_at: Callable[[int], str], descriptor: int = STANDARD_ERROR) -> None:
        """`describe_at` says what there is to show at a real time."""
        self._describe_at = describe_at
        self._descriptor = descriptor
        self._next = 0
        self._shown = ""

    def wake_at(self) -> int | None:
        return self._next

    def wake(self, real: int) -> None:
        self._next = real + REFRESH_US
        line = self._describe_at(real)[: terminal.columns(self._descriptor) - 1]
        if line != self._shown:
            _say(self._descriptor, f"\r\x1b[K{line}")
            self._shown = line

    def end(self) -> None:
        """Leave the line as it stands, and what comes next to a line of its own."""
        _say(self._descriptor, "\n")


class EventLines:
    """Writes a plain line for each event of a device; nothing happens in between."""

    def __init__(self, firmware: Firmware, descriptor: int = STANDARD_ERROR, label: str = "") -> None:
        """Among several devices, the `label` says which."""
        self._descriptor = descriptor
        self._label = label
        firmware.observers.append(self._happened)

    def _happened(self, event: Message, now: int) -> None:
        fields = " ".join(f"{name}={_text(getattr(event, name))}" for name in event.__struct_fields__)
        _say(self._descriptor, f"{now / 1_000_000:12.6f} {self._label}{EVENT_OF[type(event)].name} {fields}\n")


def _text(value: object) -> str:
    return str(getattr(value, "name", value))


def _say(descriptor: int, text: str) -> None:
    """Write if it goes at once: a pipe that nobody reads must not stop the device."""
    with suppress(OSError):
        if select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, text.encode())
