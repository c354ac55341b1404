from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ivs.staged_ivs import (
    NOT_FOUND,
    STAGE,
    UNAVAILABLE,
    BlockedLookup,
    StagedIvs,
    arn_of,
    before_and_after_refresh,
    seeded_random,
)
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.sqlite_files import (
    created_state,
    stored_records,
    whole_file_locked,
    write_lock_held,
)
from tokensvc.errors import ChannelNotFound, IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.kept_answers import KIND, KeptAnswers
from tokensvc.state.base import Record
from tokensvc.state.record_writer import RecordWriter
from tokensvc.state.sqlite import SqliteState

TERMS = DirectoryTerms(jitter=0.0)  # Fresh for 300 s, usable for 86,400 s, negative for 10 s.


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the state file."""
    return tmp_path / "state.sqlite3"


@pytest.fixture
def state(path: Path, clock: ManualClock) -> Iterator[SqliteState]:
    """The state that all processes share."""
    with closing(created_state(path, clock)) as opened:
        yield opened


@pytest.fixture
def ivs() -> StagedIvs:
    """An IVS without faults, which numbers its answers."""
    return StagedIvs()


class Process:
    """A process that has just started: its channel directory, its stored answers, its writer.

    Leaving its context stops it like a service that closes: it writes what is queued.
    """

    def __init__(
        self,
        state: SqliteState,
        ivs: StagedIvs,
        clock: ManualClock,
        terms: DirectoryTerms = TERMS,
    ) -> None:
        self.writer = RecordWriter(state, KIND)
        self.answers = KeptAnswers(state, clock, self.writer)
        self.directory = ChannelDirectory(
            ivs.get_channel, ivs.get_channels, clock, terms, seeded_random(), self.answers
        )

    def __enter__(self) -> ChannelDirectory:
        self.writer.start()
        return self.directory

    def __exit__(self, *_: object) -> None:
        self.writer.close()


def test_a_process_that_starts_while_ivs_fails_uses_the_answer_of_another_process(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """The whole channel, until 86,400 s after the other process's lookup, and no longer."""
    with Process(state, ivs, clock) as directory:
        channel = directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.advance(86_399)
    with Process(state, ivs, clock) as started:
        assert started.get(STAGE) == channel
        clock.advance(2)
        with pytest.raises(IvsUnavailable):
            started.get(STAGE)
    with Process(state, ivs, clock) as started, pytest.raises(IvsUnavailable):
        started.get(STAGE)


