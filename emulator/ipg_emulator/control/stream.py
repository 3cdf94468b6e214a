"""The events of a device as server-sent events: whoever listens is told each one as it happens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated

import anyio
import msgspec

from ipg_emulator.control.answers import SeenEvent
from ipg_emulator.control.channel import ChannelClosed

POLL_SECONDS = 0.05
KEEP_ALIVE_POLLS = 300
"""A comment goes out after so many polls without an event, so that a listener that has gone is noticed."""

MEDIA_TYPE = "text/event-stream"
LAST_EVENT_ID = "last-event-id"
_EVENT_NUMBER = re.compile(r"[0-9]{1,18}")

EventsAfter = Callable[[int], Awaitable[Sequence[SeenEvent]]]
"""The events that are numbered higher."""


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events as they happen, as server-sent events. A browser that comes back goes on where it was."""

    after: (
        Annotated[int, msgspec.Meta(ge=0, description="begin after the event of this number; without it, with the next event")]
        | None
    ) = None


def begin_after(listen: Listen, last_event_id: str | None) -> int | None:
    """Where a listener begins: what it says on return comes before what its address says. None: with the next event."""
    return int(last_event_id) if last_event_id and _EVENT_NUMBER.fullmatch(last_event_id) else listen.after


async def event_stream(events_after: EventsAfter, after: int) -> AsyncIterator[bytes]:
    """Each event after a number, for as long as somebody listens and the device is there."""
    polls = 0
    yield b": listening\n\n"
    with suppress(ChannelClosed):
        while True:
            for event in await events_after(after):
                after, polls = event.number, 0
                yield render_event(event)
            polls += 1
            if polls % KEEP_ALIVE_POLLS == 0:
                yield b": nothing has happened\n\n"
            await anyio.sleep(POLL_SECONDS)


def render_event(event: SeenEvent) -> bytes:
    """An event as it goes over the wire."""
    return f"id: {event.number}\nevent: {event.name}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"
