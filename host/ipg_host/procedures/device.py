"""Who the device is, how it stands, what it can do; its session, and its test of itself."""

from __future__ import annotations

import msgspec
from ipg_protocol import Role
from ipg_protocol.commands.link import (
    CapabilityRow,
    DeviceStatus,
    GetCapabilities,
    GetStatus,
    Identify,
    Identity,
    SelfTest,
    SelfTestReport,
)
from ipg_protocol.commands.session import CloseSession, KeepAlive, OpenSession, Session, SessionTime
from ipg_protocol.refusal import Done

from ipg_host.capabilities import Capabilities, capabilities_from
from ipg_host.conversation import Procedure, ask


def open_session(role: Role, host_id: int, nonce: int) -> Procedure[Session]:
    """Open a session; one that is open is closed. `nonce` differs from one session to the next."""
    return ask(OpenSession(role=role, host_id=host_id, nonce=nonce))


def close_session() -> Procedure[Done]:
    """Close the session; therapy goes on."""
    return ask(CloseSession())


def keep_alive() -> Procedure[SessionTime]:
    """Keep the session open; any other request of the session does so too."""
    return ask(KeepAlive())


def self_test() -> Procedure[SelfTestReport]:
    """Let the device test itself; the answer comes when it is done."""
    return ask(SelfTest())


def identify() -> Procedure[Identity]:
    """Read who the device is."""
    return ask(Identify())


def status() -> Procedure[DeviceStatus]:
    """Read the device at a glance."""
    return ask(GetStatus())


class Overview(msgspec.Struct, frozen=True):
    """Who the device is, and how it stands."""

    model: str
    serial: str
    firmware_version: str
    protocol_version: str
    status: DeviceStatus


def overview() -> Procedure[Overview]:
    """Read identity and status."""
    identity = yield from ask(Identify())
    present = yield from ask(GetStatus())
    version = f"{identity.protocol_major}.{identity.protocol_minor}"
    return Overview(identity.model, identity.serial, identity.firmware_version, version, present)


def capabilities() -> Procedure[Capabilities]:
    """Read all pages of what the device has and can do."""
    rows: list[CapabilityRow] = []
    while True:
        page = yield from ask(GetCapabilities(first=len(rows)))
        rows += page.rows
        if len(rows) >= page.total or not page.rows:
            return capabilities_from(rows)
