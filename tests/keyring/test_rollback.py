"""Rule 9: a rollback switches back to the key pair that the last switch replaced."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, REGION, TERMS, held, pair, ring
from tests.keyring.world import World, world_in
from tests.support.clock import EXAMPLE_NOW
from tests.support.documents import some_document
from tokensvc.errors import (
    CustodyDamaged,
    NoSigningKey,
    RotationRefused,
    StateConflict,
)
from tokensvc.keyring.invariants import broken_invariants
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.reconcile_loop import ReconcileLoop
from tokensvc.keyring.ring_document import decode_ring, encode_ring
from tokensvc.keyring.rollback import rollback_target, rolled_back
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.rotation_requests import RotationPause, RotationRequest
from tokensvc.keyring.steps import Action
from tokensvc.token.p384 import Signer

PUBLISHED, ACTIVE, RETIRING, RETIRED = (
    KeyState.PUBLISHED,
    KeyState.ACTIVE,
    KeyState.RETIRING,
    KeyState.RETIRED,
)
NOW = EXAMPLE_NOW
ACT = Act(NOW, "ann@desk", "players fail")


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def rotated(*more_switches_to: str) -> Ring:
    """A ring that has switched from a to b, then to each of the others, a second apart."""
    names = ("a", "b", *more_switches_to)
    at = ring(pair("a", ACTIVE), *(pair(name, PUBLISHED) for name in names[1:]))
    for second, (before, after) in enumerate(itertools.pairwise(names)):
        at = at.switched_to(after, Act(NOW + second, "ann@desk", "monthly"))
        at = at.signing_ended(before, NOW + second)
    return at


def rotate(world: World) -> tuple[str, str]:
    """Switch from the active key to the standby; the key IDs of both, in this order."""
    world.copy_active_and_standby()
    old, new = (each.key_id for each in world.ring.pairs)
    world.rotator().request_rotation("monthly")
    world.reconcile()
    return old, new


def active_key_id(world: World) -> str:
    """The key that signs."""
    return world.ring.require_active().key_id


# --- The rules


def test_a_rollback_activates_the_replaced_key_and_forgets_its_end_of_signing() -> None:
    """With the old end of signing, the drain after the next switch would be too short."""
    after = rolled_back(rotated(), "a", ACT)

    assert [each.state for each in after.pairs] == [ACTIVE, RETIRING]
    assert after.pair("a").activated_at == NOW
    assert after.pair("a").signing_ended_at is None
    assert after.pair("b").signing_ended_at is None  # Rule 4: that is a second write.
    assert broken_invariants(after) == ()
    step = next_step(after, held("a", "b"), NOW)
    assert getattr(step, "action", None) is Action.RECORD_SIGNING_END


def test_a_rollback_cancels_a_waiting_request_and_pauses_scheduled_rotation() -> None:
    """Both would lead away from the key that was chosen; an operator's rotation ends the pause."""
    waiting = rotated().with_rotation_request(RotationRequest(NOW, "bob@desk", "monthly"))

    after = rolled_back(waiting, "a", ACT)

    assert after.rotation_request is None
    assert after.rotation_pause == RotationPause(NOW, "ann@desk", "players fail")
    urgent = RotationRequest(NOW, "ann@desk", "laptop lost", is_urgent=True)
    assert after.with_rotation_request(urgent).rotation_pause == after.rotation_pause
    by_hand = RotationRequest(NOW, "ann@desk", "fixed")
    assert after.with_rotation_request(by_hand).rotation_pause is None


def test_the_target_is_the_key_that_the_last_switch_replaced() -> None:
    """Of two draining keys the one that signed last; after a rollback the one it left."""
    assert rollback_target(rotated(), NOW).key_id == "a"
    twice = rotated("c")
    assert rollback_target(twice, NOW).key_id == "b"
    assert rollback_target(rolled_back(twice, "b", ACT), NOW).key_id == "c"


@pytest.mark.parametrize(
    "changed",
    [
        rotated().compromised(["a"], ACT),
        rotated().delete_intended("a", NOW),
        rotated().delete_intended("a", NOW).retired("a", ACT),
        ring(pair("b", ACTIVE)),
        # Published 59 s ago: an urgent switch did not wait for the publish delay.
        ring(pair("a", ACTIVE, published_at=NOW - 59), pair("b", PUBLISHED)).switched_to("b", ACT),
    ],
    ids=["compromised", "to be deleted", "retired", "nothing replaced", "just published"],
)
def test_a_key_that_may_not_sign_again_is_refused(changed: Ring) -> None:
    """Rule 9, and rule 2's delay."""
    with pytest.raises(RotationRefused):
        rollback_target(changed, NOW)


def test_without_an_active_key_there_is_nothing_to_switch_back_from() -> None:
    """A region that was decommissioned and configured again gets its first key from reconcile."""
    with pytest.raises(NoSigningKey):
        rollback_target(ring(pair("a", ACTIVE)).stopped("a", ACT), NOW)


@pytest.mark.parametrize("left_over", ["signing_ended_at", "delete_intended_at"])
def test_an_active_key_has_no_end(left_over: str) -> None:
    """An invariant, checked at each save: the next drain would delete a key that still signs."""
    assert broken_invariants(ring(pair("a", ACTIVE))) == ()
    assert broken_invariants(ring(pair("a", ACTIVE, **{left_over: NOW}))) != ()


