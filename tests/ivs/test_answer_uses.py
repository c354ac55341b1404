"""What the channel directory counts for its metrics."""

from __future__ import annotations

from contextlib import suppress

import pytest

from tests.ivs.staged_ivs import (
    NOT_FOUND,
    STAGE,
    UNAVAILABLE,
    StagedIvs,
    arn_of,
    seeded_random,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tokensvc.errors import ChannelNotFound, IvsUnavailable, RateLimited
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.rates import OneProcess


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock) -> ChannelDirectory:
    """Fresh for exactly 300 s, usable for 86,400 s, negative for 10 s."""
    return ChannelDirectory(
        ivs.get_channel,
        ivs.get_channels,
        clock,
        DirectoryTerms(jitter=0.0),
        seeded_random(),
        shares=CallerShares.of(20, OneProcess(), clock),
    )


def counted(directory: ChannelDirectory) -> tuple[dict[str, int], float]:
    """The counts that are not 0 since the last time, and the oldest age."""
    uses = directory.take_uses()
    return {name: count for name, count in uses.counts().items() if count}, uses.oldest_seconds


def test_an_answer_is_fresh_for_300_s_and_stale_from_then_on(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Also between two attempts while IVS fails. The oldest age is that of this interval."""
    directory.get(STAGE)
    assert counted(directory) == ({"unknown": 1}, 0.0)
    clock.advance(300)
    ivs.error = UNAVAILABLE
    directory.get(STAGE)
    wait_until_idle(directory)
    assert counted(directory) == ({"fresh": 1}, 0.0)
    clock.advance(5)
    directory.get(STAGE)
    clock.advance(2)
    directory.get(STAGE)
    assert counted(directory) == ({"stale": 2}, 307.0)
    assert counted(directory) == ({}, 0.0)


def test_channels_that_are_absent_or_not_known_are_counted_apart(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """The answer that there is none is used for 10 s; a failure is no answer."""
    ivs.error = NOT_FOUND
    for _ in range(3):
        with pytest.raises(ChannelNotFound):
            directory.get(STAGE)
    assert counted(directory) == ({"unknown": 1, "absent": 2}, 0.0)
    clock.advance(10)
    ivs.error = UNAVAILABLE
    for _ in range(2):
        with pytest.raises(IvsUnavailable):
            directory.get(STAGE)
    assert counted(directory) == ({"unknown": 2}, 0.0)


def test_the_channels_of_a_batch_are_counted_before_and_after_their_lookup(
    directory: ChannelDirectory,
) -> None:
    """As a single request, that runs again after its lookup."""
    arns = [arn_of(f"n{number}") for number in range(5)]
    directory.warm(arns)
    for arn in arns:
        directory.get(arn)
    assert counted(directory) == ({"unknown": 5, "fresh": 5}, 0.0)


def test_a_caller_that_has_used_up_its_share_is_counted(directory: ChannelDirectory) -> None:
    """Once for each request that is refused for it."""
    arns = [arn_of(f"n{number:03}") for number in range(202)]
    directory.warm(arns, "a")
    for arn in arns:
        with suppress(RateLimited):
            directory.get(arn, "a")
    assert directory.take_uses().limited == 2
