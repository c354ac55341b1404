"""Rotations with real parts, rule by rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import ACCOUNT_ID, DRAIN_SECONDS, REGION, TERMS
from tests.keyring.world import LosesAnswers, World, world_in
from tokensvc.arns import PlaybackKeyArn
from tokensvc.errors import (
    CustodyDamaged,
    InvalidKeyMaterial,
    IvsUnavailable,
    RotationRefused,
    StateConflict,
)
from tokensvc.keyring.model import KeyState, Ring, Terms
from tokensvc.keyring.rotation import Action, Done, Step, WaitUntil
from tokensvc.p384 import PublicKey, Signer

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


def fingerprints_in_ivs(world: World) -> set[str]:
    """What IVS holds."""
    return {held.fingerprint for held in world.key_pairs.held()}


def test_generate_makes_a_private_half_and_leaves_ivs_alone(world: World) -> None:
    """A generated pair is pending: custody has it, IVS does not."""
    pair = world.rotator().generate("first key")

    assert pair.state is PENDING
    assert list(world.custody.key_ids()) == [pair.key_id]
    assert world.key_pairs.held() == ()


def test_import_publishes_the_public_half_under_our_name_and_tags(world: World) -> None:
    """IVS's fingerprint is ours, and the tags tell which deployment and which key it is."""
    key_id = world.rotator().generate("first key").key_id

    pair = world.rotator().import_pair(key_id, "first key")

    (held,) = world.key_pairs.held()
    assert pair.state is PUBLISHED
    assert pair.public_key is not None
    assert (held.arn, held.fingerprint) == (pair.arn, pair.public_key.fingerprint)
    assert held.name == f"tokensvc-{key_id}"
    assert held.tags == {
        "tokensvc:deployment": world.ring.deployment,
        "tokensvc:key": key_id,
    }


def test_importing_twice_is_refused(world: World) -> None:
    """A published pair has been imported already."""
    key_id = world.rotator().generate("first key").key_id
    world.rotator().import_pair(key_id, "first key")

    with pytest.raises(RotationRefused, match="is published"):
        world.rotator().import_pair(key_id, "again")


def test_reconcile_brings_an_empty_region_to_an_active_key_and_a_standby(world: World) -> None:
    """Rules 2 and 9: not before the publish delay, and then at once with the next standby."""
    waits = world.reconcile()

    assert isinstance(waits, WaitUntil)
    assert waits.at == world.clock.now() + 60
    assert states(world.ring) == [PUBLISHED]

    world.clock.advance(59)
    world.reconcile()
    assert states(world.ring) == [PUBLISHED]

    world.clock.advance(1)
    assert isinstance(world.reconcile(), Done)
    assert states(world.ring) == [ACTIVE, PUBLISHED]
    assert len(world.key_pairs.held()) == 2


def test_a_rotation_from_the_wish_to_the_last_trace(world: World) -> None:
    """The standby signs, the old key drains for 3,740 s, then leaves IVS and custody."""
    world.settle()
    old, standby = world.ring.pairs
    world.rotator().request_rotation("monthly")

    world.reconcile()

    assert states(world.ring) == [RETIRING, ACTIVE, PUBLISHED]
    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    assert len(world.key_pairs.held()) == 3

    world.clock.advance(DRAIN_SECONDS - 1)
    world.reconcile()
    assert world.ring.pair(old.key_id).state is RETIRING
    assert len(world.key_pairs.held()) == 3

    world.clock.advance(1)
    assert isinstance(world.reconcile(), Done)
    assert world.ring.pair(old.key_id).state is RETIRED
    assert old.public_key is not None
    assert old.public_key.fingerprint not in fingerprints_in_ivs(world)
    assert old.key_id not in world.custody.key_ids()
    assert len(world.custody.key_ids()) == 2


def test_which_key_signs_follows_the_rotation(world: World) -> None:
    """A worker's view signs with the old key before, and with the standby's after, a refresh."""
    world.settle()
    old, standby = (pair.public_key for pair in world.ring.pairs)
    with world.view() as view:
        assert view.active(world.moment()).signer.public_key == old

        world.rotator().request_rotation("monthly")
        world.reconcile()
        view.refresh()

        assert view.active(world.moment()).signer.public_key == standby


def test_an_import_whose_answer_was_lost_is_adopted_and_never_doubled(world: World) -> None:
    """Rule 6: the next reconcile finds the pair by its fingerprint."""
    lossy = LosesAnswers(world.key_pairs, {"import"})
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=lossy))
    assert states(world.ring) == [PENDING]

    world.reconcile()

    assert states(world.ring) == [PUBLISHED]
    assert len(world.key_pairs.held()) == 1


def test_importing_again_after_a_lost_answer_is_recognised(world: World) -> None:
    """`keys import` tried again meets a conflict in IVS, and finds the pair to be its own."""
    key_id = world.rotator().generate("first key").key_id
    lossy = LosesAnswers(world.key_pairs, {"import"})
    with pytest.raises(IvsUnavailable):
        world.rotator(key_pairs=lossy).import_pair(key_id, "first key")

    assert world.rotator().import_pair(key_id, "first key").state is PUBLISHED
    assert len(world.key_pairs.held()) == 1


