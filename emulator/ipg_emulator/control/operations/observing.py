"""Operations that tell what has happened: what was delivered, events, log, counters, refusals, silences and the trace."""

from __future__ import annotations

from typing import Annotated

import msgspec
from ipg_protocol.describe import Reframer

from ipg_emulator.control.answers import LogLine, SeenEvent, SeenRefusal, Silence, TraceLine, microseconds, seconds
from ipg_emulator.control.operation import Operation, OperationError, operation
from ipg_emulator.control.operations.device import LONGEST_ADVANCE_SECONDS
from ipg_emulator.control.plain import plain_fields
from ipg_emulator.control.witness import RECORDS_KEPT, board_of, witness_of
from ipg_emulator.delivered import Delivery, delivered
from ipg_emulator.virtual import Subject

LATEST_SECONDS = 2 * LONGEST_ADVANCE_SECONDS
FromSeconds = Annotated[
    float,
    msgspec.Meta(ge=0, le=LATEST_SECONDS, description="from this time of the device on; else from when it was watched"),
]
UntilSeconds = Annotated[
    float, msgspec.Meta(ge=0, le=LATEST_SECONDS, description="up to this time of the device; else up to the present")
]


@operation("delivered", reads=True)
class Delivered(Operation[Delivery], frozen=True):
    """What was really delivered between two times: by area the on-time, pulses, charge, peak, and each stretch of output."""

    from_seconds: FromSeconds | None = None
    until_seconds: UntilSeconds | None = None
    area: Annotated[int, msgspec.Meta(ge=0, le=3, description="of this area alone")] | None = None

    def run(self, subject: Subject) -> Delivery:
        now = subject.present()
        witness, model = witness_of(subject.ipg), subject.ipg.firmware.model
        known_from = witness.memories.delivery_known_from
        start = known_from if self.from_seconds is None else microseconds(self.from_seconds)
        end = now if self.until_seconds is None else microseconds(self.until_seconds)
        if not known_from <= start <= end <= now:
            raise OperationError(
                f"what was delivered is known from {seconds(known_from):.6f} s to {seconds(now):.6f} s, "
                f"so nothing can be said of {seconds(start):.6f} s to {seconds(end):.6f} s"
            )
        under_way = board_of(subject.ipg.firmware).output.under_way(now)
        return delivered([*witness.memories.segments, *under_way], model, start, end, self.area)


@operation("log", reads=True)
class ReadLog(Operation[list[LogLine]], frozen=True):
    """The device's log, oldest entry first."""

    def run(self, subject: Subject) -> list[LogLine]:
        return [
            LogLine(entry.number, entry.boot_counter, entry.uptime_ms / 1000, entry.code.name, int(entry.argument))
            for entry in subject.ipg.firmware.memory.log_entries()
        ]


@operation("counters", reads=True)
class ReadCounters(Operation[dict[str, int]], frozen=True):
    """What the device has counted over its life, and what its link has since the boot."""

    def run(self, subject: Subject) -> dict[str, int]:
        firmware = subject.ipg.firmware
        return {**plain_fields(firmware.memory.counters), **plain_fields(firmware.link.statistics())}


@operation("events", reads=True)
class Events(Operation[list[SeenEvent]], frozen=True):
    """The events that the device has raised, whether or not a host was told; the last ten thousand."""

    after: Annotated[int, msgspec.Meta(ge=0, description="only those that are numbered higher")] = 0

    def run(self, subject: Subject) -> list[SeenEvent]:
        events = witness_of(subject.ipg).memories.events
        return [event for event in events if event.number > self.after]


@operation("refusals", reads=True)
class Refusals(Operation[list[SeenRefusal]], frozen=True):
    """Which requests the device has refused, and why; the last thousand."""

    def run(self, subject: Subject) -> list[SeenRefusal]:
        return list(witness_of(subject.ipg).memories.refusals)


@operation("silences", reads=True)
class Silences(Operation[list[Silence]], frozen=True):
    """What was dropped, ignored or altered: for each reason how often, and the last bytes."""

    def run(self, subject: Subject) -> list[Silence]:
        last, counted = witness_of(subject.ipg).memories.last_of_reason, subject.ipg.silences
        return [
            Silence(why, max(counted[why], 1), seconds(record.at_us), record.to.value, record.data.hex())
            for why, record in last.items()
        ]


@operation("trace", reads=True)
class Trace(Operation[list[TraceLine]], frozen=True):
    """The last bytes of the link in both directions, with what they say."""

    last: Annotated[int, msgspec.Meta(ge=1, le=RECORDS_KEPT, description="how many records at most")] = 100

    def run(self, subject: Subject) -> list[TraceLine]:
        reframer, records = Reframer(), witness_of(subject.ipg).memories.records
        texts = [[str(framed.piece) for framed in reframer.feed(record)] for record in records]
        last_of = {record.to: text for record, text in zip(records, texts, strict=True) if not record.why}
        for framed in reframer.finish():
            last_of[framed.to].append(str(framed.piece))
        lines = [
            TraceLine(seconds(record.at_us), record.to.value, record.data.hex(), text, record.why)
            for record, text in zip(records, texts, strict=True)
        ]
        return lines[-self.last :]
