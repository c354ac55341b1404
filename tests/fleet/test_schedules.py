"""The shortest schedules that show, to the second, why a rule is needed.

The terms: publish delay 60 s, maximum view age 120 s, longest token lifetime 300 s, skew 10 s.
Each schedule runs once with all rules, and once with one rule left out.
"""

from __future__ import annotations

import dataclasses

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.links import Condition
from tests.fleet.mutants import (
    EffectsWithClockUnchecked,
    RotatorThatRollsBackADeletion,
    RotatorWithEarlySigningEnd,
    RotatorWithEarlyTermsEnd,
    RotatorWithFirstSigningEnd,
    RotatorWithoutFormerTerms,
    ViewWithoutMaxAge,
)
from tests.fleet.processes import TERMS, Parts, RotatorHost

BROKEN = True
LOW = dataclasses.replace(TERMS, ring_max_age_seconds=60, longest_ttl_seconds=60)


@pytest.mark.parametrize(("skew_seconds", "outcome"), [(10, not BROKEN), (9, BROKEN), (0, BROKEN)])
def test_the_drain_needs_twice_the_skew_and_no_less(*, skew_seconds: int, outcome: bool) -> None:
    """Rule 4: one skew between a fast replica and a slow IVS, one between two rotators' clocks."""
    terms = dataclasses.replace(TERMS, clock_skew_seconds=skew_seconds)
    with Fleet(Parts(terms=terms, effects=EffectsWithClockUnchecked)) as fleet:
        signer, (slow, fast) = fleet.replicas[0], fleet.rotators
        fleet.ivs.clock.ahead_seconds = slow.clock.ahead_seconds = -5
        signer.clock.ahead_seconds = fast.clock.ahead_seconds = 5
        fleet.create_active_and_standby()

        fleet.request_rotation(slow, force=False)
        fleet.refresh_view(signer)
        fleet.reconcile(slow)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_deadline(fast)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(effects=EffectsWithClockUnchecked), BROKEN)],
    ids=["compared", "unchecked"],
)
@pytest.mark.parametrize("ahead_seconds", [25, 300])
def test_a_rotator_whose_clock_is_ahead_deletes_nothing(
    *, ahead_seconds: float, parts: Parts, outcome: bool
) -> None:
    """Without the comparison it deletes the old key that long before its drain ends."""
    with Fleet(parts) as fleet:
        signer, (right, ahead) = fleet.replicas[0], fleet.rotators
        fleet.create_active_and_standby()
        fleet.request_rotation(right, force=False)
        fleet.refresh_view(signer)
        fleet.reconcile(right)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)

        ahead.clock.ahead_seconds = ahead_seconds
        fleet.advance(TERMS.drain_seconds - 120 - ahead_seconds)
        fleet.reconcile(ahead)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).retirements == (1 if outcome is BROKEN else 0)
        ahead.clock.ahead_seconds = 0
        fleet.advance(ahead_seconds)
        fleet.reconcile(ahead)
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(effects=EffectsWithClockUnchecked), BROKEN)],
    ids=["compared", "unchecked"],
)
def test_an_end_of_signing_is_not_recorded_by_a_clock_that_is_behind(
    *, parts: Parts, outcome: bool
) -> None:
    """Another rotator, whose clock is right, records it instead, and the drain is long enough."""
    with Fleet(parts) as fleet:
        signer, (right, behind) = fleet.replicas[0], fleet.rotators
        fleet.create_active_and_standby()
        fleet.request_rotation(right, force=False)
        fleet.reconcile(right, points=0)
        while not _is_retiring(fleet):
            fleet.refresh_view(signer)
            fleet.resume(right, 0, points=1)
        fleet.crash(right)

        behind.clock.ahead_seconds = -300
        fleet.reconcile(behind)
        fleet.reconcile(right)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_deadline(right)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(rotator=RotatorWithEarlySigningEnd), BROKEN)],
    ids=["two writes", "one write"],
)
def test_a_slow_save_of_the_switch_does_not_shorten_the_drain(
    *, parts: Parts, outcome: bool
) -> None:
    """Rule 4: each call takes a minute, so a time read before the save is a minute early."""
    with Fleet(parts) as fleet:
        signer, host = fleet.replicas[0], fleet.rotators[0]
        fleet.create_active_and_standby()
        fleet.request_rotation(host, force=False)

        fleet.reconcile(host, points=0)
        while not _is_retiring(fleet):
            fleet.advance(60)
            fleet.refresh_view(signer)
            fleet.resume(host, 0, points=1)
        fleet.resume(host, 0, points=100)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_deadline(host)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(view=ViewWithoutMaxAge), BROKEN)],
    ids=["with a maximum age", "without a maximum age"],
)
def test_a_replica_that_is_cut_off_stops_signing_in_time(*, parts: Parts, outcome: bool) -> None:
    """Rule 3: it can't find out that its key was deleted, so it refuses."""
    with Fleet(parts) as fleet:
        cut_off, host = fleet.replicas[0], fleet.rotators[0]
        fleet.create_active_and_standby()
        cut_off.state_link.condition = Condition.DOWN
        fleet.request_rotation(host, force=False)
        fleet.reconcile(host)
        fleet.reconcile_at_deadline(host)

        fleet.sign(cut_off, ttl_seconds=300)

        assert bool(fleet.broken) is outcome
        assert fleet.refusals == (0 if outcome is BROKEN else 1)


