"""A rotator whose clock differs from IVS's: nothing is done that a wrong clock makes cost tokens.

The clocks are set apart by the offset of Local IVS, whose answers have the dates of its own clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import DRAIN_SECONDS, REGION, TERMS
from tests.keyring.world import LossyKeyPairs, World, world_in
from tests.support.faulty_server import Answer, faulty_server, refusal
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import ClockOff, IvsRefused, IvsUnavailable
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.rotator import Rotator
from tokensvc.token.p384 import PublicKey

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
FIVE_MINUTES = 300


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def states(world: World) -> list[KeyState]:
    """The states of the ring's key pairs, oldest first."""
    return [pair.state for pair in world.ring.pairs]


def set_ahead(world: World, seconds: float) -> None:
    """Set the rotator's clock that far ahead of IVS's."""
    world.ivs.set_clock_offset(-seconds)


def begin_drain(world: World) -> None:
    """Rotate, so that the first key pair drains and the second one signs."""
    world.copy_active_and_standby()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    assert states(world) == [RETIRING, ACTIVE, PUBLISHED]


@pytest.mark.parametrize("off_seconds", [12, FIVE_MINUTES, -FIVE_MINUTES])
def test_nothing_is_deleted_or_destroyed_by_a_wrong_clock(world: World, off_seconds: int) -> None:
    """12 s off is beyond the 10 s that are allowed; when the clock is right, the drain ends."""
    begin_drain(world)
    world.clock.advance(DRAIN_SECONDS)
    set_ahead(world, off_seconds)
    before = world.ring

    with pytest.raises(ClockOff) as refused:
        world.reconcile()

    assert refused.value.code == "clock_off"
    assert world.ring == before
    assert len(world.key_pairs.held()) == 3
    assert len(world.custody.key_ids()) == 3
    set_ahead(world, 0)
    world.reconcile()
    assert states(world) == [RETIRED, ACTIVE, PUBLISHED]


def test_a_clock_within_the_skew_deletes(world: World) -> None:
    """10 s ahead: at most the skew, whatever the fraction of the second."""
    begin_drain(world)
    world.clock.advance(DRAIN_SECONDS)
    set_ahead(world, 10)

    world.reconcile()

    assert states(world) == [RETIRED, ACTIVE, PUBLISHED]


def test_a_started_delete_waits_for_a_right_clock(world: World) -> None:
    """Its intent was saved while the clock was right; the delete can't be undone either."""
    begin_drain(world)
    world.clock.advance(DRAIN_SECONDS)
    fault = {"operation": "DeletePlaybackKeyPair", "kind": "error", "error": "PendingVerification"}
    urllib3.request("POST", f"{world.ivs.url}/_local/faults", json=fault)
    with pytest.raises(IvsRefused):
        world.reconcile()
    assert world.ring.pairs[0].delete_intended_at is not None
    set_ahead(world, FIVE_MINUTES)

    with pytest.raises(ClockOff):
        world.reconcile()

    assert len(world.key_pairs.held()) == 3


def test_a_private_key_is_not_destroyed_by_a_wrong_clock(world: World) -> None:
    """The delete is done and its answer is lost: only the private key is left."""
    begin_drain(world)
    world.clock.advance(DRAIN_SECONDS)
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=LossyKeyPairs(world.key_pairs, {"delete"})))
    set_ahead(world, FIVE_MINUTES)

    with pytest.raises(ClockOff):
        world.reconcile()

    assert states(world) == [RETIRED, ACTIVE, PUBLISHED]
    assert len(world.custody.key_ids()) == 3
    set_ahead(world, 0)
    world.reconcile()
    assert len(world.custody.key_ids()) == 2


def test_no_time_of_an_import_is_recorded_by_a_wrong_clock(world: World) -> None:
    """The publish delay would rest on it. A clock that is known to be off imports nothing."""
    set_ahead(world, -FIVE_MINUTES)

    with pytest.raises(ClockOff):
        world.reconcile()

    assert states(world) == [PENDING]
    assert world.key_pairs.held() == ()
    set_ahead(world, 0)
    world.reconcile()
    assert world.ring.pairs[0].published_at == world.clock.now()


def test_an_import_that_shows_a_wrong_clock_is_recorded_later(world: World) -> None:
    """`keys import` calls IVS first for the import; `reconcile` finds it in IVS."""
    rotator = world.rotator()
    key_id = rotator.generate("by hand").key_id
    set_ahead(world, -FIVE_MINUTES)

    with pytest.raises(ClockOff):
        rotator.import_pair(key_id, "by hand")

    assert states(world) == [PENDING]
    assert len(world.key_pairs.held()) == 1
    set_ahead(world, 0)
    world.reconcile()
    assert states(world) == [PUBLISHED]
    assert len(world.key_pairs.held()) == 1
    assert world.ring.pairs[0].published_at == world.clock.now()


