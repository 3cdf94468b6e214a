"""REQ-SES: opening, replacing, repeating, keeping and losing the session."""

from __future__ import annotations

import msgspec
from ipg_protocol import Reply, ResponseFlag, Role, State, Status
from ipg_protocol.commands.link import Alert, Capability, SetTime
from ipg_protocol.commands.session import CloseSession, ClosingReason, KeepAlive, OpenSession, Session, SessionClosing
from ipg_protocol.commands.therapy import ReadLimits

from ipg_conformance.case import Profile, case
from ipg_conformance.device import HOST_ID, NEXT, Device
from ipg_conformance.expect import expect, expect_ok, expect_refusal, expect_that

IDLE_TOLERANCE_SECONDS = 1.0
PART_OF_IDLE_TIME = 0.55
OTHER_HOST_ID = HOST_ID + 1
OTHER_HOSTS = [("LOWER_HALF", OTHER_HOST_ID + 1), ("UPPER_HALF", OTHER_HOST_ID + 2**32)]
"""Hosts whose ids differ from that one in one half."""


def open_alert(device: Device) -> bool:
    return bool(device.status().alerts & Alert.SESSION_OPEN)


@case("SES/OPEN/BV-01", "REQ-SES-001", each=[(role.name, role) for role in Role])
def session_has_the_role(device: Device, role: Role) -> None:
    """OPEN_SESSION answers with the role asked for, the boot counter, and an idle timeout."""
    session = device.open_session(role)
    expect("the role", session.role, role)
    expect("the boot counter", session.boot_counter, device.status().boot_counter)
    expect_that("the idle timeout is above zero", session.idle_timeout_ms > 0, session)
    expect("the alert SESSION_OPEN", open_alert(device), True)


@case("SES/OPEN/BV-02", "REQ-SES-001", "REQ-TXN-001")
def session_tells_the_last_transaction(device: Device) -> None:
    """OPEN_SESSION answers with the highest transaction that the device has from this host, 0 for a new host."""
    request = device.numbered(SetTime(NEXT, 1))
    device.ask(request)
    expect("this host's last transaction", device.open_session().last_transaction, request.transaction)


@case("SES/REPLACE/BV-01", "REQ-SES-002")
def other_session_replaces(device: Device) -> None:
    """OPEN_SESSION with another nonce or host replaces the session: its role counts, and the old one is told."""
    device.forget_events()
    device.open_session(Role.OBSERVER)
    expect("the event", device.tester.wait_for_event(SessionClosing).reason, ClosingReason.REPLACED)
    expect_refusal("SET_TIME as OBSERVER", device.request(SetTime(NEXT, 1)), Status.NOT_PERMITTED)
    device.open_session(Role.CLINICIAN, OTHER_HOST_ID)
    device.ask(SetTime(NEXT, 1))


@case("SES/REPEAT/BV-01", "REQ-SES-002")
def same_session_is_a_repeat(device: Device) -> None:
    """OPEN_SESSION with the same host id and nonce gets the stored answer, REPLAYED, and the session goes on."""
    opening = OpenSession(role=Role.CLINICIAN, host_id=OTHER_HOST_ID, nonce=77)
    first = device.tester.request(opening)
    kept = device.tester.request(ReadLimits(), request_id=1)
    device.forget_events()
    again = device.tester.request(opening)
    expect("the answer to the repeat", again, Reply(first.status, ResponseFlag.REPLAYED, first.body))
    replayed = device.tester.request(ReadLimits(), request_id=1)
    expect("a request id of the session", replayed, Reply(kept.status, ResponseFlag.REPLAYED, kept.body))
    expect("events", device.tester.events_of(SessionClosing), [])


@case("SES/REPEAT/BO-01", "REQ-SES-001", "REQ-SES-002")
def same_opening_after_the_close(device: Device) -> None:
    """OPEN_SESSION with the host id and nonce of a session that was closed since opens one: what it answers is so."""
    opening = OpenSession(role=Role.CLINICIAN, host_id=OTHER_HOST_ID, nonce=78)
    first = expect_ok(device.tester.request(opening), Session)
    device.ask(CloseSession())
    again = expect_ok(device.tester.request(opening), Session)
    expect("the role", again.role, first.role)
    expect("the alert SESSION_OPEN", open_alert(device), True)
    expect("READ_LIMITS", device.tester.request(ReadLimits(), request_id=1).status, Status.OK)


