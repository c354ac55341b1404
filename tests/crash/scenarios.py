"""The situations of a deployment in which a command is killed."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.crash.commands import PREVIOUS_SECRET
from tests.crash.deployment import Deployment
from tests.keyring.rings import DRAIN_SECONDS, TERMS
from tests.keyring.world import LossyKeyPairs
from tests.support.settings import SECRET
from tokensvc.errors import IvsUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.restoration import Restoration
from tokensvc.token.p384 import LocalSigner, PublicKey


def empty(_: Deployment) -> None:
    """Before the first command: there is no state and no folder of keys."""


def imported_key(deployment: Deployment) -> None:
    """A key pair that was created and imported manually, and signs in another program."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    arn = deployment.import_foreign_pair(PublicKey.of(private_key.public_key()))
    deployment.issue_token(LocalSigner(private_key))
    deployment.arguments = {
        "arn": arn,
        "private_key": private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    }


def published(deployment: Deployment) -> None:
    """The first key pair has been published for long enough to sign."""
    deployment.world.reconcile()
    deployment.world.clock.advance(TERMS.publish_delay_seconds)
    deployment.import_foreign_pair()


def one_active(deployment: Deployment) -> None:
    """An active key, no standby, and a foreign key pair in another slot."""
    for _ in range(2):
        deployment.world.reconcile(deployment.world.rotator(keep_standby=False))
        deployment.world.clock.advance(TERMS.publish_delay_seconds)
    deployment.issue_token_from_new_view()
    deployment.import_foreign_pair()


def one_active_one_pending(deployment: Deployment) -> None:
    """As `one_active`, with a generated key pair that is not imported yet."""
    one_active(deployment)
    deployment.arguments = {"key_id": deployment.world.rotator().generate("another key").key_id}


def active_and_standby(deployment: Deployment) -> None:
    """An active key and a standby, and nothing else in the region."""
    deployment.world.create_active_and_standby()
    deployment.issue_token_from_new_view()


def active_and_standby_with_foreign_pair(deployment: Deployment) -> None:
    """As `active_and_standby`, with a foreign key pair in the last slot."""
    active_and_standby(deployment)
    deployment.import_foreign_pair()


def draining(deployment: Deployment) -> None:
    """70 s after a rotation: a retiring key, an active key and a standby."""
    active_and_standby(deployment)
    deployment.world.rotator().request_rotation("monthly")
    deployment.world.reconcile()
    deployment.world.clock.advance(70)
    deployment.issue_token_from_new_view()


def drained(deployment: Deployment) -> None:
    """Exactly at the end of the retiring key's drain."""
    draining(deployment)
    deployment.world.clock.advance(DRAIN_SECONDS - 70)
    deployment.issue_token_from_new_view()


def drained_with_foreign_pair(deployment: Deployment) -> None:
    """As `drained`, with a foreign key pair, so that the next standby waits for the slot."""
    active_and_standby_with_foreign_pair(deployment)
    deployment.world.rotator().request_rotation("monthly")
    deployment.world.reconcile()
    deployment.world.clock.advance(DRAIN_SECONDS)
    deployment.issue_token_from_new_view()


def import_answer_lost(deployment: Deployment) -> None:
    """IVS imported the next standby, but the answer was lost."""
    one_active(deployment)
    lossy = LossyKeyPairs(deployment.world.key_pairs, {"import"})
    with pytest.raises(IvsUnavailable):
        deployment.world.reconcile(deployment.world.rotator(key_pairs=lossy))


def delete_answer_lost(deployment: Deployment) -> None:
    """IVS deleted the drained key, but the answer was lost."""
    drained(deployment)
    lossy = LossyKeyPairs(deployment.world.key_pairs, {"delete"})
    with pytest.raises(IvsUnavailable):
        deployment.world.reconcile(deployment.world.rotator(key_pairs=lossy))


def encrypted_with_previous_secret(deployment: Deployment) -> None:
    """As `draining`, with private keys that are encrypted with the previous secret."""
    draining(deployment)
    world = deployment.world
    keys = world.folder / "keys"
    custody = FileCustody(keys, PREVIOUS_SECRET, world.clock, previous_secret=SECRET)
    for key_id in custody.key_ids():
        assert custody.rewrap(key_id)


# --- Compromised keys


def active_compromised(deployment: Deployment) -> None:
    """The active key is compromised during a drain; tokens of the retiring key stay valid."""
    draining(deployment)
    _, active, _ = deployment.world.ring.pairs
    deployment.arguments = {"key_ids": active.key_id}


def all_compromised(deployment: Deployment) -> None:
    """The active key and the standby are compromised: an attacker read the whole custody."""
    active_and_standby(deployment)
    deployment.arguments = {
        "key_ids": " ".join(pair.key_id for pair in deployment.world.ring.pairs)
    }


def compromised_with_foreign_pairs(deployment: Deployment) -> None:
    """The only key is compromised, and foreign key pairs occupy the other slots."""
    one_active(deployment)
    deployment.import_foreign_pair()
    deployment.arguments = {"key_ids": deployment.world.ring.pairs[0].key_id}


def compromised_after_lost_answer(deployment: Deployment) -> None:
    """The key pair whose import answer was lost is compromised; its ARN was never recorded."""
    import_answer_lost(deployment)
    deployment.arguments = {"key_ids": deployment.world.ring.pairs[1].key_id}


def standby_without_private_key(deployment: Deployment) -> None:
    """The active key is compromised, and the private key file of the standby was deleted."""
    active_and_standby(deployment)
    active, standby = deployment.world.ring.pairs
    deployment.world.custody.destroy(standby.key_id, compromised=False)
    deployment.arguments = {"key_ids": active.key_id, "spoiled": standby.key_id}


def standby_gone_from_ivs(deployment: Deployment) -> None:
    """The active key is compromised, and the standby was deleted from IVS by hand."""
    active_and_standby(deployment)
    active, standby = deployment.world.ring.pairs
    deployment.ivs.delete_playback_key_pair(arn=str(standby.arn))
    deployment.arguments = {"key_ids": active.key_id, "spoiled": standby.key_id}


def draining_key_takes_over(deployment: Deployment) -> None:
    """As `standby_without_private_key`, while an earlier key drains."""
    draining(deployment)
    _, active, standby = deployment.world.ring.pairs
    deployment.world.custody.destroy(standby.key_id, compromised=False)
    deployment.arguments = {"key_ids": active.key_id, "spoiled": standby.key_id}


def restored(deployment: Deployment) -> None:
    """A backup from before a switch was restored: the standby has signed meanwhile."""
    active_and_standby(deployment)
    world, backup = deployment.world, deployment.world.ring
    rotator = world.rotator(keep_standby=False)
    rotator.request_rotation("monthly")
    world.reconcile(rotator)
    deployment.issue_token_from_new_view()
    stored = world.store.load()
    assert stored is not None
    as_restored = dataclasses.replace(backup, restoration=Restoration("ann@desk"))
    world.store.save(as_restored, replacing=stored.version)


def imported_late(deployment: Deployment) -> None:
    """A rotator was suspended before its import, and the key pair was revoked meanwhile."""
    active_and_standby(deployment)
    world, standby = deployment.world, deployment.world.ring.pairs[1]
    world.revoke([standby.key_id], "laptop lost")
    world.reconcile()
    assert standby.public_key is not None
    world.key_pairs.import_pair(standby.public_key, name=standby.name_in_ivs, tags={})
