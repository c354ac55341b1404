"""The count of live processes, by the records that they write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.sqlite_files import created_state
from tokensvc.state.base import Record
from tokensvc.state.replicas import KIND, Replicas
from tokensvc.state.sqlite import SqliteState


@pytest.fixture
def clock() -> ManualClock:
    """The clock of all processes."""
    return ManualClock()


@pytest.fixture
def state(path: Path, clock: ManualClock) -> SqliteState:
    """The state that they share."""
    return created_state(path, clock)


def fleet(state: SqliteState, clock: ManualClock, count: int) -> list[Replicas]:
    """That many processes, each of which has looked once."""
    made = [Replicas(state, clock, least=1) for _ in range(count)]
    for replica in made:
        replica.look()
    return made


def test_each_process_counts_all_of_them(state: SqliteState, clock: ManualClock) -> None:
    """As soon as it looks again."""
    first, *others = fleet(state, clock, 5)
    assert first.count == 1
    assert others[-1].count == 5
    first.look()
    assert first.count == 5


def test_a_process_that_ended_counts_for_40_seconds_more(
    state: SqliteState, clock: ManualClock
) -> None:
    """The count falls by a quarter at most with each look."""
    survivor, *_ = fleet(state, clock, 16)
    clock.advance(39)
    survivor.look()
    assert survivor.count == 16
    clock.advance(1)
    counts = []
    for _ in range(10):
        survivor.look()
        counts.append(survivor.count)
    assert counts[:3] == [12, 9, 6.75]
    assert counts[-1] == 1


def test_a_large_fleet_looks_less_often(state: SqliteState, clock: ManualClock) -> None:
    """Four looks a second together: 400 processes every 100 s, and their records count for 400."""
    replicas = Replicas(state, clock, least=1)
    assert replicas.heartbeat_seconds == 10
    replicas.count = 40
    assert replicas.heartbeat_seconds == 10
    replicas.count = 400
    assert replicas.heartbeat_seconds == 100
    replicas.look()
    (record,) = state.records(KIND)
    assert record.expires_at == clock.now() + 400


def test_a_process_that_stops_removes_its_record(state: SqliteState, clock: ManualClock) -> None:
    """Others need not wait until it expires."""
    stopping, other = (Replicas(state, clock, least=1) for _ in range(2))
    stopping.start()
    stopping.close()
    assert state.records(KIND) == []
    other.look()
    assert len(state.records(KIND)) == 1


def test_the_workers_of_this_machine_are_the_least(state: SqliteState, clock: ManualClock) -> None:
    """Before the first look, and when their records are missing."""
    replicas = Replicas(state, clock, least=4)
    assert replicas.count == 4
    replicas.look()
    assert replicas.count == 4


def test_without_the_state_the_count_stays(
    state: SqliteState, clock: ManualClock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once."""
    replicas = fleet(state, clock, 3)[-1]
    closed = created_state(path.with_name("other.sqlite3"), clock)
    closed.close()
    replicas._state = closed
    for _ in range(3):
        replicas._try(replicas.look)
    assert replicas.count == 3
    assert len(caplog.records) == 1
    replicas._state = state
    replicas.look()
    assert replicas.count == 3


def test_a_record_of_another_release_counts(state: SqliteState, clock: ManualClock) -> None:
    """Whatever its body."""
    state.put_many(KIND, [Record("other", "{}", clock.now() + 10)])
    assert fleet(state, clock, 1)[0].count == 2