@case("SES/REPLACE/BO-02", "REQ-SES-001", "REQ-SES-002", each=OTHER_HOSTS)
def same_nonce_of_another_host(device: Device, host_id: int) -> None:
    """OPEN_SESSION of another host replaces the session though role and nonce are the same, and is not answered from store."""
    first = OpenSession(role=Role.CLINICIAN, host_id=OTHER_HOST_ID, nonce=79)
    device.ask(first)
    device.forget_events()
    other = device.tester.request(msgspec.structs.replace(first, host_id=host_id))
    expect("status and flags", (other.status, other.flags), (Status.OK, ResponseFlag(0)))
    expect("the event", device.tester.wait_for_event(SessionClosing).reason, ClosingReason.REPLACED)


@case("SES/REPLACE/BO-03", "REQ-SES-001")
def same_nonce_for_another_role(device: Device) -> None:
    """OPEN_SESSION for another role answers that role, and opens such a session, though host and nonce are the same."""
    first = OpenSession(role=Role.CLINICIAN, host_id=OTHER_HOST_ID, nonce=80)
    device.ask(first)
    expect("the role", device.ask(msgspec.structs.replace(first, role=Role.OBSERVER)).role, Role.OBSERVER)
    expect_refusal("SET_TIME as OBSERVER", device.request(SetTime(NEXT, 1)), Status.NOT_PERMITTED)


@case("SES/CLOSE/BV-01", "REQ-SES-004")
def closed_session_is_gone(device: Device) -> None:
    """After CLOSE_SESSION, session commands are refused NO_SESSION; the alert is off; therapy goes on."""
    device.run_therapy()
    device.ask(CloseSession())
    expect_refusal("READ_LIMITS", device.tester.request(ReadLimits()), Status.NO_SESSION)
    expect("the alert SESSION_OPEN", open_alert(device), False)
    expect("the state", device.status().state, State.THERAPY)


@case("SES/KEEP/BV-01", "REQ-SES-005")
def keep_alive_tells_the_timeout(device: Device) -> None:
    """KEEP_ALIVE answers with the idle timeout of OPEN_SESSION."""
    session = device.open_session()
    expect("the idle timeout", device.ask(KeepAlive()).idle_timeout_ms, session.idle_timeout_ms)


@case("SES/IDLE/LT-01", "REQ-SES-003", "REQ-SES-005", profile=Profile.FULL)
def idle_session_closes(device: Device) -> None:
    """The session closes its idle timeout after KEEP_ALIVE, not sooner, tells so, and leaves therapy alone."""
    device.need_silent_host()
    device.run_therapy()
    session = device.open_session()
    idle_seconds = session.idle_timeout_ms / 1000
    device.tester.listen(min(1.0, idle_seconds / 2))
    kept_alive = device.tester.clock()
    device.ask(KeepAlive())
    device.tester.events.clear()
    closing = device.tester.wait_for_event(SessionClosing, idle_seconds + IDLE_TOLERANCE_SECONDS)
    waited = device.tester.clock() - kept_alive
    expect("the reason", closing.reason, ClosingReason.IDLE)
    expect_that(f"the session closes no sooner than {idle_seconds:g} s after KEEP_ALIVE", waited >= idle_seconds - 0.1, waited)
    expect_refusal("READ_LIMITS", device.tester.request(ReadLimits()), Status.NO_SESSION)
    silence_ms = device.capabilities.limit(Capability.HOST_SILENCE_MS)
    if not 0 < silence_ms <= session.idle_timeout_ms:
        expect("the state", device.status().state, State.THERAPY)


@case("SES/IDLE/LT-02", "REQ-SES-005", "REQ-SES-003", profile=Profile.FULL)
def any_request_keeps_the_session(device: Device) -> None:
    """A request that is repeated and one that is refused restart the idle time as any other does."""
    device.need_silent_host()
    pause_seconds = device.open_session(Role.OBSERVER).idle_timeout_ms / 1000 * PART_OF_IDLE_TIME
    first = device.tester.request(ReadLimits(), request_id=1)
    device.tester.listen(pause_seconds)
    expect("the repeat", device.tester.request(ReadLimits(), request_id=1).body, first.body)
    device.tester.listen(pause_seconds)
    expect_refusal("SET_TIME as OBSERVER", device.request(SetTime(NEXT, 1)), Status.NOT_PERMITTED)
    device.tester.listen(pause_seconds)
    expect("READ_LIMITS after three pauses", device.tester.request(ReadLimits()).status, Status.OK)
