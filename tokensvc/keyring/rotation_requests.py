"""What a ring records about the next rotation: a request for it, or a pause of the schedule."""

from __future__ import annotations

from dataclasses import dataclass

from tokensvc.clock import rfc3339


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """An operator's request to switch to another key. It stays in the ring until the switch.

    An urgent request skips the publish delay of rule 2, because the active key is compromised.

    Attributes:
        requested_at: when it was made, Unix seconds.
        requested_by: who made it.
        reason: why.
        is_urgent: whether a compromised key is to be replaced.
        is_forced: whether to switch although a worker can't sign with the next key.
        failed_at: when carrying it out failed last, Unix seconds.
        failure: why that failed; "" while it has not.
    """

    requested_at: float
    requested_by: str
    reason: str
    is_urgent: bool = False
    is_forced: bool = False
    failed_at: float | None = None
    failure: str = ""

    def may_replace(self, earlier: RotationRequest) -> bool:
        """Whether it may take the place of a request that is not finished."""
        if self.is_urgent:
            return True
        return self.is_forced and not (earlier.is_forced or earlier.is_urgent)

    @property
    def sentence(self) -> str:
        """Who requested it when and why, and why it failed last, for people."""
        made = (
            f"{self.requested_by} requested it at {rfc3339(self.requested_at)}, with the reason: "
            f"{self.reason}."
        )
        if self.failed_at is None:
            return made
        return f"{made} It failed last at {rfc3339(self.failed_at)}: {self.failure}"


@dataclass(frozen=True, slots=True)
class RotationPause:
    """Scheduled rotation is paused since a rollback, until an operator rotates (rule 9)."""

    since: float
    by: str
    reason: str
