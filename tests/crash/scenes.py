"""What a deployment has behind it when an operator's command dies."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.crash.acts import PREVIOUS_SECRET
from tests.crash.stage import Stage
from tests.keyring.rings import DRAIN_SECONDS, TERMS
from tests.keyring.world import SECRET, LosesAnswers
from tokensvc.errors import IvsUnavailable
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.p384 import LocalSigner, PublicKey


def nothing(_: Stage) -> None:
    """The first command ever: neither a state nor a folder of keys."""


def an_imported_key(stage: Stage) -> None:
    """Everyone's first day: a key pair made by hand, imported, and signing in another program."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    arn = stage.import_stranger(PublicKey.of(private_key.public_key()))
    stage.mint(LocalSigner(private_key))
    stage.arguments = {
        "arn": arn,
        "private_key": private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    }


def published(stage: Stage) -> None:
    """The first pair has waited long enough to sign."""
    stage.world.reconcile()
    stage.world.clock.advance(TERMS.publish_delay_seconds)
    stage.import_stranger()


def one_active(stage: Stage) -> None:
    """One key, which signs; no standby; a stranger in another slot."""
    for _ in range(2):
        stage.world.reconcile(stage.world.rotator(keep_standby=False))
        stage.world.clock.advance(TERMS.publish_delay_seconds)
    stage.mint_by_a_fresh_view()
    stage.import_stranger()


def one_active_one_pending(stage: Stage) -> None:
    """As `one_active`, and another pair generated."""
    one_active(stage)
    stage.arguments = {"key_id": stage.world.rotator().generate("another key").key_id}


def settled(stage: Stage) -> None:
    """A key that signs and a standby, and nothing else in the region."""
    stage.world.settle()
    stage.mint_by_a_fresh_view()


def settled_beside_a_stranger(stage: Stage) -> None:
    """As `settled`, and no slot is left."""
    settled(stage)
    stage.import_stranger()


def draining(stage: Stage) -> None:
    """A rotation 70 s ago: one key retires, one signs, one stands by."""
    settled(stage)
    stage.world.rotator().request_rotation("monthly")
    stage.world.reconcile()
    stage.world.clock.advance(70)
    stage.mint_by_a_fresh_view()


def drained(stage: Stage) -> None:
    """The end of that key's drain, to the second."""
    draining(stage)
    stage.world.clock.advance(DRAIN_SECONDS - 70)
    stage.mint_by_a_fresh_view()


def drained_beside_a_stranger(stage: Stage) -> None:
    """As `drained`, and the next standby has waited for the slot."""
    settled_beside_a_stranger(stage)
    stage.world.rotator().request_rotation("monthly")
    stage.world.reconcile()
    stage.world.clock.advance(DRAIN_SECONDS)
    stage.mint_by_a_fresh_view()


def import_answer_lost(stage: Stage) -> None:
    """IVS took the next standby, and nobody heard it say so."""
    one_active(stage)
    lossy = LosesAnswers(stage.world.key_pairs, {"import"})
    with pytest.raises(IvsUnavailable):
        stage.world.reconcile(stage.world.rotator(key_pairs=lossy))


def delete_answer_lost(stage: Stage) -> None:
    """IVS let the drained key go, and nobody heard it say so."""
    drained(stage)
    lossy = LosesAnswers(stage.world.key_pairs, {"delete"})
    with pytest.raises(IvsUnavailable):
        stage.world.reconcile(stage.world.rotator(key_pairs=lossy))


def under_the_previous_secret(stage: Stage) -> None:
    """As `draining`, and the key-encryption secret is to be changed."""
    draining(stage)
    world = stage.world
    keys = world.folder / "keys"
    custody = FileCustody(keys, PREVIOUS_SECRET, world.clock, previous_secret=SECRET)
    for key_id in custody.key_ids():
        assert custody.rewrap(key_id)


# --- Stolen keys


def active_stolen(stage: Stage) -> None:
    """During a drain the key that signs is stolen; the retiring one's tokens are good."""
    draining(stage)
    _, active, _ = stage.world.ring.pairs
    stage.arguments = {"key_ids": active.key_id}


def all_stolen(stage: Stage) -> None:
    """The key that signs and the standby are stolen: whoever had them read the whole custody."""
    settled(stage)
    stage.arguments = {"key_ids": " ".join(pair.key_id for pair in stage.world.ring.pairs)}


def stolen_among_strangers(stage: Stage) -> None:
    """The one key is stolen, and strangers sit in the other slots."""
    one_active(stage)
    stage.import_stranger()
    stage.arguments = {"key_ids": stage.world.ring.pairs[0].key_id}


def stolen_after_a_lost_answer(stage: Stage) -> None:
    """The pair that IVS took unheard is stolen: no ARN of it was ever recorded."""
    import_answer_lost(stage)
    stage.arguments = {"key_ids": stage.world.ring.pairs[1].key_id}
