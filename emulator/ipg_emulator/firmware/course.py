"""A course of therapy: the delivery of one program from its start to its end."""

from __future__ import annotations

import msgspec


class Course(msgspec.Struct):
    """Which program, and a clock that runs while the output is on: not while it is held off. Microseconds."""

    program: int
    before_us: int = 0
    since: int | None = None

    def go_on(self, now: int) -> None:
        """The output is on."""
        if self.since is None:
            self.since = now

    def hold(self, now: int) -> None:
        """The output is off."""
        self.before_us = self.on_time_us(now)
        self.since = None

    def on_time_us(self, now: int) -> int:
        """How long the output has been on; the off-part of a cycle counts too."""
        return self.before_us + (0 if self.since is None else now - self.since)
