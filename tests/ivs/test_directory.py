"""The rules of the channel directory: with a manual clock, and with threads."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.ivs.staged_ivs import (
    DENIED,
    NOT_FOUND,
    STAGE,
    UNAVAILABLE,
    WAIT_SECONDS,
    BlockedLookup,
    StagedIvs,
    arn_of,
    before_and_after_refresh,
    seeded_random,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> ChannelDirectory:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s; at most three channels."""
    return ChannelDirectory(
        ivs.get_channel,
        ivs.get_channels,
        clock,
        DirectoryTerms(capacity=3, jitter=0.0),
        seeded_random(),
    )


def test_a_fresh_answer_is_returned_without_a_lookup(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For 300 s after its lookup; at 300 s there is a new lookup, behind the request."""
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(299.9)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    clock.advance(0.1)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 2")


def test_the_age_of_an_answer_counts_from_when_the_lookup_was_sent(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """After a lookup of 1.5 s, the answer is fresh for 298.5 s."""
    ivs.on_lookup = lambda: clock.advance(1.5)
    assert directory.get(STAGE).name == "answer 1"
    ivs.on_lookup = lambda: None
    clock.advance(298.4)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    clock.advance(0.2)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 2")


@pytest.mark.parametrize("error", [UNAVAILABLE, DENIED])
def test_the_cached_answer_is_used_for_a_day_while_ivs_fails(
    error: Exception, directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """It expires 86,400 s after its lookup."""
    directory.get(STAGE)
    ivs.error = error
    clock.advance(86_400)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    clock.advance(0.1)
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def test_a_failed_lookup_is_not_retried_for_ten_seconds(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Neither with a cached answer nor without; afterwards there is a new lookup."""
    directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(300)
    for _ in range(3):
        assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
        with pytest.raises(IvsUnavailable):
            directory.get(arn_of("unheard-of"))
    assert len(ivs.lookups) == 3
    clock.advance(9.9)
    assert directory.get(STAGE).name == "answer 1"
    assert len(ivs.lookups) == 3
    ivs.error = None
    clock.advance(0.1)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 4")
    assert directory.get(arn_of("unheard-of")).name == "answer 5"


def test_the_pause_after_a_failure_counts_from_the_end_of_the_lookup(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A lookup that hung for 15 s must not be retried at once."""
    ivs.error = UNAVAILABLE
    ivs.on_lookup = lambda: clock.advance(15)
    for _ in range(2):
        with pytest.raises(IvsUnavailable):
            directory.get(STAGE)
    assert len(ivs.lookups) == 1


@pytest.mark.parametrize("error", [UNAVAILABLE, DENIED])
def test_the_error_is_safe_for_callers_and_the_log_has_the_reason(
    error: Exception, directory: ChannelDirectory, ivs: StagedIvs, caplog: pytest.LogCaptureFixture
) -> None:
    """IVS's own reason is only in the log, for example that IVS rejects our credentials."""
    ivs.error = error
    with caplog.at_level(logging.WARNING), pytest.raises(IvsUnavailable) as caught:
        directory.get(STAGE)
    assert caught.value.code == "ivs_unavailable"
    assert str(error) not in str(caught.value)
    (message,) = caplog.messages
    assert str(STAGE) in message
    assert str(error) in message


def test_the_answer_not_found_is_cached_for_ten_seconds(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """At exactly 10 s there is a new lookup, which finds a channel that was created meanwhile."""
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound, match="channel/stage"):
        directory.get(STAGE)
    ivs.error = None
    clock.advance(9.9)
    with pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    clock.advance(0.1)
    assert directory.get(STAGE).name == "answer 2"


def test_a_deleted_channel_is_not_returned_from_the_cache(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """The answer "not found" replaces the good one, and a later failure does not restore it."""
    directory.get(STAGE)
    clock.advance(300)
    ivs.error = NOT_FOUND
    assert directory.get(STAGE).name == "answer 1"  # The request that starts the refresh.
    wait_until_idle(directory)
    with pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(10)
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def test_the_least_recently_used_channel_is_evicted(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """With a capacity of three, the fourth channel replaces it."""
    a, b, c, d = (arn_of(name) for name in "abcd")
    for arn in (a, b, c, a, d):
        directory.get(arn)
    ivs.lookups.clear()
    for arn in (a, c, d):
        directory.get(arn)
    assert ivs.lookups == []
    directory.get(b)
    assert ivs.lookups == [b]


@pytest.mark.parametrize("seed", range(20))
def test_jitter_shortens_freshness_by_at_most_a_tenth_and_never_lengthens_it(
    seed: int, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Fresh at 270 s for every random seed; not at 300 s."""
    directory = ChannelDirectory(
        ivs.get_channel, ivs.get_channels, clock, DirectoryTerms(), seeded_random(seed)
    )
    directory.get(STAGE)
    clock.advance(270)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 1")
    clock.advance(30)
    assert before_and_after_refresh(directory, STAGE) == ("answer 1", "answer 2")


def test_channels_that_were_looked_up_together_are_not_refreshed_together(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """At 285 s, in the middle of the jitter's range, some of 100 channels are due."""
    directory = ChannelDirectory(
        ivs.get_channel, ivs.get_channels, clock, DirectoryTerms(), seeded_random()
    )
    arns = [arn_of(f"c{number}") for number in range(100)]
    for arn in arns:
        directory.get(arn)
    clock.advance(285)
    ivs.lookups.clear()
    for arn in arns:
        directory.get(arn)
        wait_until_idle(directory)  # A refresh is skipped while all threads of a region are busy.
    assert 25 < len(ivs.lookups) < 75


def test_a_directory_that_caches_nothing_still_returns_the_answer_of_its_lookup(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """With terms of zero, each call runs a lookup, even a slow one."""
    terms = DirectoryTerms(fresh_seconds=0, usable_while_failing_seconds=0, negative_seconds=0)
    directory = ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, seeded_random())
    ivs.on_lookup = lambda: clock.advance(1)
    assert [directory.get(STAGE).name for _ in range(2)] == ["answer 1", "answer 2"]


def test_an_answer_is_used_while_fresh_even_without_time_for_failures(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """`usable_while_failing_seconds` of 0 does not shorten freshness."""
    terms = DirectoryTerms(usable_while_failing_seconds=0, jitter=0.0)
    directory = ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, seeded_random())
    directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(299)
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(2)
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def concurrent_calls(
    directory: ChannelDirectory, count: int, pool: ThreadPoolExecutor
) -> list[Future[Channel]]:
    """That many threads, all of which have started to call `get`."""
    started = threading.Barrier(count + 1)

    def get() -> Channel:
        started.wait(WAIT_SECONDS)
        return directory.get(STAGE)

    results = [pool.submit(get) for _ in range(count)]
    started.wait(WAIT_SECONDS)
    return results


@pytest.mark.parametrize("error", [None, NOT_FOUND, UNAVAILABLE, RuntimeError("a bug")])
def test_concurrent_calls_get_the_result_of_one_lookup(
    error: Exception | None, directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Seventeen threads wait for one lookup; each of them gets its channel or its error."""
    blocked = ivs.on_lookup = BlockedLookup()
    ivs.error = error
    with ThreadPoolExecutor(17) as pool:
        first = pool.submit(directory.get, STAGE)
        assert blocked.started.wait(WAIT_SECONDS)
        others = concurrent_calls(directory, 16, pool)
        wait_until_all_wait_for_the_lookup(directory, 17)
        blocked.proceed.set()
        outcomes = [each.exception(WAIT_SECONDS) or each.result() for each in (first, *others)]
    assert len(ivs.lookups) == 1
    if error is None:
        assert {getattr(outcome, "name", outcome) for outcome in outcomes} == {"answer 1"}
    else:
        assert {type(outcome) for outcome in outcomes} == {type(error)}


def wait_until_all_wait_for_the_lookup(directory: ChannelDirectory, count: int) -> None:
    """Return when that many threads wait for the lookup in flight."""
    lookup = directory._in_flight[STAGE]
    deadline = threading.Event()
    for _ in range(1_000):
        with lookup.answer._condition:
            if len(lookup.answer._waiters) >= count:
                return
        deadline.wait(0.01)
    pytest.fail("The threads do not wait for the lookup.")


def test_after_a_bug_in_a_lookup_the_next_call_runs_a_new_lookup(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """An unexpected exception leaves no lookup in flight for which others would wait."""
    ivs.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        directory.get(STAGE)
    ivs.error = None
    assert directory.get(STAGE).name == "answer 2"


def test_during_a_refresh_every_request_gets_the_cached_answer_at_once(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Also the one that starts it. They don't wait for the lookup, and start no other one."""
    directory.get(STAGE)
    clock.advance(300)
    blocked = ivs.on_lookup = BlockedLookup()
    assert directory.get(STAGE).name == "answer 1"
    assert blocked.started.wait(WAIT_SECONDS)
    assert [directory.get(STAGE).name for _ in range(5)] == ["answer 1"] * 5
    blocked.proceed.set()
    wait_until_idle(directory)
    assert directory.get(STAGE).name == "answer 2"
    assert len(ivs.lookups) == 2


def test_a_slow_lookup_does_not_delay_another_channel(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Lookups of different channels run concurrently."""
    blocked = ivs.on_lookup = BlockedLookup()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(directory.get, STAGE)
        assert blocked.started.wait(WAIT_SECONDS)
        ivs.on_lookup = lambda: None
        assert directory.get(arn_of("other")).name == "answer 2"
        blocked.proceed.set()
        assert slow.result(WAIT_SECONDS).name == "answer 1"


def test_with_many_threads_no_channel_has_two_lookups_in_flight(clock: ManualClock) -> None:
    """Answers that are never fresh, eight threads, three channels."""
    in_flight: dict[ChannelArn, int] = {}
    most = 0
    lock = threading.Lock()
    pause = threading.Event()

    def fetch(arn: ChannelArn) -> Channel:
        nonlocal most
        with lock:
            in_flight[arn] = in_flight.get(arn, 0) + 1
            most = max(most, in_flight[arn])
        pause.wait(0.001)
        with lock:
            in_flight[arn] -= 1
        return Channel(arn, "", is_private=True, playback_url="https://e.net/x.m3u8")

    terms = DirectoryTerms(fresh_seconds=0, usable_while_failing_seconds=0, capacity=2)
    directory = ChannelDirectory(fetch, lambda _: {}, clock, terms, seeded_random())
    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(directory.get, arn_of("abc"[number % 3])) for number in range(240)]
        assert len([each.result(WAIT_SECONDS) for each in results]) == 240
    assert most == 1
