"""What the tests of a watched document share."""

from __future__ import annotations

import time
from collections.abc import Callable

from tokensvc.errors import StateDamaged
from tokensvc.state.base import Document

NEVER = 3_600.0
"""A refresh interval for tests in which the thread must not read."""


def decode(document: Document | None) -> str:
    """The body in capitals; the body `damaged` can't be decoded."""
    if document is None:
        return "NOTHING"
    if document.body == "damaged":
        raise StateDamaged("The document can't be read.")
    return document.body.upper()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a thread makes the condition true."""
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "Timed out."
        time.sleep(0.005)
