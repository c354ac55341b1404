from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ivs.staged_ivs import NOT_FOUND, STAGE, UNAVAILABLE, StagedIvs, arn_of, dice
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.directory import ChannelDirectory, DirectoryTerms
from tokensvc.ivs.kept_answers import KIND, KeptAnswers
from tokensvc.state.base import Record
from tokensvc.state.sqlite import SqliteState

TERMS = DirectoryTerms(jitter=0.0)  # Fresh for 300 s, usable for 86,400 s, negative for 10 s.


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test drives."""
    return ManualClock()


@pytest.fixture
def state(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteState]:
    """What all processes share."""
    with closing(SqliteState(tmp_path / "state.sqlite3", clock)) as opened:
        yield opened


@pytest.fixture
def ivs() -> StagedIvs:
    """An IVS in good health, which numbers its answers."""
    return StagedIvs()


def process(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock, terms: DirectoryTerms = TERMS
) -> ChannelDirectory:
    """The directory of another process, which has just started."""
    kept = KeptAnswers(state, clock, terms.capacity)
    return ChannelDirectory(ivs.get_channel, ivs.get_channels, clock, terms, dice(), kept)


def test_a_process_that_starts_while_ivs_fails_tells_what_another_has_learned(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """The whole channel, until 86,400 s after that one asked, and no longer."""
    learned = process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(86_399)
    started = process(state, ivs, clock)
    assert started.get(STAGE) == learned
    clock.advance(2)
    with pytest.raises(IvsUnavailable):
        started.get(STAGE)
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)


def test_what_is_learned_together_is_kept_too(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Each channel of the call."""
    both = [arn_of("a"), arn_of("b")]
    directory = process(state, ivs, clock)
    directory.warm(both)
    learned = [directory.get(arn) for arn in both]
    ivs.error = UNAVAILABLE
    assert [process(state, ivs, clock).get(arn) for arn in both] == learned


def test_while_ivs_answers_the_kept_answer_is_not_told(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """It may be a day old. And once IVS answers again, it is asked within 10 s."""
    process(state, ivs, clock).get(STAGE)
    assert process(state, ivs, clock).get(STAGE).name == "answer 2"
    ivs.error = UNAVAILABLE
    third = process(state, ivs, clock)
    assert third.get(STAGE).name == "answer 2"
    ivs.error = None
    clock.advance(10)
    assert third.get(STAGE).name == "answer 4"


def test_a_deleted_channel_is_kept_no_more(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Whichever process hears of it first."""
    process(state, ivs, clock).get(STAGE)
    ivs.error = NOT_FOUND
    with pytest.raises(ChannelNotFound):
        process(state, ivs, clock).get(STAGE)
    assert state.records(KIND) == ()
    ivs.error = UNAVAILABLE
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)


def test_an_unchanged_answer_is_written_again_after_a_tenth_of_its_life(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """8,640 s of 86,400: not at every look-up. One that changed is written at once."""
    answers = KeptAnswers(state, clock, 10)
    channel = ivs.get_channel(STAGE)
    answers.keep(channel, 86_400)
    clock.advance(8_639)
    answers.keep(channel, 86_400)
    assert [record.expires_at for record in state.records(KIND)] == [EXAMPLE_NOW + 86_400]
    clock.advance(1)
    answers.keep(channel, 86_400)
    assert [record.expires_at for record in state.records(KIND)] == [EXAMPLE_NOW + 95_040]
    changed = ivs.get_channel(STAGE)
    answers.keep(changed, 86_400)
    assert answers.recall(STAGE) == (changed, 86_400)


def test_a_clock_that_is_set_back_does_not_stretch_the_life_of_an_answer(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Nor does a setting that was lowered meanwhile: it holds from now on."""
    process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    clock.jump_wall(-1_000_000)
    started = process(state, ivs, clock, DirectoryTerms(usable_while_failing_seconds=600))
    assert started.get(STAGE).name == "answer 1"
    # The wall clock is right again; the life of an answer runs by the other.
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
def test_an_answer_that_can_not_be_read_is_none(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock, body: str
) -> None:
    """Damaged, or by another release: the next good answer takes its place."""
    state.put(KIND, Record(str(STAGE), body, EXAMPLE_NOW + 1_000))
    ivs.error = UNAVAILABLE
    with pytest.raises(IvsUnavailable):
        process(state, ivs, clock).get(STAGE)
    ivs.error = None
    learned = process(state, ivs, clock).get(STAGE)
    ivs.error = UNAVAILABLE
    assert process(state, ivs, clock).get(STAGE) == learned


def test_a_state_that_fails_costs_no_answer(
    state: SqliteState,
    ivs: StagedIvs,
    clock: ManualClock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What IVS says is told all the same, and what could not be kept is kept the next time."""
    process(state, ivs, clock).get(STAGE)
    file, away = tmp_path / "state.sqlite3", tmp_path / "away"
    file.rename(away)
    directory = process(state, ivs, clock)
    assert directory.get(STAGE).name == "answer 2"
    assert f"What IVS says of {STAGE} was not kept" in caplog.text
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