def test_the_answers_of_a_batch_are_stored_too(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """For each channel of the call."""
    both = [arn_of("a"), arn_of("b")]
    with Process(state, ivs, clock) as directory:
        directory.warm(both)
        channels = [directory.get(arn) for arn in both]
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as started:
        assert [started.get(arn) for arn in both] == channels


def test_a_fresh_answer_of_another_process_is_used_instead_of_a_lookup(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Until 300 s after the other process's lookup. Then this process refreshes it for both."""
    with Process(state, ivs, clock) as directory:
        channel = directory.get(STAGE)
    clock.advance(200)
    with Process(state, ivs, clock) as second:
        assert second.get(STAGE) == channel
        clock.advance(99)
        assert before_and_after_refresh(second, STAGE) == ("answer 1", "answer 1")
        assert ivs.lookups == [STAGE]
        with Process(state, ivs, clock) as third:
            assert third.get(STAGE) == channel
            clock.advance(1)
            assert before_and_after_refresh(third, STAGE) == ("answer 1", "answer 2")
        assert before_and_after_refresh(second, STAGE) == ("answer 1", "answer 2")
    assert ivs.lookups == [STAGE, STAGE]


def test_the_answers_of_many_channels_are_read_at_once(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Only the channels that no process knows are asked for."""
    known = [arn_of(f"c{number:02}") for number in range(60)]
    with Process(state, ivs, clock) as directory:
        directory.warm(known)
    with Process(state, ivs, clock) as directory:
        directory.warm([*known, arn_of("new1"), arn_of("new2")])
        assert {directory.get(arn).name for arn in known} == {"call 1", "call 2"}
    # Two threads may send the first two at the same time, in any order.
    assert sorted(len(call) for call in ivs.calls) == [2, 10, 50]


@pytest.mark.parametrize(("ahead_seconds", "lookups"), [(10, 1), (11, 2), (-290, 1), (-301, 2)])
def test_an_answer_from_the_future_is_not_fresh(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock, ahead_seconds: int, lookups: int
) -> None:
    """Clocks differ by ten seconds at most. A clock that is behind makes an answer older."""
    clock.jump_wall(ahead_seconds)
    with Process(state, ivs, clock) as directory:
        directory.get(STAGE)
    clock.jump_wall(-ahead_seconds)
    with Process(state, ivs, clock) as directory:
        directory.get(STAGE)
    assert len(ivs.lookups) == lookups


def test_a_stored_answer_that_is_not_fresh_is_not_used_while_ivs_answers(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Because it may be a day old. When IVS recovers, there is a new lookup within 10 s."""
    with Process(state, ivs, clock) as directory:
        directory.get(STAGE)
    clock.advance(300)
    with Process(state, ivs, clock) as directory:
        assert directory.get(STAGE).name == "answer 2"
    clock.advance(300)
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as third:
        assert third.get(STAGE).name == "answer 2"
        ivs.error = None
        clock.advance(10)
        assert before_and_after_refresh(third, STAGE) == ("answer 2", "answer 4")


def test_the_stored_answer_of_a_deleted_channel_is_deleted(
    path: Path, state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """By the first process that looks the channel up."""
    with Process(state, ivs, clock) as directory:
        directory.get(STAGE)
    clock.advance(300)
    ivs.error = NOT_FOUND
    with Process(state, ivs, clock) as directory, pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    assert stored_records(path, KIND) == []
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as directory, pytest.raises(IvsUnavailable):
        directory.get(STAGE)


def test_an_answer_or_deletion_that_is_not_written_yet_is_used(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A deleted channel is not found in the state while its deletion is queued."""
    process = Process(state, ivs, clock)
    channel = ivs.get_channel(STAGE)
    process.answers.save(channel, 86_400)
    assert process.answers.load(STAGE) == (channel, 86_400)
    process.writer.flush()
    process.answers.delete(STAGE)
    assert process.answers.load(STAGE) is None
    assert state.record(KIND, str(STAGE)) is not None


def test_no_lookup_waits_for_the_write_lock(
    path: Path, state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Another process holds it. A hundred answers are used at once, and written afterwards."""
    with Process(state, ivs, clock) as directory:
        known = directory.get(STAGE)
    ivs.error = NOT_FOUND
    with Process(state, ivs, clock) as directory, write_lock_held(path):
        began_at = time.monotonic()
        with pytest.raises(ChannelNotFound):
            directory.get(arn_of("deleted"))
        ivs.error = None
        arns = [arn_of(f"c{number}") for number in range(100)]
        directory.warm(arns)
        assert [directory.get(arn).arn for arn in arns] == arns
        # A read of the state, which happens only because IVS fails, does not wait either.
        ivs.error = UNAVAILABLE
        assert directory.get(STAGE) == known
        assert time.monotonic() - began_at < 2.0
        assert len(stored_records(path, KIND)) == 1
    assert len(stored_records(path, KIND)) == 101


def test_after_a_failed_read_no_stored_answer_is_read_for_five_seconds(
    path: Path, state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """Only one request of an outage waits for a state file that is locked as a whole."""
    with Process(state, ivs, clock) as directory:
        known = directory.get(STAGE)
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as directory:
        with whole_file_locked(path):
            began_at = time.monotonic()
            for name in ("a", "b", "c", "d", "e", "f", "g", "stage"):
                with pytest.raises(IvsUnavailable):
                    directory.get(arn_of(name))
            assert time.monotonic() - began_at < 5.0
        clock.advance(4.9)
        with pytest.raises(IvsUnavailable):
            directory.get(STAGE)
        clock.advance(5.1)  # Ten seconds after the failure the channel is looked up again.
        assert directory.get(STAGE) == known


def test_a_clock_that_is_set_back_does_not_extend_the_lifetime_of_an_answer(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """A setting that was lowered applies to stored answers too."""
    with Process(state, ivs, clock) as directory:
        directory.get(STAGE)
    ivs.error = UNAVAILABLE
    clock.jump_wall(-1_000_000)
    terms = DirectoryTerms(usable_while_failing_seconds=600)
    with Process(state, ivs, clock, terms) as started:
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
    state.put_many(KIND, [Record(str(STAGE), body, EXAMPLE_NOW + 1_000)])
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as directory, pytest.raises(IvsUnavailable):
        directory.get(STAGE)
    ivs.error = None
    with Process(state, ivs, clock) as directory:
        channel = directory.get(STAGE)
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as directory:
        assert directory.get(STAGE) == channel


def test_a_failing_state_fails_no_lookup(
    path: Path,
    state: SqliteState,
    ivs: StagedIvs,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """IVS's answer is returned nevertheless; it is stored when the state works again."""
    with Process(state, ivs, clock) as directory:
        directory.get(STAGE)
    away = path.rename(path.with_suffix(".away"))
    process = Process(state, ivs, clock)
    assert process.directory.get(STAGE).name == "answer 2"
    assert not process.writer.flush()
    assert {record.name for record in caplog.records} == {
        "tokensvc.ivs.kept_answers",
        "tokensvc.state.record_writer",
    }
    assert str(path) in caplog.text
    ivs.error = NOT_FOUND
    with Process(state, ivs, clock) as directory, pytest.raises(ChannelNotFound):
        directory.get(STAGE)
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as directory, pytest.raises(IvsUnavailable):
        directory.get(STAGE)
    assert str(STAGE) in caplog.text
    away.rename(path)
    assert process.writer.flush()
    with Process(state, ivs, clock) as started:
        assert started.get(STAGE).name == "answer 2"
    ivs.error = None
    clock.advance(300)
    with process:
        before, after = before_and_after_refresh(process.directory, STAGE)
        assert before != after
        latest = process.directory.get(STAGE)
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as started:
        assert started.get(STAGE) == latest


def test_the_stored_answer_is_used_when_ivs_hangs_or_its_region_is_paused(
    state: SqliteState, ivs: StagedIvs, clock: ManualClock
) -> None:
    """After 2 s for the lookup that hangs, and at once while lookups are paused."""
    both = [arn_of("a"), arn_of("b")]
    with Process(state, ivs, clock) as directory:
        channels = [directory.get(arn) for arn in both]
    clock.advance(300)
    ivs.error = UNAVAILABLE
    with Process(state, ivs, clock) as started:
        ivs.on_lookup = blocked = BlockedLookup()
        assert started.get(both[0]) == channels[0]
        blocked.proceed.set()
        for name in "cde":
            with pytest.raises(IvsUnavailable):
                started.get(arn_of(name))
        looked_up = len(ivs.lookups)
        assert started.get(both[1]) == channels[1]
        assert len(ivs.lookups) == looked_up
