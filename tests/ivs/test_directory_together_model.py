"""Batch lookups of channels in any order of events."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.ivs.staged_ivs import (
    DENIED,
    NOT_FOUND,
    UNAVAILABLE,
    StagedIvs,
    arn_of,
    seeded_random,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel

A, B, C, D = (arn_of(name) for name in "abcd")


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