def test_no_switch_rests_on_a_wrong_clock(world: World) -> None:
    """A clock that is ahead would end the publish delay early."""
    world.reconcile()
    world.clock.advance(TERMS.publish_delay_seconds)
    set_ahead(world, FIVE_MINUTES)

    with pytest.raises(ClockOff):
        world.reconcile()

    assert states(world) == [PUBLISHED]


def test_an_adopted_pair_needs_a_right_clock(world: World) -> None:
    """Its `published_at` is recorded too."""
    key = ec.generate_private_key(ec.SECP384R1())
    held = world.key_pairs.import_pair(PublicKey.of(key.public_key()), name="old", tags={})
    set_ahead(world, -FIVE_MINUTES)

    with pytest.raises(ClockOff):
        world.rotator().adopt(key, held.arn, "moved here")

    assert world.ring.pairs == ()
    assert not world.custody.key_ids()
    set_ahead(world, 0)
    world.rotator().adopt(key, held.arn, "moved here")
    assert states(world) == [PUBLISHED]


@pytest.mark.parametrize("off_seconds", [FIVE_MINUTES, -FIVE_MINUTES])
def test_an_emergency_ends_with_a_wrong_clock(world: World, off_seconds: int) -> None:
    """Rule 10: the compromised key is replaced and removed. Only the next standby waits."""
    world.copy_active_and_standby()
    compromised, standby = (pair.key_id for pair in world.ring.pairs)
    set_ahead(world, off_seconds)
    world.revoke([compromised], "laptop lost")

    with pytest.raises(ClockOff):
        world.reconcile()

    assert states(world) == [RETIRED, ACTIVE, PENDING]
    assert world.ring.require_active().key_id == standby
    assert compromised not in world.custody.key_ids()
    assert [one.name for one in world.key_pairs.held()] == [f"tokensvc-{standby}"]


def test_an_emergency_without_a_standby_ends_with_a_wrong_clock(world: World) -> None:
    """A fresh key pair is imported and signs at once."""
    world.copy_active_and_standby()
    compromised = [pair.key_id for pair in world.ring.pairs]
    set_ahead(world, FIVE_MINUTES)
    world.revoke(compromised, "laptop lost")

    with pytest.raises(ClockOff):
        world.reconcile()

    assert states(world) == [RETIRED, RETIRED, ACTIVE, PENDING]
    assert len(world.key_pairs.held()) == 1


@contextmanager
def rotator_against(world: World, answer: Answer, *, ahead_seconds: float) -> Iterator[Rotator]:
    """A rotator that gets this answer from IVS, dated by the machine's clock."""
    world.clock.jump_wall(time.time() + ahead_seconds - world.clock.now())
    with (
        faulty_server(answer) as server,
        pytest.MonkeyPatch.context() as monkeypatch,
        closing(AwsClients(AwsTerms(max_attempts=1), clock=world.clock)) as clients,
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", server.url)
        yield world.rotator(key_pairs=IvsKeyPairs(clients, REGION))


def test_a_signature_that_is_refused_for_the_clock_is_a_wrong_clock(world: World) -> None:
    """AWS refuses it without naming the clock; the date of the refusal shows it."""
    refused = refusal(403, "InvalidSignatureException")
    with (
        rotator_against(world, refused, ahead_seconds=1_200) as rotator,
        pytest.raises(ClockOff) as found,
    ):
        world.reconcile(rotator)
    assert isinstance(found.value.__cause__, IvsUnavailable)


def test_a_refused_signature_with_a_right_clock_stays_a_refused_signature(world: World) -> None:
    """The clock is not blamed for wrong credentials."""
    refused = refusal(403, "InvalidSignatureException")
    with (
        rotator_against(world, refused, ahead_seconds=0) as rotator,
        pytest.raises(IvsUnavailable),
    ):
        world.reconcile(rotator)


def test_an_ivs_without_dates_changes_nothing(world: World) -> None:
    """A server that is not AWS may stand for IVS; an unknown clock is not a right one."""
    listed = Answer(200, {"keyPairs": []})
    with (
        rotator_against(world, listed, ahead_seconds=0) as rotator,
        pytest.raises(IvsUnavailable),
    ):
        world.reconcile(rotator)
    assert states(world) == [PENDING]
