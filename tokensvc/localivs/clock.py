"""The time, as a parameter: Local IVS reads no other clock than the one it was given."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """The time in Unix seconds, UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """The time in Unix seconds, UTC."""
        return time.time()
