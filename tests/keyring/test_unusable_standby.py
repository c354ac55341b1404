"""Rule 10 with an unusable standby: an emergency always ends, and discards no key that is good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.world import LossyKeyPairs, World, world_in
from tests.support.settings import SECRET
from tokensvc.errors import CustodyDamaged, CustodyDenied, CustodyUnavailable, IvsUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.steps import Action, Done

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState
OTHER_SECRET = bytes(range(32, 64))


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        world.copy_active_and_standby()
        yield world


def states(ring: Ring) -> list[KeyState]:
    """The states, oldest pair first."""
    return [pair.state for pair in ring.pairs]


def standby_file(world: World) -> Path:
    """The private key file of the standby."""
    assert world.ring.standby is not None
    return world.folder / "keys" / f"{world.ring.standby.key_id}.pem"


def assert_signs(world: World, key_id: str) -> None:
    """A worker signs with that key, and IVS holds its public key."""
    with world.view() as view:
        active = view.active(world.moment())
    assert active.key_id == key_id
    held = {one.fingerprint for one in world.key_pairs.held()}
    assert active.signer.public_key.fingerprint in held


def missing(world: World) -> None:
    """Delete the private key file."""
    standby_file(world).unlink()


def damaged(world: World) -> None:
    """Overwrite the private key file."""
    standby_file(world).write_bytes(b"damaged")


def of_another_pair(world: World) -> None:
    """Put another private key into the file."""
    standby_file(world).unlink()
    assert world.ring.standby is not None
    world.custody.adopt(world.ring.standby.key_id, ec.generate_private_key(ec.SECP384R1()))


def gone_from_ivs(world: World) -> None:
    """Delete the standby from IVS, as with the AWS console."""
    assert world.ring.standby is not None
    world.ivs.client().delete_playback_key_pair(arn=str(world.ring.standby.arn))


UNUSABLE = [missing, damaged, of_another_pair, gone_from_ivs]


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_a_standby_that_is_proven_unusable_is_discarded_for_a_new_pair(
    world: World, spoil: Callable[[World], None]
) -> None:
    """The compromised key signs no more when the command ends, and nothing is left over."""
    compromised, standby = world.ring.pairs
    spoil(world)

    world.revoke([compromised.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world.ring) == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert_signs(world, world.ring.pairs[2].key_id)
    assert {pair.key_id for pair in world.ring.pairs[2:]} == set(world.custody.key_ids())
    assert len(world.key_pairs.held()) == 2
    (line,) = [line for line in world.ring.history if line.key_id == standby.key_id][-2:-1]
    assert (line.from_state, line.to_state) == (PUBLISHED, RETIRING)
    assert standby.key_id in line.why


@pytest.mark.parametrize("spoil", UNUSABLE)
def test_a_draining_key_takes_over_where_the_standby_is_unusable(
    world: World, spoil: Callable[[World], None]
) -> None:
    """It signs at once, with no new key that the edge has to learn about."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    draining, compromised, _ = world.ring.pairs
    spoil(world)

    world.revoke([compromised.key_id], "laptop lost")
    assert isinstance(world.reconcile(), Done)

    assert states(world.ring) == [ACTIVE, RETIRED, RETIRED, PUBLISHED]
    assert world.ring.pairs[0].signing_ended_at is None
    assert_signs(world, draining.key_id)


