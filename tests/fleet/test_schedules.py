"""The shortest schedules that show what a rule is there for, to the second.

The terms: published for 60 s, views of 120 s, tokens of 300 s, clocks that differ by 10 s at most.
Each schedule is run with the rules as they are, and with one of them left out.
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.links import Condition
from tests.fleet.processes import TERMS, Parts
from tests.fleet.sabotage import EndsSigningTooSoon, NeverTooOld

BROKEN = True


@pytest.mark.parametrize(("skew_seconds", "outcome"), [(10, not BROKEN), (9, BROKEN), (0, BROKEN)])
def test_the_drain_needs_twice_the_skew_and_no_less(*, skew_seconds: int, outcome: bool) -> None:
    """Rule 4: a fast replica and a slow IVS take one skew, two rotators' clocks the other."""
    parts = Parts(terms=dataclasses.replace(TERMS, clock_skew_seconds=skew_seconds))
    with Fleet(parts) as fleet:
        signer, (slow, fast) = fleet.replicas[0], fleet.rotators
        fleet.ivs.clock.ahead_seconds = slow.clock.ahead_seconds = -5
        signer.clock.ahead_seconds = fast.clock.ahead_seconds = 5
        fleet.settle()

        fleet.rotation_request(slow, force=False)
        fleet.look(signer)
        fleet.reconcile(slow)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_the_deadline(fast)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(steps=EndsSigningTooSoon), BROKEN)],
    ids=["two writes", "one write"],
)
def test_a_slow_save_of_the_switch_does_not_shorten_the_drain(
    *, parts: Parts, outcome: bool
) -> None:
    """Rule 4: each call takes a minute, so that what is read before the save is a minute early."""
    with Fleet(parts) as fleet:
        signer, host = fleet.replicas[0], fleet.rotators[0]
        fleet.settle()
        fleet.rotation_request(host, force=False)

        fleet.reconcile(host, points=0)
        while not _is_retiring(fleet):
            fleet.advance(60)
            fleet.look(signer)
            fleet.go_on(host, 0, points=1)
        fleet.go_on(host, 0, points=100)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_the_deadline(host)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(view=NeverTooOld), BROKEN)],
    ids=["views age", "views don't age"],
)
def test_a_replica_that_is_cut_off_stops_signing_in_time(*, parts: Parts, outcome: bool) -> None:
    """Rule 3: it can't know that its key has gone, so it refuses."""
    with Fleet(parts) as fleet:
        cut_off, host = fleet.replicas[0], fleet.rotators[0]
        fleet.settle()
        cut_off.state_link.condition = Condition.DOWN
        fleet.rotation_request(host, force=False)
        fleet.reconcile(host)
        fleet.reconcile_at_the_deadline(host)

        fleet.sign(cut_off, ttl_seconds=300)

        assert bool(fleet.broken) is outcome
        assert fleet.refusals == (0 if outcome is BROKEN else 1)


@pytest.mark.parametrize(("import_seconds", "outcome"), [(50, not BROKEN), (51, BROKEN)])
def test_the_publish_delay_covers_an_import_of_all_but_the_skew(
    *, import_seconds: int, outcome: bool
) -> None:
    """Rule 2: one rotator's clock tells when the delay begins, another's when it ends."""
    with Fleet(Parts()) as fleet:
        signer, (slow, fast) = fleet.replicas[0], fleet.rotators
        slow.clock.ahead_seconds, fast.clock.ahead_seconds = -5, 5
        fleet.ivs.import_delay_seconds = import_seconds

        fleet.reconcile(slow)
        fleet.reconcile_at_the_deadline(fast)
        fleet.look(signer)
        fleet.sign(signer, ttl_seconds=300)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1


def _is_retiring(fleet: Fleet) -> bool:
    ring = fleet.ring
    return ring is not None and any(pair.state == "retiring" for pair in ring.pairs)
