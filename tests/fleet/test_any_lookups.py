"""In any order of requests and faults, a fleet keeps the rates of IVS, and recovers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.fleet.links import Condition
from tests.fleet.lookup_fleet import LookupFleet, channels
from tests.support.sizes import sized

# Thousands of steps through the same lines, which other tests cover too.
pytestmark = pytest.mark.no_cover

WORKERS = 3
ARNS = channels(120)
WHICH = st.integers(0, WORKERS - 1)


class AnyFleet(RuleBasedStateMachine):
    """Three workers, and every fault that one of them, the state or IVS may have."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = LookupFleet(WORKERS)
        self.fleet.ivs.call_seconds = 0.01  # So that only the turns limit the rate.
        self.has_used_state = True

    def teardown(self) -> None:
        """Every worker knows every channel soon after the faults have ended."""
        self.fleet.ivs.hangs = self.fleet.ivs.refuses = False
        for worker in self.fleet.workers:
            worker.link.condition = Condition.UP
        self.fleet.meet_until_known(ARNS, at_most=90)
        self.fleet.close()

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.0, 10.0, 150.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        """Calls go on meanwhile."""
        self.fleet.advance(seconds)

    @rule(which=WHICH, first=st.integers(0, 119), count=st.sampled_from([1, 2, 30, 120]))
    def channels_are_requested(self, which: int, first: int, count: int) -> None:
        """One by one, from one worker."""
        for arn in ARNS[first : first + count]:
            self.fleet.workers[which].request(arn)

    @rule(first=st.integers(0, 119), seconds=st.sampled_from([0.02, 0.07, 0.2]))
    def single_channels_are_requested_in_a_row(self, first: int, seconds: float) -> None:
        """From all workers, so that each of them needs turns."""
        for number in range(20):
            self.fleet.workers[number % WORKERS].request(ARNS[(first + number) % len(ARNS)])
            self.fleet.advance(seconds)

    @rule(which=WHICH)
    def a_worker_is_replaced(self, which: int) -> None:
        """It is killed, also in its turn."""
        self.fleet.replace(which)

    @rule(which=WHICH, ahead_seconds=st.sampled_from([-5.0, 0.0, 5.0]))
    def a_clock_is_set(self, which: int, ahead_seconds: float) -> None:
        """Two clocks differ by ten seconds at most."""
        self.fleet.workers[which].clock.ahead_seconds = ahead_seconds

    @rule(which=WHICH, condition=st.sampled_from([*Condition]))
    def the_state_fails_or_recovers(self, which: int, condition: Condition) -> None:
        """For one worker. From then on, it may have called by itself."""
        if condition is not Condition.SLOW:  # In this simulation, every call takes its time.
            self.fleet.workers[which].link.condition = condition
            self.has_used_state = False

    @rule(hangs=st.booleans(), refuses=st.booleans())
    def ivs_fails_or_recovers(self, *, hangs: bool, refuses: bool) -> None:
        """It hangs, or throttles every call."""
        self.fleet.ivs.hangs, self.fleet.ivs.refuses = hangs, refuses

    @invariant()
    def the_rate_is_kept(self) -> None:
        """Four calls of an operation in any second; without the state, four of each worker."""
        workers = 1 if self.has_used_state else WORKERS
        assert self.fleet.ivs.most_in_a_second() <= 4 * workers


def test_any_fleet_keeps_the_rate_and_recovers() -> None:
    """20 sequences of up to 20 steps; at full size 1,000."""
    run_state_machine_as_test(
        AnyFleet,
        settings=settings(
            max_examples=sized(short=20, full=1_000),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
