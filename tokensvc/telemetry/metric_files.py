"""The files in which the workers of one service share their metrics.

Each worker writes files of its own, in a folder in memory that their master makes at its start and
removes at its end. What a worker has counted must outlive it, so its counts are added to a common
file when it has ended; otherwise each restart would make every later scrape slower.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable in which prometheus_client looks for the folder when it is imported."""

_PREFIX: Final = "tokensvc-metrics-"
_LOCK: Final = "lock"
_ENDED: Final = 0  # No process has this ID: its files have the counts of those that have ended.
_COUNTED: Final = ("counter", "histogram")


def create_folder(parent: Path) -> Path:
    """A new folder for the workers of this process, which may be used by its owner only.

    Folders of services that were killed are removed.
    """
    for left in parent.glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not is_running(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    (folder / _LOCK).touch()
    return folder


def remove_folder(folder: Path) -> None:
    """Remove the folder and what is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def is_running(process_id: int) -> bool:
    """Whether there is a process with that ID."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Hold off `add_up_ended` in every process while the files are read."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


def add_up_ended(folder: Path, is_running: Callable[[int], bool] = is_running) -> None:
    """Add what processes that have ended have counted to the common files, and remove theirs."""
    # In a worker only: prometheus_client reads the environment when it is imported.
    from prometheus_client.mmap_dict import MmapedDict

    with _locked(folder, fcntl.LOCK_EX):
        ended = [each for each in _files(folder) if not is_running(_process_of(each))]
        for kind in _COUNTED:
            files = [each for each in ended if each.name.startswith(f"{kind}_")]
            if files:
                _add_up(folder / f"{kind}_{_ENDED}.db", files, MmapedDict)
        for each in ended:
            each.unlink()


def _files(folder: Path) -> Iterable[Path]:
    return [each for each in folder.glob("*.db") if _process_of(each) != _ENDED]


def _process_of(file: Path) -> int:
    """The ID in `counter_123.db` or `gauge_livemax_123.db`."""
    return int(file.stem.rpartition("_")[2])


def _add_up(common: Path, files: Iterable[Path], mmaped_dict: Any) -> None:
    totals: dict[str, float] = defaultdict(float)
    for file in [common, *files]:
        if file.exists():
            for key, value, _, _ in mmaped_dict.read_all_values_from_file(str(file)):
                totals[key] += value
    new = common.with_suffix(".new")
    new.unlink(missing_ok=True)
    written = mmaped_dict(str(new))
    for key, value in totals.items():
        written.write_value(key, value, 0.0)
    written.close()
    new.rename(common)


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    with (folder / _LOCK).open("rb") as lock:
        fcntl.flock(lock, mode)
        yield
