"""Records that several processes write, that a kill loses, and that a locked file delays."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path

from tests.state.processes import start
from tests.state.records import KIND, eventually, record
from tests.support.clock import ManualClock
from tests.support.sqlite_files import created_state, stored_records, write_lock_held
from tokensvc.state.record_writer import RecordWriter


def test_two_processes_write_without_losing_a_record(tmp_path: Path) -> None:
    """Each queues 500 records and removes all but the last ten, at the same time."""
    path = tmp_path / "state.sqlite3"
    names = ("one", "other")
    writers = [start("write_in_the_background", str(path), name, "500") for name in names]
    assert [each.communicate(timeout=60)[0] for each in writers] == ["left 0\n", "left 0\n"]
    assert stored_records(path, KIND) == sorted(
        (record(f"{name}-{number}", name) for name in names for number in range(490, 500)),
        key=lambda each: each.record_id,
    )


def test_a_killed_process_loses_only_records_that_were_not_written_yet(tmp_path: Path) -> None:
    """After kill -9, all records that it saw as written are complete, and writing still works."""
    path = tmp_path / "state.sqlite3"
    with start("queue_until_killed", str(path)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(400)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    last = max(int(line.removeprefix("stored ")) for line in lines if line.endswith("\n"))
    stored = {each.record_id: each for each in stored_records(path, KIND)}
    assert last >= 300
    seen = [each for each in range(last + 1) if f"stored {each}\n" in lines]
    assert [stored[str(each)].body for each in seen] == [f"body of {each}" for each in seen]
    state = created_state(path, ManualClock())
    state.put_many(KIND, [record("next")])
    assert state.record(KIND, "next") == record("next")


def test_records_are_written_when_another_process_releases_the_write_lock(tmp_path: Path) -> None:
    """Until then they are queued, and queueing takes no time."""
    path = tmp_path / "state.sqlite3"
    state = created_state(path, ManualClock())
    state.put_many(KIND, [record("before")])
    with closing(RecordWriter(state, KIND, retry_seconds=0.01)) as writer:
        writer.start()
        with write_lock_held(path):
            began_at = time.monotonic()
            for number in range(100):
                writer.put(record(f"{number:02}"))
            # One that waited for the lock would take 5 s.
            assert time.monotonic() - began_at < 4.0
            time.sleep(0.3)
            assert writer.queued == 100
            assert len(stored_records(path, KIND)) == 1
        eventually(lambda: writer.queued == 0)
    assert len(stored_records(path, KIND)) == 101
