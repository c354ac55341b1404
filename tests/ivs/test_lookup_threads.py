from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.ivs.staged_ivs import WAIT_SECONDS
from tokensvc.arns import ChannelArn, Region
from tokensvc.ivs.lookup_threads import LookupThreads

OREGON, FRANKFURT, TOKYO = (
    ChannelArn.parse(f"arn:aws:ivs:{name}:123456789012:channel/a").region
    for name in ("us-west-2", "eu-central-1", "ap-northeast-1")
)


class Blocked:
    """Work that runs until the test ends it."""

    def __init__(self) -> None:
        self.started: list[Region] = []
        self.proceed: dict[Region, threading.Event] = {
            region: threading.Event() for region in (OREGON, FRANKFURT, TOKYO)
        }

    def __call__(self, region: Region) -> None:
        """Note that the work has started, and wait."""
        self.started.append(region)
        self.proceed[region].wait(WAIT_SECONDS)

    def wait_for(self, count: int) -> None:
        """Return when that much work has started, and no more starts."""
        give_up_at = time.monotonic() + WAIT_SECONDS
        while len(self.started) < count:
            assert time.monotonic() < give_up_at
            time.sleep(0.001)
        time.sleep(0.02)
        assert len(self.started) == count


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    """Work that ends with the test."""
    work = Blocked()
    yield work
    for event in work.proceed.values():
        event.set()


@pytest.fixture
def threads(blocked: Blocked) -> LookupThreads:
    """Threads that do that work."""
    return LookupThreads(blocked)


def test_one_region_occupies_at_most_four_of_eight_threads(
    threads: LookupThreads, blocked: Blocked
) -> None:
    """The others stay free for other regions. What may not wait is refused."""
    assert [threads.run(OREGON, may_wait=False) for _ in range(5)] == [*4 * [True], False]
    assert [threads.run(TOKYO, may_wait=False) for _ in range(4)] == 4 * [True]
    assert not threads.run(FRANKFURT, may_wait=False)
    blocked.wait_for(8)


def test_a_region_that_waits_gets_the_next_thread_that_is_free_for_it(
    threads: LookupThreads, blocked: Blocked
) -> None:
    """Once, however often it has something new; a region that waits does not delay another one."""
    for region in (OREGON, FRANKFURT):
        assert all(threads.run(region, may_wait=True) for _ in range(4))
    for region in (OREGON, OREGON, TOKYO):
        assert threads.run(region, may_wait=True)
    blocked.wait_for(8)
    blocked.proceed[FRANKFURT].set()
    blocked.wait_for(9)
    assert blocked.started[8] == TOKYO
    blocked.proceed[OREGON].set()
    blocked.wait_for(10)
    assert blocked.started[9] == OREGON


def test_no_thread_is_left_when_nothing_is_looked_up(
    threads: LookupThreads, blocked: Blocked
) -> None:
    """None exists before the first lookup either, so that a process may fork."""
    before = set(threading.enumerate())
    assert threads.run(OREGON, may_wait=True)
    assert len(set(threading.enumerate()) - before) == 1
    blocked.proceed[OREGON].set()
    give_up_at = time.monotonic() + WAIT_SECONDS
    while set(threading.enumerate()) - before:
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def test_after_close_no_work_starts(threads: LookupThreads, blocked: Blocked) -> None:
    """Nor does that of a region which waits."""
    assert all(threads.run(OREGON, may_wait=True) for _ in range(5))
    threads.close()
    assert not threads.run(FRANKFURT, may_wait=True)
    blocked.proceed[OREGON].set()
    blocked.wait_for(4)


def test_a_system_without_free_threads_refuses(
    threads: LookupThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows is not affected."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", fail)
        assert not any(threads.run(OREGON, may_wait=True) for _ in range(5))
    assert all(threads.run(OREGON, may_wait=False) for _ in range(4))
