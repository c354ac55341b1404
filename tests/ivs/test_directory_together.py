"""Batch lookups of channels: the same rules as for separate lookups, with fewer calls."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.ivs.staged_ivs import (
    DENIED,
    NOT_FOUND,
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
from tokensvc.errors import ChannelNotFound, IvsUnavailable, NotFound
from tokensvc.ivs.directory import ChannelDirectory, DirectoryTerms
from tokensvc.ivs.model import Channel
from tokensvc.waiting import no_waiting

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


def test_channels_that_no_batch_answers_are_looked_up_at_the_same_time(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """By four threads, and all within the two seconds that the request waits."""
    ivs.batch_error = DENIED
    four = threading.Barrier(4)

    def meet() -> None:
        if ivs.lookups:
            four.wait(WAIT_SECONDS)

    ivs.on_lookup = meet
    directory.warm(HUNDRED)
    assert set(ivs.lookups) == set(HUNDRED)


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
    assert [set(call) for call in ivs.calls] == [set(frankfurt), {A, B}]


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


@pytest.mark.parametrize("error", [UNAVAILABLE, DENIED, REFUSED_FOR_ONE])
def test_after_a_failed_batch_every_channel_is_looked_up_separately(
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


class AnyOrderOfEvents(RuleBasedStateMachine):
    """In any order of events, `warm` does not change which answers the rules allow."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.ivs = StagedIvs()
        self.directory = ChannelDirectory(
            self.ivs.get_channel,
            self.ivs.get_channels,
            self.clock,
            DirectoryTerms(),
            seeded_random(),
        )
        self.good: dict[ChannelArn, float] = {}

    @rule(seconds=st.sampled_from([0.1, 9.9, 10.0, 270.0, 300.0, 80_000.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock moves forward."""
        self.clock.advance(seconds)

    @rule(
        error=st.sampled_from([None, NOT_FOUND, UNAVAILABLE, DENIED]),
        batch_error=st.sampled_from([None, UNAVAILABLE, DENIED]),
        absent=st.sets(st.sampled_from([A, B, C])),
        unanswered=st.sets(st.sampled_from([A, B, C])),
    )
    def ivs_fails_or_recovers(
        self,
        error: Exception | None,
        batch_error: Exception | None,
        absent: set[ChannelArn],
        unanswered: set[ChannelArn],
    ) -> None:
        """From now on, IVS raises these errors, or answers."""
        self.ivs.error, self.ivs.batch_error = error, batch_error
        # A missing channel never fails a whole batch call: the answer has an error for it.
        if isinstance(error, ChannelNotFound):
            self.ivs.batch_error = batch_error or UNAVAILABLE
        self.ivs.absent, self.ivs.unanswered = absent, unanswered

    @rule(arns=st.lists(st.sampled_from([A, B, C])))
    def channels_are_warmed(self, arns: list[ChannelArn]) -> None:
        """Never raises; the test records the answers of each call."""
        before = len(self.ivs.calls)
        lookups_before = len(self.ivs.lookups)
        now = self.clock.monotonic()
        self.directory.warm(arns)
        wait_until_idle(self.directory)
        for call in self.ivs.calls[before:]:
            assert 1 < len(call) == len(set(call)) <= 50
            if self.ivs.error or self.ivs.batch_error:
                continue
            for arn in set(call) - self.ivs.unanswered:
                if arn in self.ivs.absent:
                    self.good.pop(arn, None)
                else:
                    self.good[arn] = now
        for arn in self.ivs.lookups[lookups_before:]:
            if self.ivs.error is None:
                self.good[arn] = now
            elif isinstance(self.ivs.error, ChannelNotFound):
                self.good.pop(arn, None)

    @rule(arn=st.sampled_from([A, B, C]))
    def a_caller_gets_a_channel(self, arn: ChannelArn) -> None:
        """Returns the good answer until it expires, and raises an error afterwards."""
        now = self.clock.monotonic()
        before = len(self.ivs.lookups)
        try:
            answer: Channel | None = self.directory.get(arn)
        except (ChannelNotFound, IvsUnavailable):
            answer = None
        wait_until_idle(self.directory)
        was_usable = arn in self.good and now <= self.good[arn] + 86_400
        if len(self.ivs.lookups) > before:
            if self.ivs.error is None:
                self.good[arn] = now
            elif isinstance(self.ivs.error, ChannelNotFound):
                self.good.pop(arn, None)
        is_usable = arn in self.good and now <= self.good[arn] + 86_400
        assert (answer is not None) == (was_usable or is_usable)

    @invariant()
    def no_finished_lookup_is_in_flight(self) -> None:
        """No thread can wait for a lookup that has ended."""
        assert not self.directory._in_flight


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
