"""A meter that records what it is given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tokensvc.meter import HookOutcome, Meter


@dataclass
class RecordingMeter(Meter):
    """Records the measurements that tests read.

    Attributes:
        codes: the code of each decision.
        asked: what came of each question to the entitlement hook.
        refused: how often each rate limit has refused.
        answers: how often each kind of answer about a channel was found.
    """

    codes: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)

    def decided(self, code: str) -> None:
        """Record the code."""
        self.codes.append(code)

    def asked_hook(self, outcome: HookOutcome, seconds: float) -> None:
        """Record what came of it."""
        assert seconds >= 0
        self.asked.append(outcome)

    def limited(self, limit: str) -> None:
        """Count it."""
        self.refused[limit] += 1

    def used_answers(self, answer: str, count: int) -> None:
        """Count them."""
        self.answers[answer] += count