def test_the_pause_is_stored_and_a_ring_without_one_is_stored_as_before() -> None:
    """An earlier release refuses members that it does not know."""
    paused = rolled_back(rotated(), "a", ACT)

    assert decode_ring(some_document(encode_ring(paused))) == paused
    assert "rotation_pause" not in encode_ring(rotated())


# --- With custody, IVS and state


def test_viewers_keep_playing_through_a_rollback_and_the_next_rotation(world: World) -> None:
    """The key that signed twice drains once more, from the end of its second signing."""
    old, new = rotate(world)
    world.clock.advance(1_000)
    version = world.state.version(f"ring:{REGION}")

    assert world.rotator().rollback("players fail").key_id == old
    assert world.state.version(f"ring:{REGION}").number == version.number + 1  # One save.
    world.reconcile()
    assert active_key_id(world) == old
    assert world.ring.pair(new).signing_ended_at == EXAMPLE_NOW + 120 + 1_000
    assert [each.state for each in world.ring.pairs] == [ACTIVE, RETIRING, PUBLISHED]

    world.clock.advance(DRAIN_SECONDS)
    world.reconcile()
    assert active_key_id(world) == old
    assert world.ring.pair(new).state is RETIRED
    assert world.ring.pair(old).signing_ended_at is None

    world.rotator().request_rotation("fixed")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS - 1)
    world.reconcile()
    assert old in {each.name.removeprefix("tokensvc-") for each in world.key_pairs.held()}
    world.clock.advance(1)
    world.reconcile()
    assert world.ring.pair(old).state is RETIRED


def test_a_worker_signs_with_the_earlier_key_after_a_rollback(world: World) -> None:
    """Workers keep retiring keys loaded: a rollback needs the private key of one."""
    old, new = rotate(world)
    with world.view() as worker:
        assert worker.active(world.moment()).key_id == new
        for file in (world.folder / "keys").glob(f"*{old}*"):
            file.rename(file.with_suffix(".away"))  # Signs from memory now, or not at all.

        world.store.save(rolled_back(world.ring, old, ACT), replacing=world.store.load().version)  # type: ignore[union-attr] # There is a ring.
        worker.refresh()

        assert worker.active(world.moment()).key_id == old


def test_a_damaged_private_key_prevents_the_rollback(world: World) -> None:
    """Rule 2's self-check, for a key that has signed before too."""
    old, new = rotate(world)
    (private_key,) = (world.folder / "keys").glob(f"*{old}*")
    private_key.write_text("damaged")

    with pytest.raises(CustodyDamaged):
        world.rotator().rollback("players fail")

    assert active_key_id(world) == new


def test_a_key_that_ivs_does_not_hold_prevents_the_rollback(world: World) -> None:
    """Its tokens would be refused."""
    old, new = rotate(world)
    arn = world.ring.pair(old).arn
    assert arn is not None
    world.key_pairs.delete(arn)

    with pytest.raises(RotationRefused):
        world.rotator().rollback("players fail")

    assert active_key_id(world) == new


def test_a_refused_canary_prevents_the_rollback(world: World) -> None:
    """The edge may have forgotten the key, whatever the control plane says."""
    _, new = rotate(world)

    def refuse(signer: Signer) -> None:
        del signer
        raise RotationRefused("The edge answers 403.")

    with pytest.raises(RotationRefused, match="403"):
        world.rotator(canary=refuse).rollback("players fail")

    assert active_key_id(world) == new


def test_a_rollback_is_possible_while_ivs_lacks_the_active_key(world: World) -> None:
    """Someone deleted the key that signs: the earlier one plays, and a person has decided."""
    old, new = rotate(world)
    arn = world.ring.pair(new).arn
    assert arn is not None
    world.key_pairs.delete(arn)

    world.rotator().rollback("deleted by mistake")

    assert active_key_id(world) == old


def test_of_a_rollback_and_a_deletion_one_wins(world: World) -> None:
    """The rotator that decides to delete the key saves first: the rollback changes nothing."""
    old, new = rotate(world)
    world.clock.advance(DRAIN_SECONDS - 1)
    late = world.rotator()

    def delete_meanwhile(signer: Signer) -> None:
        del signer
        world.clock.advance(1)
        world.reconcile()

    with pytest.raises(StateConflict):
        world.rotator(canary=delete_meanwhile).rollback("players fail")
    with pytest.raises(RotationRefused):
        late.rollback("players fail")

    assert active_key_id(world) == new
    assert world.ring.pair(old).state is RETIRED


def test_a_scheduled_rotation_waits_until_an_operator_has_rotated(world: World) -> None:
    """A scheduled job must not switch back to the key that was bad."""
    old, _ = rotate(world)
    world.rotator().rollback("players fail")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    world.reconcile()
    loop = ReconcileLoop(
        [REGION], lambda _: world.rotator(), world.clock, lambda _: None, rotate_after_seconds=60
    )

    loop.run_once()
    assert active_key_id(world) == old

    world.rotator().request_rotation("fixed")
    loop.run_once()
    standby = active_key_id(world)
    assert standby != old
    world.clock.advance(DRAIN_SECONDS)
    loop.run_once()  # Deletes the drained key and makes room for the next one.
    world.clock.advance(TERMS.publish_delay_seconds)
    loop.run_once()
    assert active_key_id(world) != standby