def test_a_delete_whose_answer_was_lost_is_finished(world: World) -> None:
    """Rule 8: the private half is destroyed only once IVS is seen without the pair."""
    world.settle()
    old = world.ring.pairs[0]
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=LosesAnswers(world.key_pairs, {"delete"})))
    assert world.ring.pair(old.key_id).state is RETIRING
    assert old.key_id in world.custody.key_ids()

    world.reconcile()

    assert world.ring.pair(old.key_id).state is RETIRED
    assert old.key_id not in world.custody.key_ids()


def test_a_stranger_who_takes_the_last_slot_is_named(world: World) -> None:
    """Rule 5: the refusal lists all three, and the ring goes on once a slot is free."""
    world.settle()
    stranger = world.ivs.client().import_playback_key_pair(
        publicKeyMaterial=PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key()).pem,
        name="someone-else",
    )["keyPair"]["arn"]
    world.rotator().request_rotation("monthly")

    world.reconcile()  # The standby takes over; there is no slot for the next one yet.
    assert states(world.ring) == [RETIRING, ACTIVE]

    world.clock.advance(DRAIN_SECONDS)
    world.reconcile()
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]
    assert stranger in {str(held.arn) for held in world.key_pairs.held()}


def test_a_region_full_of_strangers_refuses_with_their_names(world: World) -> None:
    """Rule 5: nothing is deleted, and each stranger is named with the call that frees its slot."""
    for n in range(3):
        key = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
        world.ivs.client().import_playback_key_pair(publicKeyMaterial=key.pem, name=f"other-{n}")

    with pytest.raises(RotationRefused) as refusal:
        world.reconcile()

    assert all(
        f"(other-{n}, IVS tells no age) is a foreign key pair" in refusal.value.detail
        for n in range(3)
    )
    assert len(world.key_pairs.held()) == 3


def test_a_pair_with_another_fingerprint_under_our_arn_is_not_deleted(world: World) -> None:
    """Rule 5: a record from an old copy of the state must not delete what it names."""
    world.settle()
    old = world.ring.pairs[0]
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    stored = world.store.load()
    assert stored is not None
    forged = stored.ring.pair(old.key_id)
    other = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    pairs = tuple(
        dataclasses.replace(pair, public_key=other) if pair == forged else pair
        for pair in stored.ring.pairs
    )
    world.store.save(dataclasses.replace(stored.ring, pairs=pairs), replacing=stored.version)
    world.ivs.client().untag_resource(
        resourceArn=str(old.arn), tagKeys=["tokensvc:deployment", "tokensvc:key"]
    )

    with pytest.raises(RotationRefused, match="not ours to touch"):
        world.reconcile()
    assert len(world.key_pairs.held()) == 3


def test_the_switch_is_held_back_when_the_private_half_is_damaged(world: World) -> None:
    """Rule 2: the self-check fails, and the key that signs goes on."""
    world.settle()
    active, standby = world.ring.pairs
    (world.folder / "keys" / f"{standby.key_id}.pem").write_bytes(b"damaged")
    world.rotator().request_rotation("monthly")

    with pytest.raises(CustodyDamaged):
        world.reconcile()

    assert world.ring.active == active


def test_the_switch_is_held_back_when_ivs_lost_the_standby(world: World) -> None:
    """Rule 2: a key that IVS no longer holds would sign tokens that IVS refuses."""
    world.settle()
    active, standby = world.ring.pairs
    world.ivs.client().delete_playback_key_pair(arn=str(standby.arn))
    world.rotator().request_rotation("monthly")

    with pytest.raises(RotationRefused, match="no longer holds"):
        world.reconcile()

    assert world.ring.active == active


def test_the_switch_is_held_back_by_the_canary_and_goes_on_after_it(world: World) -> None:
    """Rule 2: the canary is asked with the standby's own key, and only its yes lets it sign."""
    world.settle()
    active, standby = world.ring.pairs
    asked: list[PublicKey] = []

    def refuses_once(signer: Signer) -> None:
        asked.append(signer.public_key)
        if len(asked) == 1:
            raise RotationRefused("The edge answers 403.")

    world.rotator().request_rotation("monthly")
    with pytest.raises(RotationRefused, match="403"):
        world.reconcile(world.rotator(canary=refuses_once))
    assert world.ring.active == active

    world.reconcile(world.rotator(canary=refuses_once))
    assert world.ring.active is not None
    assert world.ring.active.key_id == standby.key_id
    assert asked == [standby.public_key, standby.public_key]


def test_a_second_rotation_during_a_drain_is_refused_with_the_time_left(world: World) -> None:
    """Rule 9: 3,740 s from the recorded end of signing."""
    world.settle()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(740)

    with pytest.raises(RotationRefused, match="3000 s from now"):
        world.rotator().request_rotation("too soon")


