"""The share of each caller in the lookups of unknown channels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ivs.staged_ivs import (
    UNAVAILABLE,
    StagedIvs,
    arn_of,
    seeded_random,
    wait_until_idle,
)
from tests.support.clock import ManualClock
from tests.support.sqlite_files import created_state
from tokensvc.errors import IvsUnavailable, RateLimited
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.caller_shares import CallerShares
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.kept_answers import KIND, KeptAnswers
from tokensvc.rates import OneProcess
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.sqlite import SqliteState

ARNS = [arn_of(f"n{number:03}") for number in range(300)]


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteState]:
    """The state that all processes share."""
    with closing(created_state(tmp_path / "state.sqlite3", clock)) as opened:
        yield opened


def directory_of(
    ivs: StagedIvs, clock: ManualClock, state: SqliteState, capacity: int = 10_000
) -> ChannelDirectory:
    """A new process. Each caller gets 200 unknown channels at once, then 20 a second."""
    return ChannelDirectory(
        ivs.get_channel,
        ivs.get_channels,
        clock,
        DirectoryTerms(jitter=0.0, capacity=capacity),
        seeded_random(),
        KeptAnswers(state, clock, RecordWriter(state, KIND)),
        shares=CallerShares.of(20, OneProcess(), clock),
    )


@pytest.fixture
def directory(ivs: StagedIvs, clock: ManualClock, state: SqliteState) -> ChannelDirectory:
    """A process that knows no channel."""
    return directory_of(ivs, clock, state)


def test_the_201st_unknown_channel_of_a_caller_is_refused(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Nothing is looked up or cached for it. Known channels and other callers are not affected."""
    directory.warm(ARNS[:250], "a")
    assert sum(len(call) for call in ivs.calls) == 200
    refused = []
    for arn in ARNS[:250]:
        try:
            directory.get(arn, "a")
        except RateLimited as exc:
            refused.append(exc.retry_after_seconds)
    assert refused == 50 * [1]
    assert len(directory._cache) == 200
    assert directory.get(ARNS[299], "b").arn == ARNS[299]
    clock.advance(0.05)
    assert directory.get(ARNS[298], "a").arn == ARNS[298]
    with pytest.raises(RateLimited):
        directory.get(ARNS[297], "a")


def test_a_refresh_and_what_no_caller_requests_do_not_count(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock
) -> None:
    """The caller has used up its share, but its channels stay fresh."""
    directory.warm(ARNS[:200], "a")
    clock.advance(0.001)
    with pytest.raises(RateLimited):
        directory.get(ARNS[200], "a")
    directory.get(ARNS[200])
    clock.advance(301)
    ivs.lookups.clear()
    assert directory.get(ARNS[0], "a").arn == ARNS[0]
    wait_until_idle(directory)
    assert ivs.lookups == [ARNS[0]]


def test_a_stored_answer_does_not_count(
    directory: ChannelDirectory, ivs: StagedIvs, clock: ManualClock, state: SqliteState
) -> None:
    """A process that starts reads as many as there are."""
    directory.warm(ARNS)
    assert directory._stored is not None
    directory._stored.flush()
    ivs.calls.clear()
    started = directory_of(ivs, clock, state)
    for begin in (0, 100, 200):
        started.warm(ARNS[begin : begin + 100], "a")
        assert [started.get(arn, "a").arn for arn in ARNS[begin : begin + 100]]
    assert ivs.calls == []


def test_while_ivs_fails_unknown_channels_push_no_known_one_out_of_the_cache(
    ivs: StagedIvs, clock: ManualClock, state: SqliteState
) -> None:
    """Of 250 places: 50 known channels stay, although a caller requests 300 others."""
    directory = directory_of(ivs, clock, state, capacity=250)
    directory.warm(ARNS[:50], "good")
    ivs.error = UNAVAILABLE
    for number in range(300):
        with pytest.raises((IvsUnavailable, RateLimited)):
            directory.get(arn_of(f"unknown{number}"), "hostile")
    assert {directory.get(arn, "good").arn for arn in ARNS[:50]} == set(ARNS[:50])
