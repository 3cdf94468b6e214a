"""Events on their way to the application: decoded, each handed out once, and acknowledged as far as none is missing."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from ipg_protocol import Frame, Kind, Message, WireError, decode_event, encode_frame

from ipg_host.inbox import Inbox

UNNUMBERED_EVENT = 0
"""The number of an event that is sent once and not acknowledged."""

_log = logging.getLogger("ipg_host")


class Events:
    """The events of one link, which are handed to `on_event`."""

    def __init__(self, on_event: Callable[[Message], None] | None) -> None:
        self.inbox = Inbox()
        self._on_event = on_event
        self.undelivered: deque[Message] = deque()

    def receive(self, frame: Frame, now: int) -> Message | None:
        """Take an event in, and return what it says, whether it is new or not; None if it is not understood."""
        try:
            message = decode_event(frame)
        except WireError as error:
            _log.debug("<- event %d not understood, acknowledged all the same: %s", frame.request_id, error)
            message = None
        is_new = frame.request_id == UNNUMBERED_EVENT or self.inbox.accept(frame.request_id, now)
        if is_new and message is not None:
            _log.debug("<- event %d %r", frame.request_id, message)
            self.undelivered.append(message)
        return message

    def acknowledgement(self, opcode: int) -> bytes:
        """What tells the device how far events have come."""
        return encode_frame(Frame(Kind.EVENT_ACK, opcode, self.inbox.highest))

    def deliver(self) -> None:
        """Hand out what came; if `on_event` raises, the rest is handed out before the error goes on."""
        try:
            while self.undelivered:
                message = self.undelivered.popleft()
                if self._on_event is not None:
                    self._on_event(message)
        finally:
            if self.undelivered:
                self.deliver()
