"""Group 01: the session. One at a time; it names the host and its role, and does not outlive a boot."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Request, command, event
from ipg_protocol.refusal import Done
from ipg_protocol.vocabulary import BOOTED, Role
from ipg_protocol.wire import U32, U64, Message


class Session(Message, frozen=True):
    """The session that is now open. `last_transaction` is the highest that the device has from this host, 0 if none;
    `acknowledged_event` the highest event acknowledged so far, by whichever host.
    """

    role: Role
    boot_counter: U32
    idle_timeout_ms: U32
    last_transaction: U32
    acknowledged_event: U32


@command(0x0101, role=None, states=BOOTED)
class OpenSession(Request[Session], frozen=True):
    """Open a session; an open one is closed first. The same `host_id` and `nonce` again is a repeat, not a new session."""

    role: Role
    host_id: U64
    nonce: U32


@command(0x0102, role=Role.OBSERVER, states=BOOTED)
class CloseSession(Request[Done], frozen=True):
    """Close the session. Therapy goes on."""


class SessionTime(Message, frozen=True):
    """How long the session stays open without another request, in milliseconds."""

    idle_timeout_ms: U32


@command(0x0103, role=Role.OBSERVER, states=BOOTED)
class KeepAlive(Request[SessionTime], frozen=True):
    """Keep the session open. Any other request of the session does so too."""


@unique
class ClosingReason(IntEnum):
    """Why a session closes."""

    IDLE = 0
    REPLACED = 1
    PORT_IN_USE = 2


@event(0x8101)
class SessionClosing(Message, frozen=True):
    """The session closes, or (PORT_IN_USE) this connection gets none because the port has a client already."""

    reason: ClosingReason
