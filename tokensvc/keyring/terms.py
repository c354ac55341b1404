"""The terms of a ring: the limits that make a switch safe, the same for every process (rule 4)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

from tokensvc.clock import rfc3339

MAX_TERM_SECONDS = 7 * 86_400
"""The largest value of each limit that the settings and the commands accept."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits that make a switch safe. Only an operator's command lowers them (rule 4).

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

    def capped(self) -> Self:
        """The terms with no limit above `MAX_TERM_SECONDS`."""
        own = dataclasses.asdict(self)
        return dataclasses.replace(self, **{name: min(own[name], MAX_TERM_SECONDS) for name in own})

    def above(self, other: Terms) -> dict[str, tuple[int, int]]:
        """The limits that are larger than those of `other`: both values, by name."""
        own, others = dataclasses.asdict(self), dataclasses.asdict(other)
        return {name: (own[name], others[name]) for name in own if own[name] > others[name]}


@dataclass(frozen=True, slots=True)
class FormerTerms:
    """Terms that an operator has lowered. What was signed under them may still be valid.

    Attributes:
        terms: the limits before.
        lowered_by: the operator.
        reason: why.
        ended_at: a time at which the lower terms were already saved, Unix seconds. It is recorded
            in a second write, like an end of signing; until then these terms stay in force.
    """

    terms: Terms
    lowered_by: str
    reason: str
    ended_at: float | None = None

    @property
    def until(self) -> float | None:
        """When the last token that they allowed has expired; None before `ended_at` is recorded."""
        return None if self.ended_at is None else self.ended_at + self.terms.drain_seconds

    def is_in_force(self, now: float) -> bool:
        """Whether a token that they allowed may still be valid."""
        return self.until is None or now < self.until

    @property
    def sentence(self) -> str:
        """Which limits still count in a drain, and until when, for people."""
        until = "their end is recorded" if self.until is None else rfc3339(self.until)
        return (
            f"The terms were lowered by {self.lowered_by} ({self.reason}). Until {until}, a drain "
            f"still allows for a ring_max_age_seconds of {self.terms.ring_max_age_seconds}, a "
            f"longest_ttl_seconds of {self.terms.longest_ttl_seconds} and a clock_skew_seconds of "
            f"{self.terms.clock_skew_seconds}."
        )
