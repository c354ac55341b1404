"""The terms of a ring: the limits that make a switch safe, the same for every process (rule 4)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits that make a switch safe: high-water marks that never decrease (rule 4).

    Attributes:
        publish_delay_seconds: how long a key pair must have been published before it may sign.
        ring_max_age_seconds: the maximum age of the ring that a process signs from.
        longest_ttl_seconds: the longest lifetime of any token that any process signs.
        clock_skew_seconds: the largest difference between any two clocks, IVS's included.
    """

    publish_delay_seconds: int = 60
    ring_max_age_seconds: int = 3_600
    longest_ttl_seconds: int = 3_600
    clock_skew_seconds: int = 10

    @property
    def drain_seconds(self) -> int:
        """How long after the end of signing the last token may still be valid (rule 4)."""
        return self.ring_max_age_seconds + self.longest_ttl_seconds + 2 * self.clock_skew_seconds

    def raised_to(self, other: Terms) -> Terms:
        """The terms with the larger value of each limit."""
        own, raised = dataclasses.asdict(self), dataclasses.asdict(other)
        return Terms(**{name: max(own[name], raised[name]) for name in own})