@pytest.mark.parametrize(("import_seconds", "outcome"), [(50, not BROKEN), (51, BROKEN)])
def test_the_publish_delay_covers_an_import_of_all_but_the_skew(
    *, import_seconds: int, outcome: bool
) -> None:
    """Rule 2: the delay begins by one rotator's clock and ends by another's."""
    with Fleet(Parts()) as fleet:
        signer, (slow, fast) = fleet.replicas[0], fleet.rotators
        slow.clock.ahead_seconds, fast.clock.ahead_seconds = -5, 5
        fleet.ivs.import_delay_seconds = import_seconds

        fleet.reconcile(slow)
        fleet.reconcile_at_deadline(fast)
        fleet.refresh_view(signer)
        fleet.sign(signer, ttl_seconds=300)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(rotator=RotatorWithFirstSigningEnd), BROKEN)],
    ids=["the end is cleared", "the first end stays"],
)
def test_a_key_that_signs_again_after_a_rollback_drains_in_full(
    *, parts: Parts, outcome: bool
) -> None:
    """Rule 9: the drain of 440 s counts from the second end of signing."""
    with Fleet(parts) as fleet:
        signer, host = fleet.replicas[0], fleet.rotators[0]
        fleet.create_active_and_standby()
        first = _active_key_id(fleet)
        _rotate(fleet, host)

        fleet.rollback(host)
        fleet.reconcile(host)
        assert _active_key_id(fleet) == first
        fleet.advance(TERMS.drain_seconds)
        fleet.reconcile(host)
        fleet.refresh_view(signer)
        fleet.sign(signer, ttl_seconds=300)
        _rotate(fleet, host)
        fleet.reconcile_at_deadline(host)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(rotator=RotatorThatRollsBackADeletion), BROKEN)],
    ids=["refused", "rolled back"],
)
def test_a_rollback_does_not_race_with_a_deletion(*, parts: Parts, outcome: bool) -> None:
    """Rule 9: another host has decided to delete the key, and is parked before the call."""
    with Fleet(parts) as fleet:
        signer, (deleting, other) = fleet.replicas[0], fleet.rotators
        fleet.create_active_and_standby()
        first = _active_key_id(fleet)
        _rotate(fleet, other)
        fleet.advance(TERMS.drain_seconds)

        fleet.reconcile(deleting, points=0)
        while not _is_to_be_deleted(fleet, first):
            fleet.resume(deleting, 0, points=1)
        fleet.rollback(other)
        fleet.refresh_view(signer)
        fleet.sign(signer, ttl_seconds=300)
        fleet.resume(deleting, 0, points=100)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert (_active_key_id(fleet) == first) is outcome


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(rotator=RotatorWithoutFormerTerms), BROKEN)],
    ids=["kept", "forgotten"],
)
def test_lowering_the_terms_does_not_shorten_the_drain_of_earlier_tokens(
    *, parts: Parts, outcome: bool
) -> None:
    """Rule 4: a replica may sign from the ring before for 120 s, with a lifetime of 300 s."""
    with Fleet(parts) as fleet:
        signer, host = fleet.replicas[0], fleet.rotators[0]
        fleet.create_active_and_standby()
        host.terms = LOW

        fleet.lower_terms(host)
        _rotate(fleet, host)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_deadline(host)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert fleet.report(0).retirements == 1


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(rotator=RotatorWithEarlyTermsEnd), BROKEN)],
    ids=["two writes", "one write"],
)
def test_a_slow_save_of_the_lower_terms_does_not_shorten_a_drain(
    *, parts: Parts, outcome: bool
) -> None:
    """Rule 4: each call takes a minute, so a time read before the save is a minute early."""
    with Fleet(parts) as fleet:
        signer, host = fleet.replicas[0], fleet.rotators[0]
        fleet.create_active_and_standby()
        host.terms = LOW

        fleet.lower_terms(host, points=0)
        while not _is_lowered(fleet):
            fleet.advance(60)
            fleet.refresh_view(signer)
            fleet.resume(host, 0, points=1)
        if host.actors:
            fleet.resume(host, 0, points=100)
        _rotate(fleet, host)
        fleet.advance(120)
        fleet.sign(signer, ttl_seconds=300)
        fleet.reconcile_at_deadline(host)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == 1
        assert fleet.report(0).retirements == 1


def _is_lowered(fleet: Fleet) -> bool:
    ring = fleet.ring
    return ring is not None and ring.terms == LOW


def _rotate(fleet: Fleet, host: RotatorHost) -> None:
    fleet.request_rotation(host, force=False)
    fleet.reconcile(host)


def _active_key_id(fleet: Fleet) -> str:
    ring = fleet.ring
    assert ring is not None
    return ring.require_active().key_id


def _is_to_be_deleted(fleet: Fleet, key_id: str) -> bool:
    ring = fleet.ring
    return ring is not None and ring.pair(key_id).delete_intended_at is not None


def _is_retiring(fleet: Fleet) -> bool:
    ring = fleet.ring
    return ring is not None and any(pair.state == "retiring" for pair in ring.pairs)
