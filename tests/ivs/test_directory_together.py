"""Channels looked up together: the same rules as one by one, in fewer calls."""

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
    HeldUp,
    StagedIvs,
    arn_of,
    dice,
)
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, IvsUnavailable, NotFound
from tokensvc.ivs.directory import ChannelDirectory, DirectoryTerms
from tokensvc.ivs.model import Channel

A, B, C = (arn_of(name) for name in "abc")
HUNDRED = [arn_of(f"c{number:02}") for number in range(100)]
REFUSED_FOR_ONE = NotFound("Amazon IVS knows no such resource.")


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> ChannelDirectory:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s."""
    terms = DirectoryTerms(jitter=0.0)
    return ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, dice())


def test_a_hundred_unknown_channels_are_two_calls(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Each channel in one of them, and none is asked for by itself afterwards."""
    directory.warm(HUNDRED)
    assert [len(call) for call in ivs.calls] == [50, 50]
    assert {arn for call in ivs.calls for arn in call} == set(HUNDRED)
    assert [directory.get(arn).arn for arn in HUNDRED] == HUNDRED
    assert ivs.asked == []


def test_the_same_channel_many_times_is_asked_for_by_itself(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """One channel is no company: it needs no other permission than before."""
    directory.warm([A] * 100)
    assert ivs.calls == []
    directory.get(A)
    assert ivs.asked == [A]


def test_each_region_has_calls_of_its_own(directory: ChannelDirectory, ivs: StagedIvs) -> None:
    """Whatever the order in which they are named."""
    frankfurt = [
        ChannelArn.parse(f"arn:aws:ivs:eu-central-1:123456789012:channel/{name}") for name in "xy"
    ]
    directory.warm([frankfurt[0], A, frankfurt[1], B])
    assert [set(call) for call in ivs.calls] == [set(frankfurt), {A, B}]


def test_what_is_fresh_is_not_asked_for_again(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Until 300 s after it was asked for, and at 300 s it is, with the others that are due."""
    directory.get(A)
    clock.advance(100)
    directory.warm([A, B, C])
    assert [set(call) for call in ivs.calls] == [{B, C}]
    clock.advance(199.9)
    directory.warm([A, B, C])
    assert len(ivs.calls) == 1
    clock.advance(100.1)
    directory.warm([A, B, C])
    assert set(ivs.calls[1]) == {A, B, C}
    assert directory.get(A).name == "call 2"


def test_ages_run_from_when_the_call_was_sent(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A call of 8 s leaves 292 s."""
    ivs.on_ask = lambda: clock.advance(8)
    directory.warm([A, B])
    ivs.on_ask = lambda: None
    clock.advance(291.9)
    assert directory.get(A).name == "call 1"
    clock.advance(0.1)
    assert directory.get(A).name == "answer 1"


def test_that_a_channel_is_absent_is_learned_together_too(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For ten seconds, in place of a good answer; the others of the call are there."""
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


def test_a_channel_of_which_a_call_says_nothing_is_asked_for_by_itself(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """As one of another account, which GetChannel denies."""
    ivs.unclear = {A}
    directory.warm([A, B])
    assert directory.get(A).name == "answer 1"
    assert directory.get(B).name == "call 1"


@pytest.mark.parametrize("error", [UNAVAILABLE, DENIED, REFUSED_FOR_ONE])
def test_a_failed_call_leaves_every_channel_to_be_asked_for_by_itself(
    error: Exception,
    directory: ChannelDirectory,
    ivs: StagedIvs,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All hundred are told, with one line in the log; ten seconds later a call is tried again."""
    ivs.error_together = error
    with caplog.at_level(logging.WARNING):
        directory.warm(HUNDRED)
        assert [directory.get(arn).arn for arn in HUNDRED] == HUNDRED
        directory.warm([A, B])
    assert caplog.messages == [
        f"Channels are looked up one by one, as together they can't be: {error}"
    ]
    assert len(ivs.calls) == 1
    ivs.error_together = None
    clock.advance(9.9)
    directory.warm([A, B])
    assert len(ivs.calls) == 1
    clock.advance(0.1)
    directory.warm([A, B])
    assert directory.get(A).name == "call 2"


def test_the_last_good_answers_serve_while_ivs_fails(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A failed call takes nothing away."""
    directory.warm([A, B])
    clock.advance(86_400)
    ivs.error = UNAVAILABLE
    directory.warm([A, B])
    assert [directory.get(arn).name for arn in (A, B)] == ["call 1", "call 1"]


def test_who_asks_during_a_call_waits_for_it_and_does_not_ask(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """One look-up at most is under way for a channel, together or alone."""
    held_up = ivs.on_ask = HeldUp()
    with ThreadPoolExecutor(3) as pool:
        warming = pool.submit(directory.warm, [A, B])
        assert held_up.arrived.wait(WAIT_SECONDS)
        asked = pool.submit(directory.get, A)
        ivs.on_ask = lambda: None
        directory.warm([A, B])
        assert directory.get(C).name == "answer 1"
        held_up.go_on.set()
        warming.result(WAIT_SECONDS)
        assert asked.result(WAIT_SECONDS).name == "call 1"
    assert len(ivs.calls) == 1
    assert ivs.asked == [C]


def test_who_waited_for_a_call_that_failed_asks_alone(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """A call that fails costs no other request its answer."""
    ivs.error_together = DENIED
    held_up = ivs.on_ask = HeldUp()
    with ThreadPoolExecutor(2) as pool:
        warming = pool.submit(directory.warm, [A, B])
        assert held_up.arrived.wait(WAIT_SECONDS)
        asked = pool.submit(directory.get, A)
        held_up.go_on.set()
        warming.result(WAIT_SECONDS)
        assert asked.result(WAIT_SECONDS).name == "answer 1"


def test_after_a_fault_in_a_call_nobody_waits_for_it(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """The fault is told, and the next asker asks."""
    ivs.error_together = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError):
        directory.warm([A, B])
    assert directory.get(A).name == "answer 1"
    ivs.error_together = None
    directory.warm([B, C])
    assert directory.get(B).name == "call 2"


def test_under_many_threads_no_channel_has_two_look_ups_at_once(clock: ManualClock) -> None:
    """Answers that are never fresh; eight threads that warm and ask, six channels."""
    under_way: dict[ChannelArn, int] = {}
    most = 0
    lock = threading.Lock()
    pause = threading.Event()
    arns = [arn_of(name) for name in "abcdef"]

    def get_channels(asked: list[ChannelArn]) -> dict[ChannelArn, Channel | ChannelNotFound]:
        nonlocal most
        with lock:
            for arn in asked:
                under_way[arn] = under_way.get(arn, 0) + 1
            most = max(most, *under_way.values())
        pause.wait(0.001)
        with lock:
            for arn in asked:
                under_way[arn] -= 1
            if len(asked) > 1 and asked[0] == arns[0]:
                raise UNAVAILABLE
        return {
            arn: Channel(arn, "", is_private=True, playback_url="https://e.net/x.m3u8")
            for arn in asked
        }

    def get_channel(arn: ChannelArn) -> Channel:
        (channel,) = get_channels([arn]).values()
        assert isinstance(channel, Channel)
        return channel

    terms = DirectoryTerms(fresh_seconds=0, usable_while_failing_seconds=0, negative_seconds=0)
    directory = ChannelDirectory(
        get_channel, lambda asked: get_channels(list(asked)), clock, terms, dice()
    )

    def ask(number: int) -> Channel:
        directory.warm(arns[number % 3 :])
        return directory.get(arns[number % 6])

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(240)]
        assert len([each.result(WAIT_SECONDS) for each in asked]) == 240
    assert most == 1


class AnyOrderOfEvents(RuleBasedStateMachine):
    """A directory that is warmed tells what one that never is may tell, whatever happens."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.ivs = StagedIvs()
        self.directory = ChannelDirectory(
            self.ivs.get_channel, self.ivs.get_channels, self.clock, DirectoryTerms(), dice()
        )
        self.good: dict[ChannelArn, float] = {}

    @rule(seconds=st.sampled_from([0.1, 9.9, 10.0, 270.0, 300.0, 80_000.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock goes on."""
        self.clock.advance(seconds)

    @rule(
        alone=st.sampled_from([None, NOT_FOUND, UNAVAILABLE, DENIED]),
        together=st.sampled_from([None, UNAVAILABLE, DENIED]),
        absent=st.sets(st.sampled_from([A, B, C])),
        unclear=st.sets(st.sampled_from([A, B, C])),
    )
    def the_health_of_ivs_changes(
        self,
        alone: Exception | None,
        together: Exception | None,
        absent: set[ChannelArn],
        unclear: set[ChannelArn],
    ) -> None:
        """From now on IVS answers so."""
        self.ivs.error, self.ivs.error_together = alone, together
        # A call for several never fails for want of one: that is told of the channel.
        if isinstance(alone, ChannelNotFound):
            self.ivs.error_together = together or UNAVAILABLE
        self.ivs.absent, self.ivs.unclear = absent, unclear

    @rule(arns=st.lists(st.sampled_from([A, B, C])))
    def a_batch_is_looked_ahead(self, arns: list[ChannelArn]) -> None:
        """Never raises; what the call said is noted."""
        before = len(self.ivs.calls)
        now = self.clock.monotonic()
        self.directory.warm(arns)
        for call in self.ivs.calls[before:]:
            assert 1 < len(call) == len(set(call)) <= 50
            if self.ivs.error or self.ivs.error_together:
                continue
            for arn in set(call) - self.ivs.unclear:
                if arn in self.ivs.absent:
                    self.good.pop(arn, None)
                else:
                    self.good[arn] = now

    @rule(arn=st.sampled_from([A, B, C]))
    def somebody_asks(self, arn: ChannelArn) -> None:
        """A good answer as long as one may serve, and otherwise a refusal."""
        now = self.clock.monotonic()
        before = len(self.ivs.asked)
        try:
            told: Channel | None = self.directory.get(arn)
        except (ChannelNotFound, IvsUnavailable):
            told = None
        if len(self.ivs.asked) > before:
            if self.ivs.error is None:
                self.good[arn] = now
            elif isinstance(self.ivs.error, ChannelNotFound):
                self.good.pop(arn, None)
        is_usable = arn in self.good and now - self.good[arn] <= 86_400
        assert (told is not None) == is_usable

    @invariant()
    def no_look_up_is_left_behind(self) -> None:
        """Nobody can wait for a look-up that has ended."""
        assert not self.directory._flights


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
