"""One device and its hosts, in whatever order hypothesis thinks of, against the reference model: over a good line, with resets
and power cuts."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from ipg_emulator.campaign.history import (
    SECOND_US,
    Deed,
    DeviceMeets,
    DevicePlan,
    Happening,
    History,
    HostActs,
    LineNoise,
)
from ipg_emulator.campaign.script import DEEDS, HAPPENINGS, model_of
from ipg_emulator.campaign.world import World
from ipg_emulator.model import names
from ipg_protocol import Role

LINE_HAPPENINGS = {Happening.SILENCE}


class DeviceAgainstReference(RuleBasedStateMachine):
    """Every rule is a deed or a happening; the oracle raises as soon as an invariant does not hold."""

    @initialize(model=st.sampled_from(names()))
    def build(self, model: str) -> None:
        self.model = model_of(model)
        plan = DevicePlan(0, model, 1, (Role.SERVICE, Role.PATIENT), LineNoise())
        self.world = World(History(1, 0, (plan,), ()))
        self.world.run_until(SECOND_US)

    @rule(
        deed=st.sampled_from(list(DEEDS)),
        host=st.sampled_from((0, 0, 0, 1)),
        rng=st.randoms(use_true_random=False),
        wait_us=st.sampled_from((0, 3_000, 300_000, 5 * SECOND_US)),
    )
    def act(self, deed: Deed, host: int, rng: Random, wait_us: int) -> None:
        self.world.plan(HostActs(self.world.now, 0, host, deed, DEEDS[deed][1](rng, self.model)))
        self.world.run_until(self.world.now + wait_us)

    @rule(
        happening=st.sampled_from([happening for happening in HAPPENINGS if happening not in LINE_HAPPENINGS]),
        rng=st.randoms(use_true_random=False),
        wait_us=st.sampled_from((0, 3_000, 300_000)),
    )
    def meet(self, happening: Happening, rng: Random, wait_us: int) -> None:
        self.world.plan(DeviceMeets(self.world.now, 0, happening, HAPPENINGS[happening][1](rng, self.model)))
        self.world.run_until(self.world.now + wait_us)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.run_until(self.world.now + 60 * SECOND_US)
            self.world.settle()


DeviceAgainstReference.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, derandomize=True, print_blob=False
)
TestDeviceAgainstReference = DeviceAgainstReference.TestCase
