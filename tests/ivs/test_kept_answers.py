from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ivs.staged_ivs import NOT_FOUND, STAGE, UNAVAILABLE, StagedIvs, arn_of, seeded_random
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.directory import ChannelDirectory, DirectoryTerms
from tokensvc.ivs.kept_answers import KIND, KeptAnswers
from tokensvc.state.base import Record
from tokensvc.state.sqlite import SqliteState

TERMS = DirectoryTerms(jitter=0.0)  # Fresh for 300 s, usable for 86,400 s, negative for 10 s.


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteState]:
    """The state that all processes share."""
    with closing(SqliteState(tmp_path / "state.sqlite3", clock)) as opened:
        yield opened


@pytest.fixture
def ivs() -> StagedIvs:
    """An IVS without faults, which numbers its answers."""
    return StagedIvs()


def process(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock, terms: DirectoryTerms = TERMS
) -> ChannelDirectory:
    """The channel directory of another process, which has just started."""
    stored = KeptAnswers(state, clock, terms.capacity)
    return ChannelDirectory(
        ivs.get_channel, ivs.get_channels, clock, terms, seeded_random(), stored
    )


def test_a_process_that_starts_while_ivs_fails_uses_the_answer_of_another_process(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """The whole channel, until 86,400 s after the other process's lookup, and no longer."""
    channel = process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(86_399)
    started = process(state, ivs, clock)
    assert started.get(STAGE) == channel
    clock.advance(2)
    with pytest.raises(IvsUnavailable):
        started.get(STAGE)
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)


def test_the_answers_of_a_batch_are_stored_too(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For each channel of the call."""
    both = [arn_of("a"), arn_of("b")]
    directory = process(state, ivs, clock)
    directory.warm(both)
    channels = [directory.get(arn) for arn in both]
    ivs.error = UNAVAILABLE
    assert [process(state, ivs, clock).get(arn) for arn in both] == channels


def test_the_stored_answer_is_not_used_while_ivs_answers(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Because it may be a day old. When IVS recovers, there is a new lookup within 10 s."""
    process(state, ivs, clock).get(STAGE)
    assert process(state, ivs, clock).get(STAGE).name == "answer 2"
    ivs.error = UNAVAILABLE
    third = process(state, ivs, clock)
    assert third.get(STAGE).name == "answer 2"
    ivs.error = None
    clock.advance(10)
    assert third.get(STAGE).name == "answer 4"


def test_the_stored_answer_of_a_deleted_channel_is_deleted(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """By the first process that looks the channel up."""
    process(state, ivs, clock).get(STAGE)
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound):
        process(state, ivs, clock).get(STAGE)
    assert state.records(KIND) == ()
    ivs.error = UNAVAILABLE
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)


def test_an_unchanged_answer_is_written_again_after_a_tenth_of_its_lifetime(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """8,640 s of 86,400, not at every lookup. A changed answer is written at once."""
    answers = KeptAnswers(state, clock, 10)
    channel = ivs.get_channel(STAGE)
    answers.save(channel, 86_400)
    clock.advance(8_639)
    answers.save(channel, 86_400)
    assert [record.expires_at for record in state.records(KIND)] == [EXAMPLE_NOW + 86_400]
    clock.advance(1)
    answers.save(channel, 86_400)
    assert [record.expires_at for record in state.records(KIND)] == [EXAMPLE_NOW + 95_040]
    changed = ivs.get_channel(STAGE)
    answers.save(changed, 86_400)
    assert answers.load(STAGE) == (changed, 86_400)


def test_a_clock_that_is_set_back_does_not_extend_the_lifetime_of_an_answer(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A setting that was lowered applies to stored answers too."""
    process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    clock.jump_wall(-1_000_000)
    started = process(state, ivs, clock, DirectoryTerms(usable_while_failing_seconds=600))
    assert started.get(STAGE).name == "answer 1"
    # The wall clock is right again; the lifetime counts by the monotonic clock.
    clock.advance(601)
    clock.jump_wall(1_000_000 + 86_400)
    with pytest.raises(IvsUnavailable):
        started.get(STAGE)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"schema_version": 1}',
        json.dumps({"schema_version": 2, "name": "", "is_private": True, "playback_url": "x"}),
        json.dumps({"schema_version": 1, "name": "", "is_private": "no", "playback_url": "x"}),
    ],
)
def test_an_unreadable_stored_answer_is_ignored(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock, body: str
) -> None:
    """Damaged, or written by another release: the next good answer replaces it."""
    state.put(KIND, Record(str(STAGE), body, EXAMPLE_NOW + 1_000))
    ivs.error = UNAVAILABLE
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)
    ivs.error = None
    channel = process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    assert process(state, ivs, clock).get(STAGE) == channel


def test_a_failing_state_fails_no_lookup(
    state: SqliteState,
    ivs: StagedIvs,
    clock: ManualClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """IVS's answer is returned nevertheless; it is stored after the next lookup."""
    process(state, ivs, clock).get(STAGE)
    file, away = tmp_path / "state.sqlite3", tmp_path / "away"
    file.rename(away)
    directory = process(state, ivs, clock)
    assert directory.get(STAGE).name == "answer 2"
    assert str(STAGE) in caplog.text
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound):
        process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)
    away.rename(file)
    ivs.error = None
    clock.advance(300)
    latest = directory.get(STAGE)
    ivs.error = UNAVAILABLE
    assert process(state, ivs, clock).get(STAGE) == latest
