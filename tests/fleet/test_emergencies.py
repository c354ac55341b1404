"""Emergencies in the simulated fleet: they end, whatever other processes do meanwhile (rule 10)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fleet.fleet import Fleet
from tests.fleet.links import Condition
from tests.fleet.mutants import ViewThatIgnoresCompromises
from tests.fleet.processes import Parts
from tokensvc.keyring.model import KeyPair, KeyState

BROKEN = True
PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


def states(fleet: Fleet) -> list[KeyState]:
    """The states in the stored ring, oldest pair first."""
    assert fleet.ring is not None
    return [pair.state for pair in fleet.ring.pairs]


def _pending(fleet: Fleet) -> Sequence[KeyPair]:
    return () if fleet.ring is None else fleet.ring.in_state(PENDING)


def _fingerprints(fleet: Fleet) -> set[str]:
    return {pair.fingerprint for pair in fleet.ivs.held.values()}


def test_a_standby_without_a_private_key_does_not_keep_a_compromised_key_active() -> None:
    """It is discarded, a new key signs, and IVS holds only what the ring needs."""
    with Fleet(Parts()) as fleet:
        host, replica = fleet.rotators[0], fleet.replicas[0]
        fleet.create_active_and_standby()
        fleet.spoil_the_standby()

        fleet.revoke(host, 0)
        fleet.reconcile(host)
        fleet.refresh_view(replica)
        fleet.sign(replica, ttl_seconds=300)

        assert states(fleet) == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
        assert len(fleet.ivs.held) == 2
        assert fleet.report(0).tokens == 1
        assert fleet.refusals == 0


@pytest.mark.parametrize("condition", [Condition.DOWN, Condition.LOSES_ANSWERS])
def test_a_compromised_key_signs_no_more_while_ivs_does_not_answer(condition: Condition) -> None:
    """The standby takes over; IVS deletes the compromised key when it answers again."""
    with Fleet(Parts()) as fleet:
        host = fleet.rotators[0]
        fleet.create_active_and_standby()
        host.ivs_link.condition = condition

        fleet.revoke(host, 0)
        fleet.reconcile(host)

        assert states(fleet) == [RETIRING, ACTIVE]
        host.ivs_link.condition = Condition.UP
        fleet.reconcile(host)
        assert states(fleet) == [RETIRED, ACTIVE, PUBLISHED]


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [(Parts(), not BROKEN), (Parts(view=ViewThatIgnoresCompromises), BROKEN)],
    ids=["refused", "signs"],
)
def test_a_compromised_key_without_a_successor_signs_no_more_while_ivs_is_away(
    *, parts: Parts, outcome: bool
) -> None:
    """No other key pair can sign until IVS has imported one: safety comes before availability."""
    with Fleet(parts) as fleet:
        host, replica = fleet.rotators[0], fleet.replicas[0]
        fleet.create_active_and_standby()
        fleet.spoil_the_standby()
        host.ivs_link.condition = Condition.DOWN

        fleet.revoke(host, 0)
        fleet.reconcile(host)
        fleet.refresh_view(replica)
        fleet.sign(replica, ttl_seconds=300)

        assert bool(fleet.broken) is outcome
        assert fleet.report(0).tokens == (1 if outcome is BROKEN else 0)
        host.ivs_link.condition = Condition.UP
        fleet.reconcile(host)
        fleet.refresh_view(replica)
        fleet.sign(replica, ttl_seconds=300)
        assert states(fleet) == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
        assert fleet.report(0).tokens == (2 if outcome is BROKEN else 1)


def test_an_import_by_a_suspended_rotator_brings_no_revoked_key_back() -> None:
    """It slept before its call to IVS, and the pair was revoked and retired meanwhile."""
    with Fleet(Parts()) as fleet:
        sleeper, other = fleet.rotators
        fleet.create_active_and_standby()
        fleet.revoke(other, 1)
        fleet.reconcile(sleeper, points=0)
        while not any(pair.public_key for pair in _pending(fleet)):
            fleet.resume(sleeper, 0, points=1)

        (pending,) = _pending(fleet)
        fleet.revoke(other, 1)
        fleet.reconcile(other)
        assert fleet.ring is not None
        assert fleet.ring.pair(pending.key_id).state is RETIRED
        fleet.resume(sleeper, 0, points=100)
        assert pending.public_key is not None
        assert pending.public_key.fingerprint in _fingerprints(fleet)

        fleet.reconcile(other)

        assert pending.public_key.fingerprint not in _fingerprints(fleet)
        assert [state for state in states(fleet) if state is not RETIRED] == [ACTIVE, PUBLISHED]
