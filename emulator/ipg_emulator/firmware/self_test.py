"""The self-test: it takes its time, looks at everything when that is over, and is broken off when therapy wants to begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ipg_protocol.command import COMMAND_OF
from ipg_protocol.commands.link import SelfTest, SelfTestItem, SelfTestReport
from ipg_protocol.commands.therapy import TherapyStateChanged
from ipg_protocol.refusal import BusyDetail
from ipg_protocol.vocabulary import FaultCode, Status
from ipg_protocol.wire import Message

from ipg_emulator.firmware.configuration import areas_checksum
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

SELF_TEST_US = 400_000
"""Our design: long enough for a host to ask again meanwhile."""

Report = Callable[[SelfTestReport | None], None]
"""Takes the result, or None when the test was broken off."""


class SelfTestRun:
    """At most one self-test at a time."""

    def __init__(self, device: Device, timers: Timers) -> None:
        self._device = device
        self._timers = timers
        self._report: Report | None = None
        timers.on(Timer.SELF_TEST, self._finished)
        device.listeners.append(self._state_changed)

    def begin(self, report: Report, now: int) -> None:
        """Test, and report once.

        Raises:
            Refused: a test is under way.
        """
        ends_at = self._timers.deadline(Timer.SELF_TEST)
        if ends_at is not None:
            raise Refused(Status.BUSY, BusyDetail(-((now - ends_at) // 1000)))
        self._report = report
        self._timers.set(Timer.SELF_TEST, now + SELF_TEST_US)

    def break_off(self) -> None:
        """End the test without a result; without one under way, nothing happens."""
        self._timers.cancel(Timer.SELF_TEST)
        self._tell(None)

    def _state_changed(self, event: Message, now: int) -> None:  # noqa: ARG002 - the signature of a listener
        if isinstance(event, TherapyStateChanged) and event.state not in COMMAND_OF[SelfTest].states:
            self.break_off()

    def _finished(self, now: int) -> None:
        device = self._device
        stored = [program for program in device.configuration.programs if program is not None]
        results = {
            SelfTestItem.PROGRAM_STORAGE: all(areas_checksum(program.areas) == program.checksum for program in stored),
            SelfTestItem.BATTERY: device.supply.read(now).millivolts > device.model.battery.eos_millivolts,
            SelfTestItem.OUTPUT_STAGE: FaultCode.OUTPUT_STAGE not in device.memory.latched_faults,
            SelfTestItem.TEMPERATURE: not device.supply.is_too_hot(now),
        }
        passed = sum(item for item, is_good in results.items() if is_good)
        self._tell(SelfTestReport(SelfTestItem(passed), SelfTestItem(sum(results) - passed)))

    def _tell(self, result: SelfTestReport | None) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(result)
