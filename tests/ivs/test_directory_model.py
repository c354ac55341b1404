"""The rules of the channel directory in any order of events."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.ivs.staged_ivs import (
    DENIED,
    NOT_FOUND,
    STAGE,
    UNAVAILABLE,
    StagedIvs,
    seeded_random,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel


class AnyOrderOfEvents(RuleBasedStateMachine):
    """In any order of events, the directory follows its rules.

    The model is independent of the directory: it records IVS's answers and their times itself.
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
            seeded_random(),
        )
        self.good: tuple[str, float] | None = None
        self.last_lookup_at = -1e9

    @rule(seconds=st.sampled_from([0.1, 1.0, 9.9, 10.0, 100.0, 270.0, 300.0, 80_000.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock moves forward."""
        self.clock.advance(seconds)

    @rule(error=st.sampled_from([None, NOT_FOUND, UNAVAILABLE, DENIED]))
    def ivs_fails_or_recovers(self, error: Exception | None) -> None:
        """From now on, IVS raises that error, or answers."""
        self.ivs.error = error

    @rule()
    def a_caller_gets_the_channel(self) -> None:
        """The answer is one that the rules allow at this time."""
        now = self.clock.monotonic()
        before = len(self.ivs.lookups)
        try:
            answer: Channel | Exception = self.directory.get(STAGE)
        except (ChannelNotFound, IvsUnavailable) as exc:
            answer = exc
        wait_until_idle(self.directory)
        known = self.good if self.good and now <= self.good[1] + 86_400 else None
        if len(self.ivs.lookups) > before:
            assert now >= self.last_lookup_at + 10
            self.last_lookup_at = now
            if self.ivs.error is None:
                self.good = (f"answer {len(self.ivs.lookups)}", now)
            elif isinstance(self.ivs.error, ChannelNotFound):
                self.good = None
        else:
            assert now < self.last_lookup_at + 300
        if isinstance(answer, Channel):
            expected = known or self.good
            assert expected is not None
            assert answer.name == expected[0]
            assert now <= expected[1] + 86_400
        else:
            assert known is None
            assert self.good is None or now > self.good[1] + 86_400

    @precondition(lambda self: self.ivs.error is None)
    @rule()
    def a_recovered_ivs_is_used_within_the_negative_time(self) -> None:
        """An error is cached for at most ten seconds after the last lookup."""
        self.clock.advance(10)
        self.a_caller_gets_the_channel()
        assert self.good is not None

    @invariant()
    def no_finished_lookup_is_in_flight(self) -> None:
        """No thread can wait for a lookup that has ended."""
        assert not self.directory._in_flight


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
