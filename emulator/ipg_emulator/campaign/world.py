"""A world: a pure function of a history. Everything happens in virtual time, one thing after another, and is judged at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count

import msgspec
from ipg_protocol.command import CATALOGUE, decode_event, decode_reply
from ipg_protocol.frame import FrameReader, Kind
from ipg_protocol.wire import WireError, decode

from ipg_emulator.campaign.history import SECOND_US, Action, Deed, History
from ipg_emulator.campaign.hosts import Host
from ipg_emulator.campaign.invariants import Broken, require
from ipg_emulator.campaign.line import Traffic
from ipg_emulator.campaign.oracle import ONCE
from ipg_emulator.campaign.site import Passed, Site

PATIENCE_US = 600 * SECOND_US
"""How long the hosts have at the end, over good lines, to find out what is in doubt."""

EVENTS_US = 10 * SECOND_US
"""How long it takes at most, then, until every event is delivered and acknowledged."""

_CLOSING_DEEDS = (Deed.READ_STATUS, Deed.READ_SETTINGS, Deed.READ_LOG)


class Violation(msgspec.Struct, frozen=True):
    """An invariant that did not hold: when, at which device, and the last frames there before it."""

    at_us: int
    device: int
    invariant: str
    expected: str
    found: str
    wire: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a world. `digest` is of every frame at every device, and of when it passed."""

    seed: int
    device_seconds: int
    commands: int
    changes: int
    resets: int
    power_cuts: int
    traffic: Traffic
    digest: str
    violation: Violation | None


class World:
    """Runs a history, once."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._heap: list[tuple[int, int, Site, Callable[[int], None] | None]] = []
        self._order = count()
        self._planned: dict[Site, int] = {}
        self._now = 0
        self._sites: dict[int, Site] = {}
        self._site: Site
        """Where something happens just now."""
        for plan in history.devices:
            self._sites[plan.number] = Site(history.seed, plan, self._later_at(plan.number))
        for action in history.actions:
            if action.device in self._sites:
                self.plan(action)
        for site in self._sites.values():
            self._plan_wake(site)

    @property
    def now(self) -> int:
        """The time, in microseconds from the beginning."""
        return self._now

    def plan(self, action: Action) -> None:
        """Let an action happen at its time, if that is still to come, else at once."""
        site = self._sites[action.device]
        self._push(max(action.at_us, self._now), site, partial(site.act, action))

    def _later_at(self, number: int) -> Callable[[int, Callable[[int], None]], None]:
        return lambda at, what: self._push(at, self._sites[number], what)

    def _push(self, at: int, site: Site, what: Callable[[int], None] | None) -> None:
        heappush(self._heap, (at, next(self._order), site, what))

    def run(self) -> Outcome:
        """Let it all happen."""
        violation = None
        try:
            self.run_until(self._history.duration_us)
            self.settle()
        except Broken as broken:
            violation = self._violation(broken)
        return self._outcome(violation)

    def run_until(self, end: int) -> None:
        """Let happen what is due by a time.

        Raises:
            Broken: an invariant does not hold.
        """
        heap = self._heap
        while heap and heap[0][0] <= end:
            at, _, site, what = heappop(heap)
            if what is None and self._planned.get(site) != at:
                continue  # something else has woken it since
            self._now = at
            self._let_happen(site, what, at)
            self._plan_wake(site)
        self._now = max(self._now, end)

    def _let_happen(self, site: Site, what: Callable[[int], None] | None, at: int) -> None:
        self._site = site
        try:
            if what is not None:
                what(at)
            site.wake(at)
            site.flush(at)
        except Broken:
            raise
        except Exception as error:
            raise Broken("neither device nor host raises", "no exception", f"{type(error).__name__}: {error}") from error

    def _plan_wake(self, site: Site) -> None:
        at = site.wake_at()
        if at is None:
            self._planned.pop(site, None)
        elif self._planned.get(site) != at:
            self._planned[site] = at
            self._push(at, site, None)

    def settle(self) -> None:
        """Heal every line, and let every host find out what became of its changes.

        Raises:
            Broken: an invariant does not hold, or an outcome stays unknown.
        """
        for site in self._sites.values():
            site.heal()
        for site in self._sites.values():
            for host in site.hosts:
                self._close(site, host)

    def _close(self, site: Site, host: Host) -> None:
        self._let_happen(site, partial(site.connect, host), self._now)
        for deed in _CLOSING_DEEDS:
            self._let_happen(site, partial(host.do, deed, ()), self._now)
        self._plan_wake(site)
        until = self._now + PATIENCE_US
        while host.is_busy and self._now < until:
            self.run_until(self._now + SECOND_US)
        self._site, unresolved = site, host.unresolved
        require(
            not host.is_busy, ONCE, "every outcome known once the lines are good", unresolved or "a conversation without end"
        )
        self.run_until(self._now + EVENTS_US)
        self._site, left = site, site.unacknowledged
        require(not left, "every event is delivered while a host is there", "none left", f"events {left}")

    # What became of it

    def _outcome(self, violation: Violation | None) -> Outcome:
        sites = self._sites.values()
        traffic, digest = Traffic(), blake2b(digest_size=16)
        for site in sites:
            traffic.add(site.up.traffic)
            traffic.add(site.down.traffic)
            digest.update(site.digest.digest())
        return Outcome(
            seed=self._history.seed,
            device_seconds=len(sites) * self._now // SECOND_US,
            commands=sum(host.commands for site in sites for host in site.hosts),
            changes=sum(site.oracle.commits for site in sites),
            resets=sum(site.boots for site in sites),
            power_cuts=sum(site.power_cuts for site in sites),
            traffic=traffic,
            digest=digest.hexdigest(),
            violation=violation,
        )

    def _violation(self, broken: Broken) -> Violation:
        site = self._site
        number = next(number for number, each in self._sites.items() if each is site)
        wire = tuple(map(_in_words, site.wire))
        return Violation(self._now, number, broken.invariant, broken.expected, broken.found, wire)


def run_world(history: History) -> Outcome:
    """What becomes of a world: the same for the same history, wherever it is run."""
    return World(history).run()


def _in_words(passed: Passed) -> str:
    """A frame as a line of text: when, which way, and what it says."""
    at = f"{passed.at_us / SECOND_US:.6f} s {passed.way.value}: "
    frames = FrameReader().feed(passed.frame, 0)
    if not frames:
        return f"{at}noise {passed.frame.hex()}"
    frame = frames[0]
    try:
        if frame.kind is Kind.EVENT_ACK:
            return f"{at}EVENT_ACK {frame.request_id}"
        if frame.kind is Kind.EVENT:
            return f"{at}EVENT {frame.request_id} {decode_event(frame)}"
        if frame.kind is Kind.RESPONSE:
            reply = decode_reply(frame)
            replayed = " (REPLAYED)" if reply.flags else ""
            return f"{at}{frame.request_id} {CATALOGUE[frame.opcode].name} {reply.status.name}{replayed} {reply.body}"
        return f"{at}{frame.request_id} {decode(CATALOGUE[frame.opcode].request, frame.payload)}"
    except (WireError, KeyError):
        return f"{at}{frame}"
