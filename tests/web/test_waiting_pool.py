"""The threads for requests that must wait: no caller keeps another one from them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support import event_loop
from tokensvc.web.waiting_pool import MAX_QUEUE_AGE_SECONDS, PoolIsFull, WaitingPool

HOSTILE, GOOD = "hostile", "good"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What the requests in the threads wait for. It is opened at the end of a test."""
    gate = threading.Event()
    yield gate
    gate.set()


async def refusals(calls: list[asyncio.Task[None]]) -> int:
    """How many of these were refused."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} <= {PoolIsFull, type(None)}
    return sum(isinstance(result, PoolIsFull) for result in results)


def test_a_caller_that_holds_all_its_threads_keeps_no_other_one_waiting(
    gate: threading.Event,
) -> None:
    """Two threads hang and 40 more requests of that caller wait; the other one's are served."""
    running: list[str] = []

    def hang() -> None:
        running.append(HOSTILE)
        gate.wait(30)

    async def main() -> None:
        pool = WaitingPool(threads=2)
        hanging = [asyncio.create_task(pool.run(hang, HOSTILE)) for _ in range(42)]
        await asyncio.sleep(MAX_QUEUE_AGE_SECONDS + 0.05)
        # 32 are queued behind the two that run; the others were refused at once.
        assert len(running) == 2
        assert sum(each.done() for each in hanging) == 8
        with pytest.raises(PoolIsFull):
            await pool.run(hang, HOSTILE)
        for _ in range(20):
            begun_at = time.monotonic()
            assert await pool.run(lambda: GOOD, GOOD) == GOOD
            assert time.monotonic() - begun_at < 2
        assert await pool.run(lambda: "unknown caller") == "unknown caller"
        gate.set()
        assert await refusals(hanging) == 8
        assert not pool._shares
        pool.close()

    event_loop.run(main())
    assert len(running) == 34


def test_when_several_callers_hold_all_threads_the_next_is_refused_after_250_ms(
    gate: threading.Event,
) -> None:
    """It was queued meanwhile, and is served when a thread is free."""

    def hang() -> None:
        gate.wait(30)

    async def main() -> None:
        pool = WaitingPool(threads=1)
        hanging = [asyncio.create_task(pool.run(hang, name)) for name in ("a", "b")]
        await asyncio.sleep(0)
        queued = asyncio.create_task(pool.run(lambda: GOOD, GOOD))
        await asyncio.sleep(MAX_QUEUE_AGE_SECONDS + 0.05)
        with pytest.raises(PoolIsFull):
            await pool.run(lambda: GOOD, "another")
        gate.set()
        assert await queued == GOOD
        await asyncio.gather(*hanging)
        assert await pool.run(lambda: GOOD, "another") == GOOD
        assert not pool._shares
        pool.close()

    event_loop.run(main())


def test_a_request_whose_client_leaves_frees_its_place(gate: threading.Event) -> None:
    """While it is queued; the thread of one that runs is free when it ends."""

    def hang() -> None:
        gate.wait(30)

    async def main() -> None:
        pool = WaitingPool(threads=1)
        running = asyncio.create_task(pool.run(hang, HOSTILE))
        queued = asyncio.create_task(pool.run(hang, HOSTILE))
        await asyncio.sleep(0)
        queued.cancel()
        running.cancel()
        await asyncio.wait([queued, running])
        assert pool._shares[HOSTILE].queued == {}
        gate.set()
        assert await pool.run(lambda: "again", HOSTILE) == "again"
        pool.close()

    event_loop.run(main())
