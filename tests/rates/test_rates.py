"""Rate limits: how many requests are allowed, by the times when they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokensvc.rates import OneProcess, Rate, RateLimiter

TEN_A_SECOND = Rate("caller", quota=10, window_seconds=1, burst=20)


def allowed(limiter: RateLimiter, count: int, now: float, key: str = "a") -> int:
    """How many of that many requests at that time are allowed."""
    return sum(limiter.take(key, now).is_allowed for _ in range(count))


def test_the_burst_is_allowed_at_once_and_then_the_rate() -> None:
    """20 at once; then one each 0.1 s; after 2 s without a request, the burst again."""
    limiter = RateLimiter(TEN_A_SECOND, OneProcess())
    assert allowed(limiter, 30, now=100.0) == 20
    assert allowed(limiter, 5, now=100.05) == 0
    assert allowed(limiter, 5, now=100.1) == 1
    assert allowed(limiter, 5, now=100.4) == 3
    assert allowed(limiter, 30, now=102.4) == 20


def test_each_key_has_a_limit_of_its_own() -> None:
    """A caller that is at its limit affects no other."""
    limiter = RateLimiter(TEN_A_SECOND, OneProcess())
    assert allowed(limiter, 100, now=5.0, key="a") == 20
    assert allowed(limiter, 15, now=5.0, key="b") == 15


def test_a_standing_says_what_is_left_and_when_the_next_is_allowed() -> None:
    """Of 20: after 15, 5 are left, and all are back in 1.5 s."""
    limiter = RateLimiter(TEN_A_SECOND, OneProcess())
    allowed(limiter, 14, now=0.0)
    standing = limiter.take("a", 0.0)
    assert (standing.is_allowed, standing.left) == (True, 5)
    assert round(standing.full_seconds, 6) == 1.5
    assert standing.retry_seconds == 0
    assert limiter.retry_seconds("a", 0.0) == 0
    allowed(limiter, 5, now=0.0)
    refused = limiter.take("a", 0.025)
    assert (refused.is_allowed, refused.left) == (False, 0)
    assert round(refused.retry_seconds, 6) == 0.075
    assert round(limiter.retry_seconds("a", 0.025), 6) == 0.075
    assert limiter.take("a", 0.1).is_allowed


def test_the_processes_of_a_fleet_share_the_rate_and_the_burst() -> None:
    """Two of them: each allows 10 at once, then five a second."""
    fleet = OneProcess(2.0)
    limiters = [RateLimiter(TEN_A_SECOND, fleet) for _ in range(2)]
    assert [allowed(limiter, 30, now=0.0) for limiter in limiters] == [10, 10]
    assert [allowed(limiter, 30, now=1.0) for limiter in limiters] == [5, 5]


def test_each_process_allows_a_small_burst_however_many_there_are() -> None:
    """Of a limit of 60 a minute in a fleet of 30: 10 at once, and then 2 a minute."""
    limiter = RateLimiter(Rate("viewer", 60, 60, burst=60), OneProcess(30.0))
    assert allowed(limiter, 30, now=0.0) == 10
    assert allowed(limiter, 30, now=29.0) == 0
    assert allowed(limiter, 30, now=60.0) == 2
    small = RateLimiter(Rate("viewer", 3, 60, burst=3), OneProcess(30.0))
    assert allowed(small, 30, now=0.0) == 3


def test_a_fleet_that_grows_gives_nothing_back_and_takes_nothing_away() -> None:
    """What a key has used is kept as the time until its bucket is full: here 1 s."""
    fleet = OneProcess()
    limiter = RateLimiter(TEN_A_SECOND, fleet)
    assert allowed(limiter, 10, now=0.0) == 10
    fleet.count = 2.0
    assert limiter.take("a", 0.0).left == 4  # 5 of the 10 of this process were free.
    fleet.count = 1.0
    assert limiter.take("a", 0.0).left == 7  # That one counted twice.


def test_memory_is_bounded() -> None:
    """The key that was used longest ago is forgotten."""
    limiter = RateLimiter(TEN_A_SECOND, OneProcess(), max_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        allowed(limiter, 20, now=0.0, key=key)
    assert len(limiter) == 3
    assert allowed(limiter, 20, now=0.0, key="a") == 0
    assert allowed(limiter, 20, now=0.0, key="b") == 20


@given(
    quota=st.integers(1, 50),
    window_seconds=st.sampled_from([1, 60]),
    burst=st.integers(1, 100),
    processes=st.integers(1, 8),
    gaps=st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=60),
)
def test_no_window_allows_more_than_the_burst_and_the_rate(
    quota: int, window_seconds: int, burst: int, processes: int, gaps: list[float]
) -> None:
    """In any time; and a request is allowed after the time that a refusal names."""
    limiter = RateLimiter(Rate("caller", quota, window_seconds, burst), OneProcess(processes))
    at_once = max(burst / processes, min(burst, 10))
    each = window_seconds * processes / quota
    taken: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        standing = limiter.take("a", now)
        if standing.is_allowed:
            taken.append(now)
        else:
            assert standing.retry_seconds > 0
            now += standing.retry_seconds
            assert limiter.retry_seconds("a", now) < 0.001 * each
            assert limiter.take("a", now + 1e-5 * each).is_allowed
            taken.append(now)
    for index, begin in enumerate(taken):
        for count, end in enumerate(taken[index:], 1):
            assert count <= at_once + (end - begin) / each + 0.01
