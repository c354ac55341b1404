"""What a rotator has changed, as values: one for each save of a ring, for the audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tokensvc.arns import Region
from tokensvc.clock import rfc3339
from tokensvc.keyring.model import Act
from tokensvc.keyring.steps import Action


class Decision(StrEnum):
    """A change of a ring that is not a step; the values are the identifiers that programs see."""

    CREATE_RING = "create_ring"
    RAISE_TERMS = "raise_terms"
    LOWER_TERMS = "lower_terms"
    ADOPT = "adopt"
    REQUEST_ROTATION = "request_rotation"
    RECORD_FAILURE = "record_failure"
    ROLL_BACK = "roll_back"
    DECLARE_COMPROMISED = "declare_compromised"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class RingChange:
    """One change that was done and saved.

    Attributes:
        region: the region of the ring.
        step: what was done.
        key_id: the key pair; empty when the change is not about one.
        act: who did it, when and why.
    """

    region: Region
    step: Action | Decision
    key_id: str
    act: Act

    def members(self) -> dict[str, str | None]:
        """The members of the audit line. Programs rely on their names."""
        return {
            "at": rfc3339(self.act.at),
            "event": "ring_changed",
            "region": self.region,
            "step": self.step.value,
            "key_id": self.key_id or None,
            "by": self.act.by,
            "reason": self.act.why,
        }


OnChange = Callable[[RingChange], None]


def ignore_change(_: RingChange) -> None:
    """For a caller that needs no audit."""