def test_a_draining_key_that_is_unusable_too_is_not_given_up(world: World) -> None:
    """A new pair signs. The tokens of the draining key stay valid until they expire."""
    world.rotator().request_rotation("monthly")
    world.reconcile()
    draining, compromised, _ = world.ring.pairs
    missing(world)
    (world.folder / "keys" / f"{draining.key_id}.pem").unlink()

    world.revoke([compromised.key_id], "laptop lost")
    world.reconcile()

    assert states(world.ring) == [RETIRING, RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert_signs(world, world.ring.pairs[3].key_id)
    assert world.ring.pairs[0] == draining


def test_a_standby_whose_use_is_denied_is_not_discarded(world: World) -> None:
    """A wrong file mode proves nothing about the key: the error says how to go on."""
    compromised, standby = world.ring.pairs
    standby_file(world).chmod(0o644)
    world.revoke([compromised.key_id], "laptop lost")

    with pytest.raises(CustodyDenied, match=f"chmod 600 .*{standby.key_id}"):
        world.reconcile()

    assert states(world.ring) == [ACTIVE, PUBLISHED]
    standby_file(world).chmod(0o600)
    world.reconcile()
    assert_signs(world, standby.key_id)


def test_a_wrong_key_encryption_secret_discards_nothing(world: World) -> None:
    """An operator's shell with an old secret is no reason to give up a good standby."""
    compromised, standby = world.ring.pairs
    wrong = FileCustody(world.folder / "keys", OTHER_SECRET, world.clock)
    world.revoke([compromised.key_id], "laptop lost")

    with pytest.raises(CustodyDenied, match=standby.key_id):
        world.reconcile(world.rotator(custody=wrong))

    assert states(world.ring) == [ACTIVE, PUBLISHED]
    assert standby.key_id in world.custody.key_ids()


def test_the_standby_takes_over_while_ivs_does_not_answer(world: World) -> None:
    """The key signs no more at once. What needs IVS follows when it answers."""
    compromised, standby = world.ring.pairs
    world.revoke([compromised.key_id], "laptop lost")

    with pytest.raises(IvsUnavailable):
        world.reconcile(world.rotator(key_pairs=_Silent(world.key_pairs, set())))

    assert_signs(world, standby.key_id)
    assert compromised.key_id not in world.custody.key_ids()
    world.reconcile()
    assert states(world.ring) == [RETIRED, ACTIVE, PUBLISHED]


def test_a_scheduled_rotation_keeps_a_standby_with_a_damaged_private_key(world: World) -> None:
    """It is not urgent: the operator may have a backup of the file."""
    active, standby = world.ring.pairs
    damaged(world)
    world.rotator().request_rotation("monthly")

    with pytest.raises(CustodyDamaged):
        world.reconcile()

    assert world.ring.pairs == (active, standby)


def test_a_private_key_that_can_not_be_destroyed_does_not_keep_a_compromised_key_active(
    world: World,
) -> None:
    """Everything else is done, then the error is raised; the next run destroys it."""
    compromised = world.ring.pairs
    world.revoke([pair.key_id for pair in compromised], "custody copied")
    undeletable = _Undeletable(world.folder / "keys", SECRET, world.clock)

    with pytest.raises(CustodyUnavailable):
        world.reconcile(world.rotator(custody=undeletable))

    assert states(world.ring) == [RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert [pair.destroyed_on for pair in world.ring.pairs[:2]] == [None, None]
    assert len(world.key_pairs.held()) == 2
    assert isinstance(world.reconcile(), Done)
    assert {pair.key_id for pair in world.ring.pairs[2:]} == set(world.custody.key_ids())


def test_a_pending_pair_with_a_damaged_private_key_is_discarded_in_an_emergency(
    world: World,
) -> None:
    """A crash left a file that can't be read, and no public key was recorded."""
    compromised, standby = world.ring.pairs
    world.revoke([compromised.key_id, standby.key_id], "custody copied")
    rotator = world.rotator()
    file: list[Path] = []

    def spoil(step: object) -> None:
        new = [pair for pair in world.ring.in_state(PENDING) if pair.public_key is None]
        if new and not file:
            file.append(world.folder / "keys" / f"{new[0].key_id}.pem")
            file[0].write_bytes(b"damaged")
            file[0].chmod(0o600)

    rotator.reconcile(spoil)

    assert states(world.ring) == [RETIRED, RETIRED, RETIRED, ACTIVE, PUBLISHED]
    assert not file[0].exists()


def test_a_late_import_of_a_revoked_pair_is_deleted_again(world: World) -> None:
    """A rotator was suspended before its import, and the pair was revoked and retired meanwhile."""
    active, standby = world.ring.pairs
    world.revoke([standby.key_id], "laptop lost")
    world.reconcile()
    assert standby.public_key is not None
    late = world.key_pairs.import_pair(standby.public_key, name=standby.name_in_ivs, tags={})

    world.reconcile()

    assert late.arn not in {held.arn for held in world.key_pairs.held()}
    assert Action.DELETE_AGAIN in {step.action for step in world.steps_reported}
    assert world.ring.active == active
    assert world.ring.history[-1].key_id == standby.key_id
    assert world.ring.pair(standby.key_id).deleted_at == world.clock.now()


class _Silent(LossyKeyPairs):
    """IVS that never answers."""

    def held(self) -> tuple[()]:
        """No answer."""
        raise IvsUnavailable("IVS does not answer.")


class _Undeletable(FileCustody):
    """A folder from which no file can be removed."""

    def destroy(self, key_id: str, *, handle: str | None = None, compromised: bool) -> float:
        """Refuse."""
        del handle, compromised
        raise CustodyUnavailable(f"{key_id}.pem can't be removed.")
