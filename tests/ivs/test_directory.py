"""The rules of the directory: by a hand-driven clock, with threads, and for any order of events."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.ivs.staged_ivs import (
    DENIED,
    NOT_FOUND,
    STAGE,
    UNAVAILABLE,
    WAIT_SECONDS,
    HeldUp,
    StagedIvs,
    arn_of,
    dice,
)
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.directory import ChannelDirectory, DirectoryTerms
from tokensvc.ivs.model import Channel


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> ChannelDirectory:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s; three channels at most."""
    return ChannelDirectory(
        ivs.get_channel, ivs.get_channels, clock, DirectoryTerms(capacity=3, jitter=0.0), dice()
    )


def test_a_fresh_answer_is_given_without_asking_again(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Until 300 s after it was asked for, and at 300 s no more."""
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(299.9)
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(0.1)
    assert directory.get(STAGE).name == "answer 2"


def test_an_age_runs_from_when_the_look_up_was_sent(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A look-up of 8 s leaves 292 s."""
    ivs.on_ask = lambda: clock.advance(8)
    assert directory.get(STAGE).name == "answer 1"
    ivs.on_ask = lambda: None
    clock.advance(291.9)
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(0.2)
    assert directory.get(STAGE).name == "answer 2"


@pytest.mark.parametrize("error", [UNAVAILABLE, DENIED])
def test_the_last_good_answer_serves_for_a_day_while_ivs_fails(
    error: Exception, directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """86,400 s after it was asked for is the last moment."""
    directory.get(STAGE)
    ivs.error = error
    clock.advance(86_400)
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(0.1)
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def test_a_failed_look_up_is_not_tried_again_for_ten_seconds(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Neither with a last good answer nor without; afterwards IVS is asked and believed."""
    directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(300)
    for _ in range(3):
        assert directory.get(STAGE).name == "answer 1"
        with pytest.raises(IvsUnavailable):
            directory.get(arn_of("unheard-of"))
    assert len(ivs.asked) == 3
    clock.advance(9.9)
    assert directory.get(STAGE).name == "answer 1"
    assert len(ivs.asked) == 3
    ivs.error = None
    clock.advance(0.1)
    assert directory.get(STAGE).name == "answer 4"
    assert directory.get(arn_of("unheard-of")).name == "answer 5"


def test_the_pause_after_a_failure_runs_from_its_end(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A look-up that hung for 15 s must not be followed by another at once."""
    ivs.error = UNAVAILABLE
    ivs.on_ask = lambda: clock.advance(15)
    for _ in range(2):
        with pytest.raises(IvsUnavailable):
            directory.get(STAGE)
    assert len(ivs.asked) == 1


@pytest.mark.parametrize("error", [UNAVAILABLE, DENIED])
def test_a_caller_reads_safe_words_and_the_operator_the_reason(
    error: Exception, directory: ChannelDirectory, ivs: StagedIvs, caplog: pytest.LogCaptureFixture
) -> None:
    """IVS's own reason stays in the log, even when it is a refusal of our credentials."""
    ivs.error = error
    with caplog.at_level(logging.WARNING), pytest.raises(IvsUnavailable) as caught:
        directory.get(STAGE)
    assert str(caught.value) == (
        "Amazon IVS can't be asked about this channel just now. Try again soon."
    )
    assert caplog.messages == [f"The channel {STAGE} could not be looked up: {error}"]


def test_that_there_is_no_such_channel_is_remembered_for_ten_seconds(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """At exactly 10 s IVS is asked again, and a channel made meanwhile is found."""
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound, match="channel/stage"):
        directory.get(STAGE)
    ivs.error = None
    clock.advance(9.9)
    with pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    clock.advance(0.1)
    assert directory.get(STAGE).name == "answer 2"


def test_a_channel_that_was_deleted_is_not_served_from_memory(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Absence replaces a good answer, and a later failure does not bring it back."""
    directory.get(STAGE)
    clock.advance(300)
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(10)
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def test_the_channel_that_was_asked_for_longest_ago_gives_way(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Three places: the fourth channel takes that of the least recently used."""
    a, b, c, d = (arn_of(name) for name in "abcd")
    for arn in (a, b, c, a, d):
        directory.get(arn)
    ivs.asked.clear()
    for arn in (a, c, d):
        directory.get(arn)
    assert ivs.asked == []
    directory.get(b)
    assert ivs.asked == [b]


@pytest.mark.parametrize("seed", range(20))
def test_jitter_shortens_freshness_by_a_tenth_at_most_and_never_lengthens_it(
    seed: int, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Fresh at 270 s, whatever the dice; not at 300 s."""
    directory = ChannelDirectory(
        ivs.get_channel, ivs.get_channels, clock, DirectoryTerms(), dice(seed)
    )
    directory.get(STAGE)
    clock.advance(270)
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(30)
    assert directory.get(STAGE).name == "answer 2"


def test_channels_learned_together_are_not_asked_for_again_together(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """At 285 s, half of the jitter's span, some of 100 channels are due and some are not."""
    directory = ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, DirectoryTerms(), dice())
    arns = [arn_of(f"c{number}") for number in range(100)]
    for arn in arns:
        directory.get(arn)
    clock.advance(285)
    ivs.asked.clear()
    for arn in arns:
        directory.get(arn)
    assert 25 < len(ivs.asked) < 75


def test_a_directory_without_grace_still_gives_what_it_has_just_learned(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """Terms of zero mean that each asker asks IVS, however long that takes."""
    terms = DirectoryTerms(fresh_seconds=0, usable_while_failing_seconds=0, negative_seconds=0)
    directory = ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, dice())
    ivs.on_ask = lambda: clock.advance(1)
    assert [directory.get(STAGE).name for _ in range(2)] == ["answer 1", "answer 2"]


def test_a_fresh_answer_serves_even_where_nothing_may_serve_once_ivs_fails(
    ivs: StagedIvs, clock: ManualClock
) -> None:
    """No grace for failures does not shorten freshness."""
    terms = DirectoryTerms(usable_while_failing_seconds=0, jitter=0.0)
    directory = ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, dice())
    directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(299)
    assert directory.get(STAGE).name == "answer 1"
    clock.advance(2)
    with pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def askers(
    directory: ChannelDirectory, count: int, pool: ThreadPoolExecutor
) -> list[Future[Channel]]:
    """That many threads, all of which have begun to ask."""
    begun = threading.Barrier(count + 1)

    def ask() -> Channel:
        begun.wait(WAIT_SECONDS)
        return directory.get(STAGE)

    asked = [pool.submit(ask) for _ in range(count)]
    begun.wait(WAIT_SECONDS)
    return asked


@pytest.mark.parametrize("error", [None, NOT_FOUND, UNAVAILABLE, RuntimeError("a fault of ours")])
def test_all_who_ask_at_once_get_the_outcome_of_one_look_up(
    error: Exception | None, directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Sixteen threads, one look-up; its channel or its error reaches every one of them."""
    held_up = ivs.on_ask = HeldUp()
    ivs.error = error
    with ThreadPoolExecutor(17) as pool:
        first = pool.submit(directory.get, STAGE)
        assert held_up.arrived.wait(WAIT_SECONDS)
        others = askers(directory, 16, pool)
        wait_until_all_wait_for_the_flight(directory, 16)
        held_up.go_on.set()
        outcomes = [asked.exception(WAIT_SECONDS) or asked.result() for asked in (first, *others)]
    assert len(ivs.asked) == 1
    if error is None:
        assert {getattr(outcome, "name", outcome) for outcome in outcomes} == {"answer 1"}
    else:
        assert {type(outcome) for outcome in outcomes} == {type(error)}


def wait_until_all_wait_for_the_flight(directory: ChannelDirectory, count: int) -> None:
    """Return when that many threads wait for the look-up that is under way."""
    flight = directory._flights[STAGE]
    condition = flight._condition
    deadline = threading.Event()
    for _ in range(1_000):
        with condition:
            if len(condition._waiters) >= count:  # type: ignore[attr-defined]  # not in the stubs
                return
        deadline.wait(0.01)
    pytest.fail("The threads do not wait for the look-up.")


def test_after_a_fault_in_a_look_up_the_next_asker_looks_up_again(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """A fault leaves no look-up behind that others would wait for."""
    ivs.error = RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError):
        directory.get(STAGE)
    ivs.error = None
    assert directory.get(STAGE).name == "answer 2"


def test_while_one_thread_looks_up_anew_the_others_get_the_last_good_answer_at_once(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """They neither wait for the look-up nor begin one."""
    directory.get(STAGE)
    clock.advance(300)
    held_up = ivs.on_ask = HeldUp()
    with ThreadPoolExecutor(1) as pool:
        refresher = pool.submit(directory.get, STAGE)
        assert held_up.arrived.wait(WAIT_SECONDS)
        assert [directory.get(STAGE).name for _ in range(5)] == ["answer 1"] * 5
        held_up.go_on.set()
        assert refresher.result(WAIT_SECONDS).name == "answer 2"
    assert directory.get(STAGE).name == "answer 2"
    assert len(ivs.asked) == 2


def test_a_slow_channel_does_not_hold_up_another(
    directory: ChannelDirectory, ivs: StagedIvs
) -> None:
    """Look-ups of different channels go on side by side."""
    held_up = ivs.on_ask = HeldUp()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(directory.get, STAGE)
        assert held_up.arrived.wait(WAIT_SECONDS)
        ivs.on_ask = lambda: None
        assert directory.get(arn_of("other")).name == "answer 2"
        held_up.go_on.set()
        assert slow.result(WAIT_SECONDS).name == "answer 1"


def test_under_many_threads_no_channel_has_two_look_ups_at_once(clock: ManualClock) -> None:
    """Answers that are never fresh, eight threads, three channels."""
    under_way: dict[ChannelArn, int] = {}
    most = 0
    lock = threading.Lock()
    pause = threading.Event()

    def fetch(arn: ChannelArn) -> Channel:
        nonlocal most
        with lock:
            under_way[arn] = under_way.get(arn, 0) + 1
            most = max(most, under_way[arn])
        pause.wait(0.001)
        with lock:
            under_way[arn] -= 1
        return Channel(arn, "", is_private=True, playback_url="https://e.net/x.m3u8")

    terms = DirectoryTerms(fresh_seconds=0, usable_while_failing_seconds=0, capacity=2)
    directory = ChannelDirectory(fetch, lambda _: {}, clock, terms, dice())
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(directory.get, arn_of("abc"[number % 3])) for number in range(240)]
        assert len([each.result(WAIT_SECONDS) for each in asked]) == 240
    assert most == 1


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Whatever happens in whatever order, the directory keeps to its rules.

    The model is kept apart from the directory: when IVS last said what, by the test's own notes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.ivs = StagedIvs()
        self.directory = ChannelDirectory(
            self.ivs.get_channel,
            self.ivs.get_channels,
            self.clock,
            DirectoryTerms(capacity=100),
            dice(),
        )
        self.good: tuple[str, float] | None = None
        self.asked_last = -1e9

    @rule(seconds=st.sampled_from([0.1, 1.0, 9.9, 10.0, 100.0, 270.0, 300.0, 80_000.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock goes on."""
        self.clock.advance(seconds)

    @rule(error=st.sampled_from([None, NOT_FOUND, UNAVAILABLE, DENIED]))
    def the_health_of_ivs_changes(self, error: Exception | None) -> None:
        """From now on IVS answers so."""
        self.ivs.error = error

    @rule()
    def somebody_asks(self) -> None:
        """The answer is one that the rules allow now."""
        now = self.clock.monotonic()
        before = len(self.ivs.asked)
        try:
            told: Channel | Exception = self.directory.get(STAGE)
        except (ChannelNotFound, IvsUnavailable) as exc:
            told = exc
        if len(self.ivs.asked) > before:
            assert now - self.asked_last >= 10
            self.asked_last = now
            if self.ivs.error is None:
                self.good = (f"answer {len(self.ivs.asked)}", now)
            elif isinstance(self.ivs.error, ChannelNotFound):
                self.good = None
        else:
            assert now - self.asked_last < 300
        if isinstance(told, Channel):
            assert self.good is not None
            assert told.name == self.good[0]
            assert now - self.good[1] <= 86_400
        else:
            assert self.good is None or now - self.good[1] > 86_400

    @precondition(lambda self: self.ivs.error is None)
    @rule()
    def a_healthy_ivs_is_heard_within_the_negative_time(self) -> None:
        """Ten seconds after the last look-up at most, a refusal is over."""
        self.clock.advance(10)
        self.somebody_asks()
        assert self.good is not None

    @invariant()
    def no_look_up_is_left_behind(self) -> None:
        """Nobody can wait for a look-up that has ended."""
        assert not self.directory._flights


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
