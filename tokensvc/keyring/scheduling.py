"""When a rotation may begin: at an operator's request, or by schedule (rule 9). Pure."""

from __future__ import annotations

from typing import Final

from tokensvc.clock import rfc3339
from tokensvc.errors import RotationRefused
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.rotation_requests import RotationPause, RotationRequest

_FORCED: Final = " `tokensvc keys rotate --force` rotates now and uses the standby."


def rotation_refusal(ring: Ring, now: float) -> str:
    """Why a rotation without `force` is refused now, or "" when it is allowed (rule 9)."""
    for ends_at, pair in drain_ends(ring):
        if ends_at <= now:
            return f"{pair.key_id} has drained: `tokensvc keys reconcile` deletes it from IVS."
        return (
            f"Tokens signed by {pair.key_id} may be valid until {rfc3339(ends_at)}, "
            f"{max(0, round(ends_at - now))} s from now."
        )
    if draining := ring.in_state(KeyState.RETIRING):
        return f"The switch away from {draining[0].key_id} is not finished."
    return ""


def rotation_is_due(ring: Ring, max_age_seconds: float, now: float) -> bool:
    """Whether a scheduled rotation is due: the active key has signed for `max_age_seconds`.

    None is due while scheduled rotation is paused (rule 9).
    """
    return ring.rotation_pause is None and _is_due(ring, max_age_seconds, now)


def pause_of_due_rotation(ring: Ring, max_age_seconds: float, now: float) -> RotationPause | None:
    """The pause without which a scheduled rotation would be due, if there is one."""
    return ring.rotation_pause if _is_due(ring, max_age_seconds, now) else None


def _is_due(ring: Ring, max_age_seconds: float, now: float) -> bool:
    active = ring.active
    if active is None or active.activated_at is None or active.is_compromised:
        return False
    is_free = ring.rotation_request is None and not rotation_refusal(ring, now)
    return is_free and now - active.activated_at >= max_age_seconds


def requested_rotation(ring: Ring, request: RotationRequest) -> Ring:
    """The ring with that request, which is not urgent.

    A forced one allows a rotation during a drain; it uses the existing standby.

    Raises:
        RotationRefused: when a key is still draining, or a rotation is already in progress.
    """
    refusal = rotation_refusal(ring, request.requested_at)
    if refusal and not request.is_forced:
        raise RotationRefused(
            f"The last rotation of {ring.region} is not finished. {refusal}",
            hint="Run `tokensvc keys rotate` again after that."
            + ("" if ring.standby is None else _FORCED),
        )
    if refusal and ring.standby is None:
        raise RotationRefused(
            f"{ring.region} has no standby to rotate to. {refusal}",
            hint="Run `tokensvc keys rotate` again after that. A slot is then free for the "
            "next key pair.",
        )
    return ring.with_rotation_request(request)
