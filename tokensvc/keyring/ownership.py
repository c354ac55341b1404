"""The owner of each key pair in IVS: ours means recorded in the ring, same fingerprint (rule 5).

The deployment tag only helps to find key pairs. A key pair with our tag and no record is reported
to the operator and never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from tokensvc.clock import rfc3339
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import DEPLOYMENT_TAG, KEY_TAG, KeyPair, Ring


class Owner(StrEnum):
    """Who owns a key pair that IVS holds; the values are the identifiers that programs see."""

    OURS = "ours"
    UNRECORDED = "unrecorded"
    OTHER_DEPLOYMENT = "other_deployment"
    FOREIGN = "foreign"


_DESCRIPTIONS = {
    Owner.OURS: "recorded in this ring",
    Owner.UNRECORDED: "tagged by this deployment, but not recorded in this ring",
    Owner.OTHER_DEPLOYMENT: "tagged by another deployment",
    Owner.FOREIGN: "a foreign key pair, not made by tokensvc",
}


def tags_of(ring: Ring, key_id: str) -> Mapping[str, str]:
    """The tags of everything that belongs to a key pair, in IVS and in custody."""
    return {DEPLOYMENT_TAG: ring.deployment, KEY_TAG: key_id}


def owner_of(ring: Ring | None, held: HeldKeyPair) -> Owner:
    """The owner of a key pair in IVS. `ring` is None for a region that has no ring yet."""
    if ring is not None and record_of(ring, held) is not None:
        return Owner.OURS
    match held.tags.get(DEPLOYMENT_TAG):
        case None:
            return Owner.FOREIGN
        case deployment if ring is not None and deployment == ring.deployment:
            return Owner.UNRECORDED
        case _:
            return Owner.OTHER_DEPLOYMENT


def pairs_owned_by(owner: Owner, ring: Ring, held: Sequence[HeldKeyPair]) -> Sequence[HeldKeyPair]:
    """The key pairs of `held` that belong to that owner."""
    return [one for one in held if owner_of(ring, one) is owner]


def record_of(ring: Ring, held: HeldKeyPair) -> KeyPair | None:
    """The ring's record of a key pair in IVS, or None when the ring has no such record."""
    for pair in ring.pairs:
        if pair.public_key is not None and pair.public_key.fingerprint == held.fingerprint:
            return pair
    return None


def held_match(pair: KeyPair, held: Sequence[HeldKeyPair]) -> HeldKeyPair | None:
    """The key pair in IVS with that record's fingerprint or ARN, if any (rule 5)."""
    for one in held:
        same_key = pair.public_key and one.fingerprint == pair.public_key.fingerprint
        if same_key or one.arn == pair.arn:
            return one
    return None


def is_held(pair: KeyPair, held: Sequence[HeldKeyPair]) -> bool:
    """Whether one of the key pairs in IVS has the fingerprint of that record."""
    fingerprint = pair.public_key and pair.public_key.fingerprint
    return any(one.fingerprint == fingerprint for one in held)


def slot_listing(ring: Ring, held_by_ivs: Sequence[HeldKeyPair]) -> str:
    """The key pairs that occupy the slots of IVS: a line each, with its owner.

    Where tokensvc can't delete the key pair itself, the line ends with the command that does.
    """
    return "\n".join(_slot_line(ring, held) for held in held_by_ivs)


def delete_command(held: HeldKeyPair) -> str:
    """The AWS CLI command that deletes the key pair from IVS."""
    return f"aws ivs delete-playback-key-pair --region {held.arn.region} --arn {held.arn}"


def _slot_line(ring: Ring, held: HeldKeyPair) -> str:
    if (pair := record_of(ring, held)) is not None:
        line = f"{held.arn} is key pair {pair.key_id} of this ring: {pair.state}"
        return f"{line}, created {rfc3339(pair.created_at)}."
    owner = _DESCRIPTIONS[owner_of(ring, held)]
    if deployment := held.tags.get(DEPLOYMENT_TAG):
        owner = f"{owner} ({deployment})"
    return (
        f"{held.arn} (name: {held.name or 'none'}; IVS reports no age) is {owner}. If nothing "
        f"signs with it, delete it: {delete_command(held)}"
    )
