from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.ivs.staged_ivs import WAIT_SECONDS
from tokensvc.arns import ChannelArn
from tokensvc.ivs.lookup_threads import LookupThreads

OREGON, FRANKFURT, TOKYO = (
    ChannelArn.parse(f"arn:aws:ivs:{name}:123456789012:channel/a").region
    for name in ("us-west-2", "eu-central-1", "ap-northeast-1")
)


class Blocked:
    """Lookups that run until the test ends them."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.proceed = threading.Event()

    def __call__(self, name: str = "") -> None:
        """Note that a lookup has started, and wait."""
        self.started.append(name)
        self.proceed.wait(WAIT_SECONDS)

    def wait_for(self, count: int) -> None:
        """Return when that many lookups have started, and no more start."""
        give_up_at = time.monotonic() + WAIT_SECONDS
        while len(self.started) < count:
            assert time.monotonic() < give_up_at
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(self.started) == count


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    """Lookups that end with the test."""
    lookups = Blocked()
    yield lookups
    lookups.proceed.set()


def test_one_region_occupies_at_most_four_of_eight_threads(blocked: Blocked) -> None:
    """The others stay free for other regions. A lookup that may not be queued is refused."""
    threads = LookupThreads()
    assert [threads.run(OREGON, blocked, may_queue=False) for _ in range(5)] == [*4 * [True], False]
    assert [threads.run(TOKYO, blocked, may_queue=False) for _ in range(4)] == 4 * [True]
    assert not threads.run(FRANKFURT, blocked, may_queue=False)
    blocked.wait_for(8)


def test_a_queued_lookup_runs_when_a_thread_is_free_for_its_region(blocked: Blocked) -> None:
    """In order within a region; a region that waits does not delay another one."""
    threads = LookupThreads()
    other, order = Blocked(), Blocked()
    order.proceed.set()
    assert all(threads.run(OREGON, blocked, may_queue=True) for _ in range(4))
    assert all(threads.run(FRANKFURT, other, may_queue=True) for _ in range(4))
    for region, name in [(OREGON, "west 1"), (OREGON, "west 2"), (FRANKFURT, "east")]:
        assert threads.run(region, partial(order, name), may_queue=True)
    other.proceed.set()
    order.wait_for(1)
    assert order.started == ["east"]
    blocked.proceed.set()
    order.wait_for(3)
    assert set(order.started[1:]) == {"west 1", "west 2"}


def test_a_region_queues_at_most_a_hundred_lookups(blocked: Blocked) -> None:
    """Another region has a queue of its own."""
    threads = LookupThreads()
    accepted = [threads.run(OREGON, blocked, may_queue=True) for _ in range(105)]
    assert accepted == [*104 * [True], False]
    assert threads.run(FRANKFURT, blocked, may_queue=True)
    blocked.wait_for(5)
    threads.close()


def test_no_thread_is_left_when_nothing_is_looked_up(blocked: Blocked) -> None:
    """None exists before the first lookup either, so that a process may fork."""
    before = set(threading.enumerate())
    threads = LookupThreads()
    assert set(threading.enumerate()) <= before
    assert threads.run(OREGON, blocked, may_queue=True)
    assert len(set(threading.enumerate()) - before) == 1
    blocked.proceed.set()
    give_up_at = time.monotonic() + WAIT_SECONDS
    while set(threading.enumerate()) - before:
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def test_after_close_no_lookup_starts(blocked: Blocked) -> None:
    """Nor one that was queued."""
    threads = LookupThreads()
    assert all(threads.run(OREGON, blocked, may_queue=True) for _ in range(5))
    threads.close()
    assert not threads.run(FRANKFURT, blocked, may_queue=True)
    blocked.proceed.set()
    blocked.wait_for(4)


def test_a_system_without_free_threads_refuses_the_lookup(
    blocked: Blocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lookups that follow are not affected."""
    threads = LookupThreads()

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", fail)
        assert not any(threads.run(OREGON, blocked, may_queue=True) for _ in range(5))
    assert all(threads.run(OREGON, blocked, may_queue=False) for _ in range(4))
