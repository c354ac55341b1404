"""Records, and the wait for what a thread does with them."""

from __future__ import annotations

import time
from collections.abc import Callable

from tokensvc.state.base import Record

KIND = "channel"
WAIT_SECONDS = 30.0
"""How long a test waits for another thread before the test fails."""


def record(record_id: str, body: str = "") -> Record:
    """A record that does not expire during a test."""
    return Record(record_id, body, 4e9)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition is true."""
    give_up_at = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
