"""All that went over the wire in a run as one pcapng file, in which the first packet of each case names it."""

from __future__ import annotations

from collections.abc import Iterator

from ipg_protocol.capture import CaptureEncoder
from ipg_protocol.describe import Framed
from ipg_protocol.trace import Head

from ipg_conformance.report.exchange import lines_of
from ipg_conformance.report.run import Run


def capture_of(run: Run) -> bytes:
    """The capture.

    Raises:
        NoCaptures: the extra `pcapng` is not installed.
    """
    encoder = CaptureEncoder()
    head = Head(model=run.device.model, serial=run.device.serial, seed=run.seed)
    return b"".join((encoder.encode_head(head), *(encoder.encode(framed, comment) for framed, comment in _packets(run))))


def _packets(run: Run) -> Iterator[tuple[Framed, str]]:
    shift_us = latest_us = 0
    for result in run.results:
        comment = f"{result.case} {result.verdict.value}"
        for line in lines_of(result.exchange):
            shift_us = max(shift_us, latest_us - line.at_us)  # each device of a run has a clock of its own, from 0
            latest_us = line.at_us + shift_us
            for piece in line.pieces:
                yield Framed(latest_us, line.to, piece), comment
                comment = ""
