from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.contract.state_contract import OpenState, StateContract
from tests.support.clock import ManualClock
from tests.support.sqlite_faults import LosesAcknowledgement
from tests.support.sqlite_files import created_state
from tokensvc.state.base import State


class TestSqliteState(StateContract):
    """SQLite passes the contract tests."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """The path of the state file."""
        return tmp_path / "keys" / "state.sqlite3"

    @pytest.fixture
    def open_state(self, path: Path) -> Iterator[OpenState]:
        """Each object on the same file stands for a process."""
        with ExitStack() as opened:
            yield lambda: opened.enter_context(closing(created_state(path, ManualClock())))

    @pytest.fixture
    def state_losing_acknowledgment(self, path: Path) -> State:
        """Its first commit is stored, but then reported as failed."""
        faulty: type[sqlite3.Connection] = LosesAcknowledgement.once()
        return created_state(path, ManualClock(), connection_class=faulty)
