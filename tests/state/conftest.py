"""The state file of the tests of SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.sqlite_files import created_state
from tokensvc.state.sqlite import SqliteState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the state file, in a folder that does not exist yet."""
    return tmp_path / "keys" / "state.sqlite3"


@pytest.fixture
def state(path: Path) -> SqliteState:
    """The state that most tests use."""
    return created_state(path, ManualClock())
