"""The rollback of a switch: the key pair that it replaced signs again (rule 9).

Pure. The checks of rule 2 that need custody and IVS are in `effects`.
"""

from __future__ import annotations

import dataclasses

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.keyring.model import Act, KeyPair, KeyState, Ring
from tokensvc.keyring.rotation_requests import RotationPause


def rollback_target(ring: Ring, now: float) -> KeyPair:
    """The key pair that the last switch replaced, if it may sign again.

    Args:
        ring: the ring.
        now: Unix seconds.

    Raises:
        NoSigningKey: when no key pair is active, so that there is nothing to switch back from.
        RotationRefused: when no switch can be undone, or that key pair may not sign again.
    """
    active = ring.require_active()
    pair = _last_replaced(ring)
    if pair is None:
        raise RotationRefused(
            f"{active.key_id} replaced no key pair that {ring.region} still has, so there is "
            "nothing to roll back to.",
            hint="Run `tokensvc keys rotate` to switch to the standby instead.",
        )
    if reason := _why_never(pair):
        raise RotationRefused(
            f"{ring.region} can't be rolled back to {pair.key_id}: {reason}",
            hint="Run `tokensvc keys rotate --force` to switch to the standby instead.",
        )
    ready_at = (pair.published_at or 0) + ring.terms.publish_delay_seconds
    if now < ready_at:
        # It was published just before an urgent switch, which does not wait (rule 10).
        raise RotationRefused(
            f"{pair.key_id} must be published for {ring.terms.publish_delay_seconds} s before it "
            f"may sign again, until {rfc3339(ready_at)} (rule 2).",
            hint="Run `tokensvc keys rollback` again after that time.",
        )
    return pair


def rolled_back(ring: Ring, key_id: str, act: Act) -> Ring:
    """The ring with that retiring key pair active again.

    A rotation request that waits is cancelled, and scheduled rotation is paused until an operator
    rotates: both would lead away from this key pair again. The standby stays.
    """
    pause = RotationPause(act.at, act.by, act.why)
    return dataclasses.replace(ring.switched_to(key_id, act), rotation_pause=pause)


def _last_replaced(ring: Ring) -> KeyPair | None:
    """The key pair that stopped signing last, if the ring still records it.

    The order of the history decides, and not the times, which several clocks may have measured.
    """
    for line in reversed(ring.history):
        if (line.from_state, line.to_state) == (KeyState.ACTIVE, KeyState.RETIRING):
            return next((pair for pair in ring.pairs if pair.key_id == line.key_id), None)
    return None


def _why_never(pair: KeyPair) -> str:
    if pair.is_compromised:
        return "it is compromised."
    if pair.state is KeyState.RETIRED:
        return "it is retired, and IVS holds it no longer."
    if pair.delete_intended_at is not None:
        return "its deletion from IVS has begun."
    return ""
