"""Runs cases on one device, one after the other, and always leaves it with therapy stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from ipg_protocol.commands.link import Ping

from ipg_conformance import cases
from ipg_conformance.case import CASES, FEATURES, Case, Failure, Need, NotApplicable, Profile, Result, Verdict
from ipg_conformance.device import Device
from ipg_conformance.leads import inspect_once
from ipg_conformance.tester import Port, Tester, Unreachable

SETUP_FAILURES_ALLOWED = 3
PROBES = 3

NONSENSE = (ArithmeticError, AttributeError, LookupError, StopIteration, TypeError, ValueError)
"""What a case runs into when answers decode but contradict each other, such as a range whose step is 0."""

Listener = Callable[[Result], None]


class NeverReady(Failure):
    """The device could not be brought to the state in which cases begin."""


def select(profile: Profile, only: Sequence[str] = ()) -> list[Case]:
    """The cases of a profile in the order in which they run, or those whose id begins with one of `only`."""
    assert cases.__all__, "importing the package declares the cases"
    chosen = [case for case in CASES.values() if not only or case.id.startswith(tuple(only))]
    order = list(FEATURES)
    fitting = (case for case in chosen if only or profile is Profile.FULL or case.profile is Profile.QUICK)
    return sorted(fitting, key=lambda case: order.index(case.feature))


def run_cases(port: Port, chosen: Iterable[Case], listener: Listener = lambda _: None) -> list[Result]:
    """Run cases on the device at a port and return what came of each; ends early when the device cannot be prepared.

    Raises:
        Unreachable: nothing on the port answers a PING, or the port goes away.
    """
    device = Device(Tester(port))
    wait_for_answer(device.tester)
    results: list[Result] = []
    unprepared = 0
    try:
        for case in chosen:
            result = run_case(device, case)
            results.append(result)
            listener(result)
            unprepared = 0 if result.was_prepared else unprepared + 1
            if unprepared == SETUP_FAILURES_ALLOWED:
                break
    finally:
        leave(device)
    return results


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


def run_case(device: Device, case: Case) -> Result:
    """Prepare the device, run one case, and judge it."""
    tester = device.tester
    tester.begin_case()
    started = tester.clock()
    try:
        _prepare(device, case)
        case.run(device)
        _expect_no_stray_answer(tester)
    except NotApplicable as reason:
        return Result(case, Verdict.NOT_APPLICABLE, tester.clock() - started, str(reason))
    except Failure as failure:
        return _failed(case, failure, tester, started)
    except NONSENSE as error:
        got = f"{type(error).__name__}: {error}"
        contradiction = Failure("the device's answers make sense", expected="no contradiction", got=got)
        return _failed(case, contradiction, tester, started)
    return Result(case, Verdict.PASSED, tester.clock() - started)


def _failed(case: Case, failure: Failure, tester: Tester, started: float) -> Result:
    return Result(
        case,
        Verdict.FAILED,
        tester.clock() - started,
        failure.what,
        failure.expected,
        failure.got,
        tuple(tester.exchange),
        was_prepared=not isinstance(failure, NeverReady),
    )


def _prepare(device: Device, case: Case) -> None:
    if case.bare:
        return
    try:
        device.settle()
        inspect_once(device)
    except Failure as failure:
        what = f"bring the device to a known state: {failure.what}"
        raise NeverReady(what, expected=failure.expected, got=failure.got) from failure
    _check_need(device, case.need)
    device.tester.begin_case()


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
        raise Failure("each request is answered once (REQ-FRM-011)", expected="no other answer", got=str(tester.responses))


def leave(device: Device) -> None:
    """Stop therapy at once and close the session, as far as the device still answers."""
    with suppress(Failure, Unreachable):
        device.stop_and_close()
