"""A ring that was restored from a backup: what may have signed meanwhile drains (rule 4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.keyring.rings import DRAIN_SECONDS, held, pair, ring
from tests.keyring.world import World, world_in
from tests.support.clock import EXAMPLE_NOW
from tests.support.documents import some_document
from tokensvc.errors import ClockOff
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.ring_document import decode_ring, encode_ring
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.steps import Action, Done, Step, WaitUntil

NOW = EXAMPLE_NOW
PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
TO_DELETE = pair("b", RETIRING, delete_intended_at=NOW - 5, signing_ended_at=NOW - 4_000)


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def restored(*pairs: KeyPair, at: float | None = NOW) -> Ring:
    """A ring of those pairs, restored at that time."""
    return dataclasses.replace(ring(*pairs), restoration=Restoration("ann@desk", at))


def step_of(of: Ring, *, at: float = NOW) -> Step | WaitUntil | Done:
    """The next step when IVS holds every pair that is not retired, and no standby is kept."""
    in_ivs = [one.key_id for one in of.pairs if one.state is not RETIRED]
    return next_step(of, held(*in_ivs), at, keep_standby=False)


def test_the_time_of_the_restore_is_recorded_before_anything_is_removed() -> None:
    """It is read after the save of the restored ring, like an end of signing."""
    unrecorded = restored(pair("a", ACTIVE), TO_DELETE, at=None)
    assert step_of(unrecorded) == Step(Action.RECORD_RESTORE)
    with pytest.raises(ClockOff):
        next_step(
            unrecorded,
            held("a", "b"),
            NOW,
            keep_standby=False,
            clock_refusal=ClockOff("5 minutes off"),
        )


@pytest.mark.parametrize(
    ("removed", "action"),
    [
        (TO_DELETE, Action.DELETE),
        (pair("b", RETIRED, deleted_at=NOW - 5), Action.DESTROY),
        (pair("b", RETIRING, signing_ended_at=NOW - 4_000), Action.INTEND_DELETE),
    ],
    ids=["delete", "destroy", "end of a drain"],
)
def test_nothing_is_removed_before_a_drain_from_the_restore(
    removed: KeyPair, action: Action
) -> None:
    """Without a restore each step would be due now."""
    assert step_of(ring(pair("a", ACTIVE), removed)) == Step(action, "b")
    after_restore = restored(pair("a", ACTIVE), removed)
    for at in (NOW, NOW + DRAIN_SECONDS - 1):
        wait = step_of(after_restore, at=at)
        assert isinstance(wait, WaitUntil)
        assert wait.at == NOW + DRAIN_SECONDS
    assert step_of(after_restore, at=NOW + DRAIN_SECONDS) == Step(action, "b")


def test_a_retired_pair_that_ivs_holds_is_not_deleted_before_either() -> None:
    """Its record may be older than what IVS holds."""
    retired = pair("b", RETIRED, deleted_at=NOW - 5, destroyed_on=NOW - 5)
    in_ivs = held("a", "b")
    wait = next_step(restored(pair("a", ACTIVE), retired), in_ivs, NOW, keep_standby=False)
    assert isinstance(wait, WaitUntil)
    assert wait.at == NOW + DRAIN_SECONDS


def test_a_compromised_pair_is_removed_at_once_also_beside_one_that_waits() -> None:
    """Rule 10 has no drain. The pair that waits has the older record."""
    compromised = dataclasses.replace(TO_DELETE, key_id="c", compromised_at=NOW, destroyed_on=NOW)
    other = pair("c", RETIRING)
    compromised = dataclasses.replace(compromised, public_key=other.public_key, arn=other.arn)
    assert step_of(restored(pair("a", ACTIVE), TO_DELETE, compromised)) == Step(Action.DELETE, "c")


def test_a_clock_that_is_off_does_not_delay_the_deletion_of_a_compromised_pair() -> None:
    """Nor does another pair, with the older record, whose deletion rests on the clock."""
    other = pair("c", RETIRING)
    compromised = dataclasses.replace(
        other, compromised_at=NOW, destroyed_on=NOW, delete_intended_at=NOW
    )
    step = next_step(
        ring(pair("a", ACTIVE), TO_DELETE, compromised),
        held("a", "b", "c"),
        NOW,
        clock_refusal=ClockOff("5 minutes off"),
    )
    assert step == Step(Action.DELETE, "c")


def test_a_slot_that_is_freed_later_is_waited_for() -> None:
    """A rotation that needs it is not refused for want of a slot."""
    requested = dataclasses.replace(
        ring(
            pair("a", ACTIVE),
            TO_DELETE,
            pair("c", RETIRING, delete_intended_at=NOW - 5, signing_ended_at=NOW - 4_000),
            rotation_request=True,
        ),
        restoration=Restoration("ann@desk", NOW),
    )
    wait = step_of(requested)
    assert isinstance(wait, WaitUntil)
    assert wait.at == NOW + DRAIN_SECONDS


def test_no_drain_has_an_end_until_the_time_is_recorded() -> None:
    """As for a key pair whose end of signing is not recorded."""
    draining = pair("b", RETIRING, signing_ended_at=NOW)
    assert drain_ends(restored(draining, at=None)) == []
    ((ends_at, _),) = drain_ends(restored(draining, at=NOW + 100))
    assert ends_at == NOW + 100 + DRAIN_SECONDS


def test_a_restore_is_stored_with_the_ring() -> None:
    """Also before its time is recorded."""
    for at in (None, NOW):
        stored = restored(pair("a", ACTIVE), at=at)
        assert decode_ring(some_document(encode_ring(stored))) == stored


def test_the_tokens_of_a_standby_that_signed_meanwhile_play_until_they_expire(
    world: World,
) -> None:
    """Its private key is lost, so it is discarded. IVS holds it until its tokens have expired."""
    world.copy_active_and_standby()
    backup = world.ring
    old, signed_meanwhile = backup.pairs
    rotator = world.rotator(keep_standby=False)
    rotator.request_rotation("monthly")
    world.reconcile(rotator)
    assert world.ring.require_active().key_id == signed_meanwhile.key_id
    restored_ring = dataclasses.replace(backup, restoration=Restoration("ann@desk"))
    stored = world.store.load()
    assert stored is not None
    world.store.save(restored_ring, replacing=stored.version)
    (world.folder / "keys" / f"{signed_meanwhile.key_id}.pem").unlink()

    world.clock.advance(30)
    world.revoke([old.key_id], "laptop lost")
    wait = world.reconcile()

    assert isinstance(wait, WaitUntil)
    assert wait.at == world.clock.now() + DRAIN_SECONDS
    in_ivs = {one.arn for one in world.key_pairs.held()}
    assert old.arn not in in_ivs
    assert signed_meanwhile.arn in in_ivs
    assert world.ring.require_active().key_id not in (old.key_id, signed_meanwhile.key_id)
    world.clock.advance(DRAIN_SECONDS)
    assert isinstance(world.reconcile(), Done)
    assert signed_meanwhile.arn not in {one.arn for one in world.key_pairs.held()}
