"""End a test that would wait without end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise AssertionError in the block when it takes longer; in the main thread only."""

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"Nothing happened in {seconds} s.")

    earlier = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
