"""Real workers, a real state and the real rates of Local IVS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.fleet.real_lookups import (
    ChannelsMade,
    make_channels,
    real_directory,
    seconds_until_known,
    throttling_ivs,
)
from tests.support.dynalite import Dynalite
from tests.support.sqlite_files import created_state
from tests.support.tables import table_with_state
from tokensvc.clock import SystemClock
from tokensvc.ivs.shared_turns import KIND
from tokensvc.state.base import State
from tokensvc.state.sqlite import SqliteState

WORKERS = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ChannelsMade:
    """The channels of all tests: making them takes longer than looking them up."""
    return make_channels(tmp_path_factory.mktemp("ivs"), 110)


@pytest.fixture
def sqlite(tmp_path: Path) -> Callable[[], State]:
    """Opens a state in SQLite, as each worker of a host does."""
    path = tmp_path / "state.sqlite3"
    created_state(path, SystemClock()).close()
    return lambda: SqliteState(path, SystemClock())


@pytest.fixture
def dynamodb(dynalite: Dynalite) -> Iterator[Callable[[], State]]:
    """Opens a state in DynamoDB, as each worker of a fleet does."""
    with table_with_state(dynalite.url) as table:
        yield lambda: table.state(clock=SystemClock())


@pytest.mark.parametrize("opener", ["sqlite", "dynamodb"])
def test_three_cold_workers_look_each_channel_up_once_and_are_not_throttled(
    opener: str, made: ChannelsMade, request: pytest.FixtureRequest
) -> None:
    """110 channels, which every worker requests: a few calls for 50 are made in all.

    A fourth worker then knows them without a call.
    """
    open_state: Callable[[], State] = request.getfixturevalue(opener)
    with ExitStack() as resources:
        ivs = resources.enter_context(throttling_ivs(made))
        states = [resources.enter_context(closing(open_state())) for _ in range(WORKERS + 1)]
        workers = [resources.enter_context(real_directory(each, ivs.url)) for each in states]
        seconds_until_known(workers[:WORKERS], ivs.arns, at_most=30)
        assert ivs.throttled == 0
        assert 3 <= sum(ivs.calls.values()) <= 9
        calls = ivs.calls.total()
        seconds_until_known(workers[WORKERS:], ivs.arns, at_most=10)
        assert ivs.calls.total() == calls


def test_a_worker_that_stops_ends_its_turn(made: ChannelsMade, sqlite: Callable[[], State]) -> None:
    """So that no other one waits until it lapses."""
    with throttling_ivs(made) as ivs, closing(sqlite()) as state:
        with real_directory(state, ivs.url) as worker:
            worker.get(ivs.arns[0])
        record = state.record(KIND, ivs.arns[0].region)
    assert record is not None
    assert not json.loads(record.body)["is_held"]
