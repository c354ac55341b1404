"""What a ring records about the next rotation: a request for it, or a pause of the schedule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """An operator's request to switch to another key. It stays in the ring until the switch.

    An urgent request skips the publish delay of rule 2, because the active key is compromised.
    """

    requested_at: float
    requested_by: str
    reason: str
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class RotationPause:
    """Scheduled rotation is paused since a rollback, until an operator rotates (rule 9)."""

    since: float
    by: str
    reason: str
