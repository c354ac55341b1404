"""Counts what requests find in the memory of the channel directory, for its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokensvc.ivs.cache_entry import CacheEntry


@dataclass(slots=True)
class AnswerUses:
    """How often requests have found which answer. The lock of the directory protects it.

    Attributes:
        fresh: an answer that is no older than `fresh_seconds`.
        stale: an older one, that is used during a refresh or because IVS fails.
        absent: the answer that the channel does not exist.
        unknown: none that may be used. A request that waits for a lookup looks again after it.
        limited: those of `unknown` whose caller has used up its share of lookups.
        oldest_seconds: the age of the oldest stale answer; 0 without one.
    """

    fresh: int = 0
    stale: int = 0
    absent: int = 0
    unknown: int = 0
    limited: int = 0
    oldest_seconds: float = 0.0

    def counts(self) -> Mapping[str, int]:
        """How often each kind of answer was found, by its name."""
        return {
            "fresh": self.fresh,
            "stale": self.stale,
            "absent": self.absent,
            "unknown": self.unknown,
        }

    def note(self, entry: CacheEntry, now: float, age_seconds: float) -> None:
        """Count a request that has not found a fresh answer, at that time, in monotonic seconds."""
        if now <= entry.expires_at:
            self.stale += 1
            self.oldest_seconds = max(self.oldest_seconds, age_seconds)
        elif entry.is_absent and now < entry.refresh_at:
            self.absent += 1
        else:
            self.unknown += 1
