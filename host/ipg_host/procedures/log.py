"""The log, the totals over the device's life, and its faults."""

from __future__ import annotations

from ipg_protocol.commands.log import (
    ClearFault,
    Counters,
    FaultRecord,
    LogEntry,
    LogInfo,
    ReadCounters,
    ReadFaults,
    ReadLog,
)
from ipg_protocol.refusal import StateDetail
from ipg_protocol.vocabulary import FaultCode

from ipg_host.conversation import Procedure, ask
from ipg_host.session import UNNUMBERED


def read_log(last: int | None = None) -> Procedure[tuple[LogEntry, ...]]:
    """Read the whole log, oldest entry first, or only its `last` entries.

    Raises:
        ValueError: `last` is negative.
    """
    cursor = 0
    if last is not None:
        if last < 0:
            raise ValueError(f"last is a number of entries, 0 or more, got {last}")
        extent = yield from ask(LogInfo())
        cursor = max(extent.oldest, extent.newest - last + 1)
    entries: list[LogEntry] = []
    while True:
        page = yield from ask(ReadLog(cursor=cursor))
        entries += page.rows
        if not page.rows:
            return tuple(entries)
        cursor = page.next_cursor


def read_counters() -> Procedure[Counters]:
    """Read the totals over the device's life."""
    return ask(ReadCounters())


def read_faults() -> Procedure[tuple[FaultRecord, ...]]:
    """Read every kind of fault ever raised, and whether it still stands."""
    answer = yield from ask(ReadFaults())
    return answer.rows


def clear_fault(fault: FaultCode) -> Procedure[StateDetail]:
    """Clear a latched fault; the answer says the state then."""
    return ask(ClearFault(transaction=UNNUMBERED, fault=fault))
