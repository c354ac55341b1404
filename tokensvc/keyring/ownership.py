"""Whose a key pair in IVS is: ours means recorded in the ring with the same fingerprint (rule 5).

The tag of a deployment only helps to find: a tagged pair without a record is named to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from tokensvc.clock import rfc3339
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import DEPLOYMENT_TAG, KeyPair, KeyState, Ring


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


def owner_of(ring: Ring | None, held: HeldKeyPair) -> Owner:
    """Whose that pair is, as far as this ring tells; None is a region that has no ring yet."""
    if ring is not None and record_of(ring, held) is not None:
        return Owner.OURS
    match held.tags.get(DEPLOYMENT_TAG):
        case None:
            return Owner.FOREIGN
        case deployment if ring is not None and deployment == ring.deployment:
            return Owner.UNRECORDED
        case _:
            return Owner.OTHER_DEPLOYMENT


def held_by(owner: Owner, ring: Ring, held: Sequence[HeldKeyPair]) -> Sequence[HeldKeyPair]:
    """Those of the pairs that are that owner's."""
    return [one for one in held if owner_of(ring, one) is owner]


def record_of(ring: Ring, held: HeldKeyPair) -> KeyPair | None:
    """The ring's record of that pair, None when it has none."""
    for pair in ring.pairs:
        if pair.public_key is not None and pair.public_key.fingerprint == held.fingerprint:
            return pair
    return None


def is_held(pair: KeyPair, held: Sequence[HeldKeyPair]) -> bool:
    """Whether one of those pairs has the fingerprint of ours."""
    fingerprint = pair.public_key and pair.public_key.fingerprint
    return any(one.fingerprint == fingerprint for one in held)


def slot_listing(ring: Ring, held_by_ivs: Sequence[HeldKeyPair]) -> str:
    """The pairs that IVS holds, a line each: whose it is, and the call that would free its slot."""
    return "\n".join(_seat(ring, held) for held in held_by_ivs)


def freeing_call(held: HeldKeyPair) -> str:
    """The command of AWS's own tool that deletes the pair."""
    return f"aws ivs delete-playback-key-pair --region {held.arn.region} --arn {held.arn}"


def _seat(ring: Ring, held: HeldKeyPair) -> str:
    if (pair := record_of(ring, held)) is not None:
        seat = f"{held.arn} is ours: {pair.key_id}, {pair.state}"
        if pair.state is not KeyState.RETIRED:
            return f"{seat} (made {rfc3339(pair.created_at)})."
        # A command that slept through the key's retirement imported it once more.
        return f"{seat}, and in IVS again; nothing signs with it: {freeing_call(held)}"
    whose = _DESCRIPTIONS[owner_of(ring, held)]
    if deployment := held.tags.get(DEPLOYMENT_TAG):
        whose = f"{whose} ({deployment})"
    return (
        f"{held.arn} ({held.name or 'no name'}, IVS tells no age) is {whose}; when nothing signs "
        "with it: "
        f"{freeing_call(held)}"
    )
