"""What is measured while requests are served. `Meter` itself measures nothing."""

from __future__ import annotations


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
