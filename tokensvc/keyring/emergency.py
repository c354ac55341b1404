"""An emergency (rule 10): keys are declared compromised, and another key pair takes over. Pure."""

from __future__ import annotations

from collections.abc import Collection

from tokensvc.errors import NoSigningKey
from tokensvc.keyring.model import Act, KeyPair, KeyState, Ring
from tokensvc.keyring.rotation_requests import RotationRequest
from tokensvc.keyring.steps import Action, Step


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


def emergency_step(
    ring: Ring,
    unusable: Collection[str] = (),
    undestroyed: Collection[str] = (),
    *,
    decommissioning: bool = False,
) -> Step | None:
    """The next step because of a compromised key pair, if it needs no answer of IVS.

    Args:
        ring: the ring.
        unusable: the IDs of key pairs that are proven to be missing or wrong.
        undestroyed: the IDs of those whose private key could not be destroyed in this run.
        decommissioning: whether the region was removed from the settings.
    """
    active = ring.active
    if decommissioning and active is not None and active.is_compromised:
        return Step(Action.STOP, active.key_id)
    if not decommissioning and (step := _replacing_step(ring, unusable)):
        return step
    for pair in ring.pairs:
        if not pair.is_compromised or pair.state in (KeyState.ACTIVE, KeyState.RETIRED):
            continue
        if pair.state is not KeyState.RETIRING:
            return Step(Action.WITHDRAW, pair.key_id)
        if pair.destroyed_on is None and pair.key_id not in undestroyed:
            return Step(Action.DESTROY, pair.key_id)
        if pair.delete_intended_at is None:
            return Step(Action.INTEND_DELETE, pair.key_id)
    return None


def _replacing_step(ring: Ring, unusable: Collection[str]) -> Step | None:
    if not has_emergency(ring):
        return None
    successor = replacement(ring, unusable)
    if successor is None:
        return None
    is_unusable = successor.key_id in unusable
    return Step(Action.DISCARD if is_unusable else Action.SWITCH, successor.key_id)
