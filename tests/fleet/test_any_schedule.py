"""Whatever hypothesis does to a fleet, step by step, no token breaks; what it finds, it shrinks."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.fleet.fleet import REAL_SKEW_SECONDS, TO_THE_END, Fleet
from tests.fleet.links import Condition
from tests.fleet.processes import SLOWEST_IMPORT_SECONDS, TERMS, Parts
from tests.fleet.sabotage import NeverTooOld

AHEAD_SECONDS = st.sampled_from([-REAL_SKEW_SECONDS / 2, 0, REAL_SKEW_SECONDS / 2])
POINTS = st.one_of(st.just(TO_THE_END), st.integers(0, 12))
WHICH = st.integers(0, 4)
TTL_SECONDS = st.sampled_from([60, 300, 400])


class _AnyFleet(RuleBasedStateMachine):
    """A settled fleet, and all that can happen to it."""

    parts: ClassVar[Parts] = Parts()

    @initialize(ivs_ahead_seconds=AHEAD_SECONDS)
    def begin(self, ivs_ahead_seconds: float) -> None:
        self.fleet = Fleet(self.parts)
        self.fleet.ivs.clock.ahead_seconds = ivs_ahead_seconds
        self.fleet.settle()

    def teardown(self) -> None:
        if hasattr(self, "fleet"):
            self.fleet.close()

    @rule(seconds=st.sampled_from([1, 10, 60, 120, TERMS.drain_seconds]))
    def let_time_pass(self, seconds: float) -> None:
        self.fleet.advance(seconds)

    @rule(which=WHICH, ahead_seconds=AHEAD_SECONDS)
    def set_a_clock(self, which: int, ahead_seconds: float) -> None:
        self.fleet.processes[which].clock.ahead_seconds = ahead_seconds

    @rule(which=st.integers(0, 2), ttl_seconds=TTL_SECONDS, points=POINTS)
    def sign(self, which: int, ttl_seconds: int, points: int) -> None:
        self.fleet.sign(self.fleet.replicas[which], ttl_seconds, points)

    @rule(which=st.integers(0, 2), points=POINTS)
    def look(self, which: int, points: int) -> None:
        self.fleet.look(self.fleet.replicas[which], points)

    @rule(which=st.integers(0, 1), points=POINTS)
    def reconcile(self, which: int, points: int) -> None:
        self.fleet.reconcile(self.fleet.rotators[which], points)

    @rule(which=st.integers(0, 1))
    def reconcile_at_the_deadline(self, which: int) -> None:
        self.fleet.reconcile_at_the_deadline(self.fleet.rotators[which])

    @rule(which=st.integers(0, 1), force=st.booleans(), points=POINTS)
    def rotation_request(self, which: int, *, force: bool, points: int) -> None:
        self.fleet.rotation_request(self.fleet.rotators[which], force=force, points=points)

    @precondition(lambda self: any(process.actors for process in self.fleet.processes))
    @rule(which=WHICH, index=st.integers(0, 9), points=POINTS)
    def go_on(self, which: int, index: int, points: int) -> None:
        busy = [process for process in self.fleet.processes if process.actors]
        self.fleet.go_on(busy[which % len(busy)], index, points)

    @rule(which=WHICH)
    def crash(self, which: int) -> None:
        self.fleet.crash(self.fleet.processes[which])

    @rule(which=WHICH, condition=st.sampled_from(Condition))
    def change_a_link(self, which: int, condition: Condition) -> None:
        self.fleet.processes[which].state_link.condition = condition

    @rule(which=st.integers(0, 1), condition=st.sampled_from(Condition))
    def change_a_link_to_ivs(self, which: int, condition: Condition) -> None:
        self.fleet.rotators[which].ivs_link.condition = condition

    @rule(seconds=st.sampled_from([0, SLOWEST_IMPORT_SECONDS]))
    def change_the_delay_of_imports(self, seconds: float) -> None:
        self.fleet.ivs.import_delay_seconds = seconds

    @rule(which=st.integers(0, 1), ttl_seconds=TTL_SECONDS)
    def change_the_settings(self, which: int, ttl_seconds: int) -> None:
        terms = dataclasses.replace(TERMS, longest_ttl_seconds=ttl_seconds)
        self.fleet.rotators[which].terms = terms

    @rule()
    def strangers_come_and_go(self) -> None:
        self.fleet.slots_are_freed()
        self.fleet.stranger_comes()

    @invariant()
    def no_token_is_broken(self) -> None:
        assert self.fleet.broken == []


class _WithoutRule3(_AnyFleet):
    parts = Parts(view=NeverTooOld)


SETTINGS = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_no_schedule_breaks_a_token() -> None:
    """A hundred schedules of up to fifty steps; a breaking one is shown at its shortest."""
    run_state_machine_as_test(_AnyFleet, settings=SETTINGS)


def test_a_schedule_that_breaks_a_token_is_found() -> None:
    """The search can fail: without rule 3 it finds one. Shrinking it would only take time."""
    finding = settings(SETTINGS, max_examples=2_000, phases=[Phase.generate], database=None)
    with pytest.raises(AssertionError, match="BrokenToken"):
        run_state_machine_as_test(_WithoutRule3, settings=finding)
