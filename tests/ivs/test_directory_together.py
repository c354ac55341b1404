"""Batch lookups of channels: the same rules as for separate lookups, with fewer calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.ivs.staged_ivs import (
    DENIED,
    UNAVAILABLE,
    WAIT_SECONDS,
    BlockedLookup,
    StagedIvs,
    arn_of,
    before_and_after_refresh,
    seeded_random,
    wait_for_lookups,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn, Region
from tokensvc.errors import ChannelNotFound, IvsUnavailable, NotFound
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel
from tokensvc.ivs.turns import Need, Turn, Unlimited
from tokensvc.waiting import MustWait, no_waiting

A, B, C, D, E, F = (arn_of(name) for name in "abcdef")
HUNDRED = [arn_of(f"c{number:02}") for number in range(100)]
REFUSED_FOR_ONE = NotFound("The resource does not exist in Amazon IVS.")


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> ChannelDirectory:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s."""
    terms = DirectoryTerms(jitter=0.0)
    return ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, seeded_random())


def test_a_hundred_unknown_channels_need_two_calls(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Each channel is in one of them, and needs no separate lookup afterwards."""
    directory.warm(HUNDRED)
    assert [len(call) for call in ivs.calls] == [50, 50]
    assert {arn for call in ivs.calls for arn in call} == set(HUNDRED)
    assert [directory.get(arn).arn for arn in HUNDRED] == HUNDRED
    assert ivs.lookups == []


def test_a_single_channel_is_looked_up_separately(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Also when it is repeated: one channel must not need the permission for batch lookups."""
    directory.warm([A] * 100)
    assert ivs.calls == []
    with no_waiting():
        directory.get(A)
    assert ivs.lookups == [A]


def test_lookups_that_are_queued_meanwhile_share_a_call(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """While three calls hang, 60 channels are requested one by one: they need two calls."""
    blocked = ivs.on_lookup = BlockedLookup()
    with ThreadPoolExecutor(3) as pool:
        for number, arn in enumerate((A, B, C), start=1):
            pool.submit(directory.get, arn)
            wait_for_lookups(ivs, number)
        for arn in HUNDRED[:60]:
            with no_waiting(), pytest.raises(MustWait):
                directory.get(arn)
        ivs.on_lookup = lambda: None
        blocked.proceed.set()
    wait_until_idle(directory)
    assert sorted(arn for call in ivs.calls for arn in call) == HUNDRED[:60]
    # Two threads may send them at the same time, in any order.
    assert sorted(len(call) for call in ivs.calls) == [10, 50]
    assert ivs.lookups == [A, B, C]


def test_a_batch_gives_up_all_its_channels_after_two_seconds(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """If IVS hangs, no item of the batch waits again."""
    blocked = ivs.on_lookup = BlockedLookup()
    directory.warm(HUNDRED)
    with no_waiting():
        for arn in HUNDRED:
            with pytest.raises(IvsUnavailable):
                directory.get(arn)
    blocked.proceed.set()
    wait_until_idle(directory)
    assert ivs.lookups == []


def test_each_region_has_calls_of_its_own(directory: ChannelDirectory, ivs: StagedIvs) -> None:
    """In any order of the channels."""
    frankfurt = [
        ChannelArn.parse(f"arn:aws:ivs:eu-central-1:123456789012:channel/{name}") for name in "xy"
    ]
    directory.warm([frankfurt[0], A, frankfurt[1], B])
    assert {frozenset(call) for call in ivs.calls} == {frozenset(frankfurt), frozenset({A, B})}


def test_a_channel_with_a_fresh_answer_is_left_out_of_the_batch(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For 300 s after its lookup; at 300 s it is in the batch with the others that are due."""
    directory.get(A)
    clock.advance(100)
    directory.warm([A, B, C])
    assert [set(call) for call in ivs.calls] == [{B, C}]
    clock.advance(199.9)
    directory.warm([A, B, C])
    assert len(ivs.calls) == 1
    clock.advance(100.1)
    directory.warm([A, B, C])
    wait_until_idle(directory)  # All have a usable answer, so nothing waits for the call.
    assert set(ivs.calls[1]) == {A, B, C}
    assert directory.get(A).name == "call 2"


def test_ages_count_from_when_the_call_was_sent(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """After a call of 8 s, the answers are fresh for 292 s."""
    ivs.on_lookup = lambda: clock.advance(8)
    directory.warm([A, B])
    wait_until_idle(directory)
    ivs.on_lookup = lambda: None
    clock.advance(291.9)
    assert before_and_after_refresh(directory, A) == ("call 1", "call 1")
    clock.advance(0.1)
    assert before_and_after_refresh(directory, A) == ("call 1", "answer 1")


def test_the_answer_not_found_of_a_batch_is_cached_too(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For ten seconds, in place of a good answer; the other channels of the call are cached."""
    directory.get(A)
    clock.advance(300)
    ivs.absent = {A}
    directory.warm([A, B])
    for _ in range(2):
        with pytest.raises(ChannelNotFound, match="channel/a"):
            directory.get(A)
        clock.advance(9.9)
    assert directory.get(B).name == "call 1"
    clock.advance(0.1)
    assert directory.get(A).name == "answer 2"


def test_a_channel_without_an_answer_in_the_batch_is_looked_up_separately(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """For example a channel of another account, which GetChannel denies."""
    ivs.unanswered = {A}
    directory.warm([A, B])
    assert ivs.lookups == [A]
    with no_waiting():
        assert directory.get(A).name == "answer 1"
        assert directory.get(B).name == "call 1"


@pytest.mark.parametrize("error", [DENIED, REFUSED_FOR_ONE])
def test_after_a_refused_batch_every_channel_is_looked_up_separately(
    error: Exception,
    directory: ChannelDirectory,
    ivs: StagedIvs,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All hundred are found, with one line in the log; a batch is tried again after ten seconds."""
    ivs.batch_error = error
    with caplog.at_level(logging.WARNING):
        directory.warm(HUNDRED)
        assert set(ivs.lookups) == set(HUNDRED)
        with no_waiting():
            assert [directory.get(arn).arn for arn in HUNDRED] == HUNDRED
        directory.warm([A, B])
    (message,) = caplog.messages
    assert str(error) in message
    assert len(ivs.calls) == 1
    ivs.batch_error = None
    clock.advance(9.9)
    directory.warm([C, D])
    assert len(ivs.calls) == 1
    clock.advance(0.1)
    directory.warm([E, F])
    assert set(ivs.calls[1]) == {E, F}
    assert len(ivs.lookups) == 104


def test_after_a_batch_without_an_answer_eight_channels_are_looked_up_separately(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """As many as a request can wait for at four calls a second. The others wait for ten seconds."""
    ivs.batch_error = UNAVAILABLE
    directory.warm(HUNDRED[:50])
    assert len(ivs.calls) == 1
    assert len(ivs.lookups) == 8
    with no_waiting():
        assert [directory.get(arn).arn for arn in ivs.lookups] == ivs.lookups
        for arn in set(HUNDRED[:50]).difference(ivs.lookups):
            with pytest.raises(IvsUnavailable):
                directory.get(arn)
    ivs.batch_error = None
    clock.advance(10)
    directory.warm(HUNDRED[:50])
    assert len(ivs.calls[1]) == 42


def test_cached_answers_are_used_while_ivs_fails(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A failed call removes nothing from the cache."""
    directory.warm([A, B])
    clock.advance(86_400)
    ivs.error = UNAVAILABLE
    directory.warm([A, B])
    wait_until_idle(directory)
    assert [directory.get(arn).name for arn in (A, B)] == ["call 1", "call 1"]


def test_get_during_a_batch_waits_for_its_answer(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """At most one lookup for a channel is in flight, in a batch or separate."""
    blocked = ivs.on_lookup = BlockedLookup()
    with ThreadPoolExecutor(3) as pool:
        warming = pool.submit(directory.warm, [A, B])
        assert blocked.started.wait(WAIT_SECONDS)
        waiting = pool.submit(directory.get, A)
        warming_too = pool.submit(directory.warm, [A, B])
        ivs.on_lookup = lambda: None
        assert directory.get(C).name == "answer 1"
        blocked.proceed.set()
        warming.result(WAIT_SECONDS)
        warming_too.result(WAIT_SECONDS)
        assert waiting.result(WAIT_SECONDS).name == "call 1"
    assert len(ivs.calls) == 1
    assert ivs.lookups == [C]


def test_get_that_waited_for_a_failed_batch_looks_the_channel_up_separately(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """A failed batch fails no other request."""
    ivs.batch_error = DENIED
    blocked = ivs.on_lookup = BlockedLookup()
    with ThreadPoolExecutor(2) as pool:
        warming = pool.submit(directory.warm, [A, B])
        assert blocked.started.wait(WAIT_SECONDS)
        waiting = pool.submit(directory.get, A)
        blocked.proceed.set()
        warming.result(WAIT_SECONDS)
        assert waiting.result(WAIT_SECONDS).name == "answer 1"


def test_after_a_bug_in_a_batch_no_thread_waits_for_it(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """The unexpected exception is raised, and the next call runs a new lookup."""
    ivs.batch_error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        directory.warm([A, B])
    assert directory.get(A).name == "answer 1"
    ivs.batch_error = None
    directory.warm([B, C])
    assert directory.get(B).name == "call 2"


def test_with_many_threads_no_channel_has_two_lookups_in_flight(clock: ManualClock) -> None:
    """Answers that are never fresh; eight threads that call `warm` and `get`; six channels."""
    in_flight: dict[ChannelArn, int] = {}
    most = 0
    lock = threading.Lock()
    pause = threading.Event()
    arns = [arn_of(name) for name in "abcdef"]

    def get_channels(batch: list[ChannelArn]) -> dict[ChannelArn, Channel | ChannelNotFound]:
        nonlocal most
        with lock:
            for arn in batch:
                in_flight[arn] = in_flight.get(arn, 0) + 1
            most = max(most, *in_flight.values())
        pause.wait(0.001)
        with lock:
            for arn in batch:
                in_flight[arn] -= 1
            if len(batch) > 1 and batch[0] == arns[0]:
                raise UNAVAILABLE
        return {
            arn: Channel(arn, "", is_private=True, playback_url="https://e.net/x.m3u8")
            for arn in batch
        }

    def get_channel(arn: ChannelArn) -> Channel:
        (channel,) = get_channels([arn]).values()
        assert isinstance(channel, Channel)
        return channel

    terms = DirectoryTerms(fresh_seconds=0, usable_while_failing_seconds=0, negative_seconds=0)
    directory = ChannelDirectory(
        get_channel, lambda batch: get_channels(list(batch)), clock, terms, seeded_random()
    )

    def warm_and_get(number: int) -> Channel:
        directory.warm(arns[number % 3 :])
        return directory.get(arns[number % 6])

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(warm_and_get, number) for number in range(240)]
        assert len([each.result(WAIT_SECONDS) for each in results]) == 240
    assert most == 1


class BrokenTurns(Unlimited):
    """Turns with a bug."""

    is_broken = True

    def take(self, region: Region, need: Callable[[], Need]) -> Turn | None:
        """Raise an unexpected exception."""
        if self.is_broken:
            raise ZeroDivisionError
        return super().take(region, need)


def test_after_a_bug_in_the_turns_no_thread_waits_and_the_next_lookup_works(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """The unexpected exception is raised where the answer is waited for."""
    turns = BrokenTurns()
    directory = ChannelDirectory(
        ivs.get_channel,
        ivs.get_channels,
        clock,
        DirectoryTerms(),
        seeded_random(),
        turns=turns,
    )
    with pytest.raises(ZeroDivisionError):
        directory.get(A)
    turns.is_broken = False
    assert directory.get(A).name == "answer 1"
