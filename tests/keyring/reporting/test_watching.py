"""What a worker notices about the schedule of the rotations."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from tests.keyring.rings import REGION
from tests.support.clock import ManualClock
from tests.support.settings import NEVER_SECONDS
from tests.support.sqlite_files import created_state
from tokensvc.arns import parse_region
from tokensvc.keyring.reporting.record import ReconcileRecord, RecordStore, RegionRecord
from tokensvc.keyring.reporting.watching import ReconcileWatch

IRELAND = parse_region("eu-west-1")


def test_a_schedule_that_stops_is_logged_once_and_so_is_its_next_success(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For each region. A worker that has read nothing yet logs nothing."""
    clock = ManualClock()
    with closing(created_state(tmp_path / "state.sqlite3", clock)) as state:
        store = RecordStore(state)
        watch = ReconcileWatch(
            state,
            clock,
            [REGION, IRELAND],
            overdue_after_seconds=3_600,
            refresh_seconds=NEVER_SECONDS,
        )
        watch.look()
        assert watch.record() == ReconcileRecord()
        succeed(store, clock)
        watch.start()
        with caplog.at_level(logging.INFO):
            for seconds in (3_600, 1, 5):
                clock.advance(seconds)
                watch.look()
            assert watch.is_overdue(REGION, clock.now())
            succeed(store, clock)
            watch.watched.refresh()
            watch.look()
            watch.look()
        watch.close()

    assert [(one.levelname, REGION in one.getMessage()) for one in caplog.records] == [
        ("WARNING", True),
        ("INFO", True),
    ]
    assert "2027-01-15T08:00:00Z" in caplog.text


def succeed(store: RecordStore, clock: ManualClock) -> None:
    """Record a scheduled run that succeeds now."""
    now = clock.now()
    run = RegionRecord(
        attempted_at=now, by="jobs@host-1", code="", succeeded_at=now, scheduled_since=now
    )
    store.update(lambda record: record.with_region(REGION, run, ()))
