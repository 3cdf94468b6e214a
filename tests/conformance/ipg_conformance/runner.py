"""Runs cases on one device, one after the other, and always leaves it with therapy stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from ipg_protocol import Status
from ipg_protocol.commands.link import CapabilityRow, Identify, Ping
from ipg_protocol.commands.link import Identity as DeviceIdentity
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.commands.therapy import StopMode, StopTherapy

from ipg_conformance import cases
from ipg_conformance.agreement import expect_refusals
from ipg_conformance.case import CASES, FEATURES, Case, Need, Profile
from ipg_conformance.conditions import Conditions
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure, Inconclusive, NeverReady, NotAllowed, NotApplicable, OutOfReach
from ipg_conformance.inputs import CommandInputs, inputs_of
from ipg_conformance.judgement import Judgement, judge, result_of
from ipg_conformance.leads import inspect_once
from ipg_conformance.line import Line, measured
from ipg_conformance.permission import NOTHING
from ipg_conformance.port import Port, Unreachable
from ipg_conformance.report.run import Identity, Result
from ipg_conformance.requirements import check
from ipg_conformance.tester import Tester
from ipg_conformance.wording import shown

SETUP_FAILURES_ALLOWED = 3
SETUP_SECONDS = 120.0
PROBES = 3
STOPS = 3
"""How often a device that does not answer is told to stop."""

Listener = Callable[[Result], None]


class NoSuchCase(ValueError):
    """No case has an id that begins so."""


def select(profile: Profile, only: Sequence[str] = ()) -> list[Case]:
    """The cases of a profile in the order in which they run, or those whose id begins with one of `only`.

    Raises:
        NoSuchCase: none begins with one of them.
        SuiteError: the suite is not fit to be run.
    """
    assert cases.__all__, "importing the package declares the cases"
    check(CASES.values())
    if unknown := [word for word in only if not word or not any(name.startswith(word) for name in CASES)]:
        raise NoSuchCase(f"no case begins with {' or '.join(unknown) or 'nothing'}; see: ipg-conformance list")
    chosen = [case for case in CASES.values() if not only or case.id.startswith(tuple(only))]
    order = list(FEATURES)
    fitting = (case for case in chosen if only or profile is Profile.FULL or case.profile is Profile.QUICK)
    return sorted(fitting, key=lambda case: order.index(case.feature))


def line_to(port: Port, speed: float = 1.0) -> Line:
    """Measure the line to a device.

    Raises:
        Unreachable: nothing on the port answers.
    """
    tester = Tester(port, NOTHING, speed)
    wait_for_answer(tester)
    return measured(tester)


def identify(port: Port) -> Identity:
    """Who a device that answers says that it is; empty where it does not say it."""
    tester = Tester(port, NOTHING)
    with suppress(Failure):
        body = tester.request(Identify()).body
        if isinstance(body, DeviceIdentity):
            protocol = f"{body.protocol_major}.{body.protocol_minor}"
            return Identity(model=body.model, serial=body.serial, firmware=body.firmware_version, protocol=protocol)
    return Identity()


def reported_capabilities(port: Port) -> list[CapabilityRow]:
    """What a device says that it has; nothing where it cannot be asked."""
    with suppress(Failure):
        return Device(Tester(port, NOTHING)).read_capabilities()
    return []


def run_cases(
    port: Port,
    chosen: Iterable[Case],
    listener: Listener = lambda _: None,
    conditions: Conditions | None = None,
    on_leaving: Callable[[bool], None] = lambda _: None,
) -> list[Result]:
    """Run cases on the device at a port and return what came of each; ends early when the device cannot be prepared.

    `on_leaving` hears whether the device says that therapy is stopped.

    Raises:
        Unreachable: nothing on the port answers a PING, or the port goes away; the listener then has heard all there is.
    """
    terms = conditions or Conditions()
    device = _device_at(port, terms)
    results: list[Result] = []
    unprepared = 0
    try:
        for case in chosen:
            judgement = run_case(device, case, terms)
            result = terms.waivers.applied_to(result_of(case, judgement, device.tester, terms))
            results.append(result)
            listener(result)
            if isinstance(judgement.problem, Unreachable):
                raise judgement.problem
            unprepared = 0 if result.was_prepared else unprepared + 1
            if unprepared == SETUP_FAILURES_ALLOWED:
                break
        else:
            tidy(device)
    finally:
        on_leaving(leave(device))
    return results


def _device_at(port: Port, terms: Conditions) -> Device:
    """The device at a port, once it answers, and the line to it measured."""
    inputs = inputs_of(port, terms.statement.inputs if terms.statement else CommandInputs())
    device = Device(Tester(port, terms.allowed, terms.speed), inputs, terms.statement)
    wait_for_answer(device.tester)
    device.tester.line = terms.line or measured(device.tester)
    return device


def wait_for_answer(tester: Tester) -> None:
    """Wait until the device answers a PING with any RESPONSE, right or wrong; the cases judge it."""
    for token in range(PROBES):
        with suppress(Failure):
            tester.request(Ping(token))
            return
        if tester.responses:
            return
    heard = f"{len(tester.received)} bytes came, but no answer" if tester.received else "nothing answers"
    raise Unreachable(f"{heard}: {PROBES} PINGs were sent")


def run_case(device: Device, case: Case, conditions: Conditions) -> Judgement:
    """Prepare the device, run one case, and judge what came of it."""
    started = device.tester.clock.real()
    problem: Exception | None = None
    try:
        _prepare(device, case, conditions)
        case.run(device)
        _expect_no_stray_answer(device.tester)
        device.tester.check_repeats()
    except Exception as error:  # whatever a case ends with is judged, the suite's own faults too
        problem = error
    return judge(problem, device, device.tester.clock.real() - started)


def _prepare(device: Device, case: Case, conditions: Conditions) -> None:
    device.tester.begin_case(SETUP_SECONDS)
    if missing := case.permissions - conditions.allowed:
        raise NotAllowed(missing)
    if case.bare:
        device.tester.begin_case(case.timeout_seconds, case.seed(conditions.seed))
        return
    try:
        expect_refusals(device)
        device.settle()
        inspect_once(device)
        applies = case.applies is None or case.applies.holds(device.capabilities)
    except NotAllowed as error:
        raise OutOfReach(f"the device cannot be brought to IDLE: {error}") from None
    except Failure as failure:
        what = f"bring the device to a known state: {failure.what}"
        raise NeverReady(what, expected=failure.expected, got=failure.got) from failure
    if case.applies is not None and not applies:
        raise NotApplicable(f"only where {case.applies.words}")
    _check_need(device, case.need)
    device.tester.begin_case(case.timeout_seconds, case.seed(conditions.seed))


def _check_need(device: Device, need: Need) -> None:
    has = {
        Need.SOUND_LEADS: not device.shorted_contacts,
        Need.OPEN_CONTACT: bool(device.open_contacts),
        Need.SHORTED_CONTACT: bool(device.shorted_contacts),
    }
    if not has[need]:
        raise NotApplicable(f"it takes {need.value}")


def _expect_no_stray_answer(tester: Tester) -> None:
    if tester.responses:
        raise Failure("each request is answered once (REQ-FRM-011)", expected="no other answer", got=shown(tester.responses))


def tidy(device: Device) -> None:
    """Bring a device that cases prepared for themselves to IDLE, with the factory's configuration, once more."""
    device.tester.begin_case(SETUP_SECONDS)
    with suppress(Failure, NotApplicable, Inconclusive, Unreachable):
        if device.clean_revision is not None:
            device.settle()


def leave(device: Device) -> bool:
    """Stop therapy at once and close the session, as far as the device still answers; whether therapy is stopped."""
    device.tester.begin_case()
    for _ in range(STOPS):
        with suppress(Failure, Unreachable):
            return _stop_and_close(device.tester)
    return False


def _stop_and_close(tester: Tester) -> bool:
    """Stop therapy at once, and leave no session behind; whether the device says that it has stopped."""
    reply = tester.request(StopTherapy(StopMode.IMMEDIATE))
    with suppress(Failure):
        tester.request(CloseSession())
    return reply.status is Status.OK
