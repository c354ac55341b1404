"""What is measured while requests are served. `Meter` itself measures nothing."""

from __future__ import annotations

from typing import Literal

HookOutcome = Literal["allow", "deny", "invalid", "no_answer"]


class Meter:
    """Takes measurements, for all threads of a process, and never waits or raises."""

    def decided(self, code: str) -> None:
        """A request for a playback URL was decided: "" when granted, else the code of the error."""

    def signed(self, seconds: float) -> None:
        """A token was signed in that time."""

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request to that path got an answer with that status, after that time."""

    def called_aws(self, service: str, operation: str, status: int, seconds: float) -> None:
        """An attempt to call AWS ended, with an HTTP status, or with 0 if there was no answer."""

    def asked_hook(self, outcome: HookOutcome, seconds: float) -> None:
        """The entitlement hook was asked a question, and that came of it after that time."""

    def limited(self, limit: str) -> None:
        """A request, or an item of a batch, was refused by the rate limit with that name."""

    def used_answers(self, answer: str, count: int) -> None:
        """So many requests for a channel found such an answer in the memory of the directory."""
