"""Reading and writing the daily schedule."""

from __future__ import annotations

import msgspec
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.therapy import ReadSchedule, Schedule, WriteSchedule

from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.schedule import check_rows


@handles(ReadSchedule)
def read_schedule(_: ReadSchedule, context: Context) -> Schedule:
    configuration = context.device.configuration
    return Schedule(configuration.revision, configuration.schedule)


@handles(WriteSchedule)
def write_schedule(request: WriteSchedule, context: Context) -> Schedule:
    device, now = context.device, context.now
    check_rows(request, device.model.schedule_rows, device.configuration.programs)
    rows = tuple(sorted(request.rows, key=lambda row: row.minute_of_day))
    revision = device.memory.commit(msgspec.structs.replace(device.configuration, schedule=rows))
    device.log(LogCode.SCHEDULE_WRITTEN, len(rows), now)
    device.schedule.plan(now)
    return Schedule(revision, rows)
