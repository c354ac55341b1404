"""Threads that refresh a watched document at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.state.watching import NEVER, decode, wait_until
from tests.support.clock import ManualClock
from tokensvc.errors import StateUnavailable
from tokensvc.state.base import Document, Version
from tokensvc.state.sqlite import SqliteState
from tokensvc.state.watch import Watched


class CountingClock(ManualClock):
    """Counts the calls of `monotonic`."""

    calls = 0

    def monotonic(self) -> float:
        """Seconds by the monotonic clock."""
        self.calls += 1
        return super().monotonic()


class GatedState(SqliteState):
    """Answers or fails only after its gate was opened."""

    def __init__(self, path: Path, clock: ManualClock, *, failing: bool) -> None:
        super().__init__(path, clock)
        self.failing = failing
        self.reads = 0
        self.read_started = threading.Event()
        self.gate = threading.Event()

    def version(self, name: str) -> Version:
        """The version, after the gate was opened."""
        self.wait_for_the_gate()
        return super().version(name)

    def load(self, name: str) -> Document | None:
        """The document, after the gate was opened."""
        self.wait_for_the_gate()
        return super().load(name)

    def wait_for_the_gate(self) -> None:
        """Wait until the gate is open, then fail if this state is failing."""
        self.reads += 1
        self.read_started.set()
        assert self.gate.wait(20.0)
        if self.failing:
            raise StateUnavailable("The state is unavailable.")


@pytest.mark.parametrize("failing", [False, True], ids=["answers", "fails"])
def test_threads_that_refresh_during_a_read_share_the_next(
    tmp_path: Path, *, failing: bool
) -> None:
    """Nine threads cause two reads, so the time-outs of an unavailable state don't add up."""
    clock = CountingClock()
    state = GatedState(tmp_path / "state.sqlite3", clock, failing=failing)
    state.create()
    watched = Watched(state, "ring", decode, clock=clock, refresh_seconds=NEVER)
    results: list[str] = []

    def refresh() -> None:
        try:
            watched.refresh()
        except StateUnavailable as exc:
            results.append(exc.detail)
        else:
            results.append("read")

    threads = [threading.Thread(target=refresh) for _ in range(9)]
    threads[0].start()
    assert state.read_started.wait(20.0)
    for thread in threads[1:]:
        thread.start()
    # The first thread has read the clock for the call and for the read, the others for the call.
    wait_until(lambda: clock.calls == 2 + 8)
    clock.advance(1.0)
    state.gate.set()
    for thread in threads:
        thread.join()
    assert results == ["The state is unavailable." if failing else "read"] * 9
    assert state.reads == 2
