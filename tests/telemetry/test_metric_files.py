"""The files of the workers' metrics: what an ended worker has counted stays."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from tokensvc.telemetry import metric_files
from tokensvc.telemetry.metric_files import add_up_ended, create_folder, reading, remove_folder

NO_PROCESS = 4_194_305  # Above the highest ID that Linux gives.


def write(folder: Path, kind: str, process_id: int, **values: float) -> None:
    """What a process has counted: the values of metrics with these names."""
    file = MmapedDict(str(folder / f"{kind}_{process_id}.db"))  # type: ignore[no-untyped-call]
    for name, value in values.items():
        file.write_value(mmap_key(name, name, [], [], "Help."), value, 0.0)  # type: ignore[no-untyped-call]
    file.close()  # type: ignore[no-untyped-call]


def totals(folder: Path) -> dict[str, float]:
    """What a scrape finds, as prometheus_client reads it."""
    metrics = MultiProcessCollector(None, str(folder)).collect()  # type: ignore[no-untyped-call]
    return {sample.name: sample.value for metric in metrics for sample in metric.samples}


def running(*process_ids: int) -> Collection[int]:
    """These processes run, and no other."""
    return set(process_ids)


def test_counts_of_ended_processes_are_added_up(tmp_path: Path) -> None:
    """Their files are removed, and those of running processes stay as they are."""
    folder = create_folder(tmp_path)
    write(folder, "counter", 11, a_total=2.0, b_total=1.0)
    write(folder, "counter", 12, a_total=3.0)
    write(folder, "counter", 13, a_total=10.0)
    write(folder, "gauge_livemostrecent", 12, age=5.0)
    add_up_ended(folder, running(13).__contains__)
    assert sorted(each.name for each in folder.glob("*.db")) == ["counter_0.db", "counter_13.db"]
    assert totals(folder) == {"a_total": 15.0, "b_total": 1.0}
    add_up_ended(folder, running().__contains__)
    assert [each.name for each in folder.glob("*.db")] == ["counter_0.db"]
    assert totals(folder) == {"a_total": 15.0, "b_total": 1.0}


def test_a_hundred_restarts_leave_two_files(tmp_path: Path) -> None:
    """So that a scrape takes as long as at the start."""
    folder = create_folder(tmp_path)
    for process_id in range(1, 101):
        write(folder, "counter", process_id, a_total=1.0)
        write(folder, "histogram", process_id, t_sum=0.5)
        add_up_ended(folder, running(process_id).__contains__)
    add_up_ended(folder, running().__contains__)
    assert {each.name for each in folder.glob("*.db")} == {"counter_0.db", "histogram_0.db"}
    assert totals(folder) == {"a_total": 100.0, "t_sum": 50.0}


def test_a_sum_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    """A process was killed while it wrote the new common file."""
    folder = create_folder(tmp_path)
    write(folder, "counter", 11, a_total=2.0)
    (folder / "counter_0.new").write_bytes(b"cut")
    add_up_ended(folder, running().__contains__)
    assert totals(folder) == {"a_total": 2.0}


def test_nothing_is_added_up_while_the_files_are_read(tmp_path: Path) -> None:
    """In any process: a scrape must not find a file in its list that is gone."""
    folder = create_folder(tmp_path)
    write(folder, "counter", 11, a_total=2.0)
    child = os.fork()
    if child == 0:
        try:
            add_up_ended(folder, running().__contains__)
        finally:
            os._exit(0)
    with reading(folder):
        seen = totals(folder)
    os.waitpid(child, 0)
    assert seen == totals(folder) == {"a_total": 2.0}


def test_only_its_owner_may_use_a_folder(tmp_path: Path) -> None:
    """It is a new one, whatever is there."""
    first, second = create_folder(tmp_path), create_folder(tmp_path)
    assert first != second
    assert first.stat().st_mode & 0o777 == 0o700
    remove_folder(first)
    assert not first.exists()
    remove_folder(first)


def test_a_start_removes_the_folders_of_services_that_were_killed(tmp_path: Path) -> None:
    """Those of running ones stay, and so does what others have put there."""
    killed = tmp_path / f"tokensvc-metrics-{NO_PROCESS}-abc"
    of_others = tmp_path / "tokensvc-metrics-notes"
    for each in (killed, of_others):
        each.mkdir()
    of_running = create_folder(tmp_path)
    create_folder(tmp_path)
    assert (killed.exists(), of_others.exists(), of_running.exists()) == (False, True, True)


def test_a_process_of_another_user_runs_too() -> None:
    """Also if no signal may be sent to it."""
    assert metric_files.is_running(os.getpid())
    assert metric_files.is_running(1)
    assert not metric_files.is_running(NO_PROCESS)
