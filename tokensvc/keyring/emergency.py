"""An emergency (rule 10): keys are declared compromised, and another key pair takes over. Pure."""

from __future__ import annotations

from collections.abc import Collection

from tokensvc.errors import NoSigningKey
from tokensvc.keyring.model import Act, KeyPair, KeyState, Ring
from tokensvc.keyring.rotation_requests import RotationRequest


def declared_compromised(ring: Ring, key_ids: Collection[str], act: Act) -> Ring:
    """The ring with those key pairs marked compromised, and an urgent request if one is active.

    Raises:
        KeyNotFound: when the ring has no key pair with one of those IDs.
    """
    declared = ring.compromised(key_ids, act)
    if declared.active is None or not declared.active.is_compromised:
        return declared
    return declared.with_rotation_request(RotationRequest(act.at, act.by, act.why, is_urgent=True))


def signing_pair(ring: Ring) -> KeyPair:
    """The key pair that signs: the active one, until it is marked compromised.

    Raises:
        NoSigningKey: when no key pair is active, or the active one is compromised.
    """
    active = ring.require_active()
    if active.is_compromised:
        raise NoSigningKey(
            f"{active.key_id}, the active key pair of {ring.region}, was marked as compromised, and"
            " no other key pair has taken over yet.",
            hint=f"Run `tokensvc keys reconcile --region {ring.region}` to switch to another key"
            " pair. A new key pair can sign as soon as IVS answers.",
        )
    return active


def has_emergency(ring: Ring) -> bool:
    """Whether a compromised key has not been replaced yet."""
    return ring.rotation_request is not None and ring.rotation_request.is_urgent


def replacement(ring: Ring, unusable: Collection[str] = ()) -> KeyPair | None:
    """The key pair that takes over in an emergency: the standby, else the latest draining one.

    Args:
        ring: the ring.
        unusable: the IDs of key pairs that are proven to be missing or wrong.

    Returns:
        None when only a new key pair can take over.
    """
    if ring.standby is not None:
        return ring.standby
    draining = [
        pair
        for pair in ring.in_state(KeyState.RETIRING)
        if not pair.is_compromised
        and pair.activated_at is not None
        and pair.delete_intended_at is None
        and pair.key_id not in unusable
    ]
    return max(draining, key=lambda pair: pair.activated_at or 0, default=None)
