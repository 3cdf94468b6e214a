"""What `ipg-emulator run --trace` writes: each frame in a line while it passes, or the whole trace into a file.

Attach one to a device with `trace_to`; it hears all that passes from then on, and why what does not pass does not.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress

from ipg_protocol.capture import CaptureEncoder
from ipg_protocol.describe import Reframer
from ipg_protocol.trace import Head, Record, encode_head, encode_record

from ipg_emulator.appending import AppendedFile
from ipg_emulator.launch import CAPTURE_SUFFIX, LIVE_TRACE
from ipg_emulator.virtual import VirtualIpg, Watcher

STANDARD_ERROR = 2


def trace_to(ipg: VirtualIpg, where: str, *, seed: int, label: str = "") -> None:
    """Trace a device from now on: LIVE_TRACE, or into a file, as pcapng if it is named so and as JSON lines else.

    Args:
        ipg: The device, built from `seed`.
        where: The file's path, or LIVE_TRACE.
        seed: What the trace says of where the device came from.
        label: What each line on standard error begins with; among several devices, which it is.

    Raises:
        OSError: the file cannot be written.
        NoCaptures: the library for pcapng is not installed.
    """
    head = Head(model=ipg.firmware.model.name, serial=ipg.firmware.serial, seed=seed)
    ipg.watchers.append(_watcher(where, head, label))


def _watcher(where: str, head: Head, label: str) -> Watcher:
    if where == LIVE_TRACE:
        return LiveTrace(label=label)
    return (CaptureFile if where.endswith(CAPTURE_SUFFIX) else TraceFile)(where, head)


class LiveTrace:
    """Writes a line for each frame. Lines that nobody reads in time are left out, and counted."""

    def __init__(self, descriptor: int = STANDARD_ERROR, label: str = "") -> None:
        self._descriptor = descriptor
        self._label = label
        self._reframer = Reframer()
        self._missing = 0

    def __call__(self, record: Record) -> None:
        """Write what is complete with a record."""
        for framed in self._reframer.feed(record):
            self._say(f"{self._label}{framed}\n")

    def _say(self, line: str) -> None:
        with suppress(OSError):
            if not select.select([], [self._descriptor], [], 0)[1]:  # a pipe that nobody reads must not stop the device
                self._missing += 1
                return
            if self._missing:
                line, self._missing = f"{self._label}... {self._missing} lines that nobody read in time\n{line}", 0
            os.write(self._descriptor, line.encode())


class TraceFile:
    """Writes a trace as JSON lines."""

    def __init__(self, path: str, head: Head) -> None:
        """Begin the file anew.

        Raises:
            OSError: it cannot be written.
        """
        self._file = AppendedFile(path)
        self._file.write(encode_head(head))

    def __call__(self, record: Record) -> None:
        """Write a record.

        Raises:
            OSError: the disk is full.
        """
        self._file.write(encode_record(record))


class CaptureFile:
    """Writes a trace as pcapng, a packet for each frame."""

    def __init__(self, path: str, head: Head) -> None:
        """Begin the file anew.

        Raises:
            OSError: it cannot be written.
            NoCaptures: the library is not installed.
        """
        self._encoder = CaptureEncoder()
        self._reframer = Reframer()
        self._file = AppendedFile(path)
        self._file.write(self._encoder.encode_head(head))

    def __call__(self, record: Record) -> None:
        """Write what is complete with a record.

        Raises:
            OSError: the disk is full.
        """
        for framed in self._reframer.feed(record):
            self._file.write(self._encoder.encode(framed))