def test_of_two_rotators_one_wins_and_the_other_says_so(world: World) -> None:
    """Rule 7: what the loser read is no longer the ring, so it writes nothing."""
    world.settle()
    slow = world.rotator()
    raced = False

    def race(_: Step) -> None:
        nonlocal raced
        if not raced:
            raced = True
            world.reconcile()

    world.rotator().request_rotation("monthly")
    with pytest.raises(StateConflict):
        slow.reconcile(race)

    assert states(world.ring) == [RETIRING, ACTIVE, PUBLISHED]
    assert len(world.key_pairs.held()) == 3


def test_a_raised_setting_raises_the_document_and_a_lowered_one_does_not(world: World) -> None:
    """Rule 4: the marks only grow, so that tokens already out keep their drain."""
    world.rotator().ring()
    world.rotator(terms=Terms(60, 300, 7_200, 10)).ring()
    world.rotator(terms=TERMS).ring()

    assert world.ring.terms == Terms(60, 300, 7_200, 10)


def test_a_ring_is_bound_to_its_account(world: World) -> None:
    """A program set up for another account touches nothing."""
    world.settle()

    with pytest.raises(RotationRefused, match="belongs to account 123456789012"):
        world.rotator(account_id="999999999999").reconcile(print)


def test_adopting_an_imported_key_makes_it_the_standby(world: World) -> None:
    """Everyone's first day: the private half joins, and signs after the publish delay."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    held = world.key_pairs.import_pair(public_key, name="by-hand", tags={})

    pair = world.rotator().adopt(private_key, held.arn, "first day", longest_ttl_seconds=86_400)

    assert (pair.state, pair.arn, pair.adopted) == (PUBLISHED, held.arn, True)
    assert world.ring.terms.longest_ttl_seconds == 86_400
    world.clock.advance(60)
    world.reconcile()
    with world.view() as view:
        assert view.active(world.moment()).signer.public_key == public_key


def test_adopting_again_after_a_crash_leaves_one_private_half(world: World) -> None:
    """The ID follows from the key: what custody took in before the crash is found again."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    held = world.key_pairs.import_pair(public_key, name="by-hand", tags={})
    first = world.rotator().adopt(private_key, held.arn, "first day")
    stored = world.store.load()
    assert stored is not None
    # As if the process had died after custody took the half in and before the ring was saved.
    world.store.save(dataclasses.replace(stored.ring, pairs=()), replacing=stored.version)

    second = world.rotator().adopt(private_key, held.arn, "first day")

    assert second.key_id == first.key_id
    assert list(world.custody.key_ids()) == [first.key_id]


def test_adopting_with_the_wrong_private_key_is_refused_with_both_fingerprints(
    world: World,
) -> None:
    """Nothing is written: neither the ring nor custody has the key."""
    theirs = PublicKey.of(ec.generate_private_key(ec.SECP384R1()).public_key())
    mine = ec.generate_private_key(ec.SECP384R1())
    held = world.key_pairs.import_pair(theirs, name="by-hand", tags={})

    with pytest.raises(InvalidKeyMaterial) as refusal:
        world.rotator().adopt(mine, held.arn, "first day")

    assert theirs.fingerprint in refusal.value.detail
    assert PublicKey.of(mine.public_key()).fingerprint in refusal.value.detail
    assert world.rotator().ring().pairs == ()
    assert list(world.custody.key_ids()) == []


@pytest.mark.parametrize(
    ("region", "account_id", "why"),
    [
        (REGION, ACCOUNT_ID, "IVS holds no key pair"),
        ("eu-west-1", ACCOUNT_ID, "is not of account"),
        (REGION, "999999999999", "is not of account"),
    ],
    ids=["unknown", "another region", "another account"],
)
def test_adopting_what_ivs_does_not_hold_here_is_refused(
    world: World, region: str, account_id: str, why: str
) -> None:
    """An ARN from elsewhere, or of nothing, is told as what it is."""
    arn = PlaybackKeyArn.parse(f"arn:aws:ivs:{region}:{account_id}:playback-key/nowhere")

    with pytest.raises(RotationRefused, match=why):
        world.rotator().adopt(ec.generate_private_key(ec.SECP384R1()), arn, "first day")


def test_more_pairs_than_ivs_takes_are_not_generated(world: World) -> None:
    """A fourth private half would wait for ever."""
    for _ in range(3):
        world.rotator().generate("one more")

    with pytest.raises(RotationRefused, match=r"as many as IVS takes.*keys rotate"):
        world.rotator().generate("one more")


def test_progress_names_each_step(world: World) -> None:
    """Each step is reported before it is done, with the key that it is for."""
    world.reconcile()

    key_id = world.ring.pairs[0].key_id
    assert world.steps_reported == [
        Step(Action.NEW_PAIR),
        Step(Action.MAKE, key_id),
        Step(Action.IMPORT, key_id),
    ]
