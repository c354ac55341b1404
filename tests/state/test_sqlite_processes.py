"""Several processes use one SQLite state: they race, are killed, fork and begin together."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from tests.state.processes import lines_of, start
from tests.support.clock import EXAMPLE_NOW, ManualClock
from tests.support.documents import save_next, stored
from tests.support.sqlite_files import (
    created_state,
    stored_records,
)
from tokensvc.state.base import Record
from tokensvc.state.sqlite import SqliteState


def test_exactly_one_of_two_racing_processes_saves_each_version(path: Path) -> None:
    """Rule 7 with real processes, starting without a file."""
    runners = [start("race", str(path), name, "40") for name in ("one", "other")]
    outputs = [runner.communicate(timeout=60)[0] for runner in runners]
    assert [runner.returncode for runner in runners] == [0, 0]
    saved = [line.removeprefix("saved ") for output in outputs for line in output.splitlines()]
    assert sorted(map(int, saved)) == list(range(1, 41))


def test_everything_acknowledged_survives_a_kill_of_the_writing_process(path: Path) -> None:
    """After kill -9 the last acknowledged save is complete, and saving still works."""
    for run in range(3):
        path.unlink(missing_ok=True)
        for companion in path.parent.glob("*-[ws]*"):
            companion.unlink()
        with start("write_until_killed", str(path)) as writer:
            assert writer.stdout is not None
            for _ in range(15 + run):
                last = writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            last = [last, *writer.stdout.readlines()][-1]
        acknowledged = int(last.removeprefix("acknowledged "))
        state = SqliteState(path, ManualClock())
        document = state.load("ring")
        assert document is not None
        number = document.version.number
        assert acknowledged <= number <= acknowledged + 1
        assert document.body == f"body of {number}" + "x" * 5_000
        assert len(stored_records(path, "ban")) >= acknowledged
        assert save_next(state, "ring", "on") == number + 1


def test_a_state_used_before_a_fork_works_in_parent_and_child(
    path: Path, state: SqliteState
) -> None:
    """No handle is inherited across a fork."""
    assert lines_of("fork", str(path)) == ["child exited with 0", "parent saved 3"]
    assert stored(state, "ring") == ("by the parent again", 3)


def test_states_that_start_at_the_same_time_use_the_same_file(path: Path) -> None:
    """If several create the file at once, all of them use the first one."""
    barrier = threading.Barrier(8, timeout=30)

    def begin(number: int) -> None:
        state = created_state(path, ManualClock())
        barrier.wait()
        state.put_many("ban", [Record(str(number), "x", EXAMPLE_NOW)])

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored_records(path, "ban")) == 8
    assert [entry.name for entry in path.parent.iterdir()] == ["state.sqlite3"]
