"""The errors of SQLite as ours: which obstacle there is, and what to do about it.

SQLite reports a full disk, a read-only file system and a folder that may not be written with codes
such as SQLITE_IOERR_SHMSIZE or SQLITE_CANTOPEN, which name its own step, and Python does not pass
the error of the system on. So the system is asked again, with a file that has no name.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from pathlib import Path

from tokensvc.errors import StateDamaged, StateMissing, StateUnavailable, TokensvcError
from tokensvc.protected_files import FileRefused, require_regular

_PROBE_BYTES = 64 * 1024
"""As much as the index of an empty write-ahead log (32 KiB) and a page of each table need."""


def kind_of(error: sqlite3.Error | OSError) -> str:
    """The primary code of SQLite without its prefix, such as FULL; `OS` for an error of the system.

    Extended codes such as SQLITE_IOERR_FSYNC name a step that means nothing to an operator.
    """
    return getattr(error, "sqlite_errorname", "SQLITE_OS").split("_")[1]


def translated(
    error: sqlite3.Error | OSError, path: Path, *, timeout_seconds: float
) -> TokensvcError:
    """The error for an operator of the state file at `path`."""
    match kind_of(error):
        case "NOTADB" | "CORRUPT":
            return damaged(path)
        case "ERROR":
            return StateDamaged(
                f"The state file {path} is damaged: tables are missing.", hint=restore_hint(path)
            )
        case "FULL":
            return disk_full(path)
        case "BUSY" | "LOCKED":
            return StateUnavailable(
                f"Another process has locked the state file {path} for more than"
                f" {timeout_seconds:g} seconds.",
                hint=f"Find the process that has it open with `fuser -v {path}`.",
            )
        case _:
            return _obstacle(error, path) or StateUnavailable(
                f"The state file {path} can't be opened, read or written.",
                hint="Check that this user can read and write it, and that the disk has no errors.",
            )


def require_regular_file(path: Path) -> None:
    """Check the kind of a state file, because SQLite waits for the writer of a named pipe.

    Raises:
        StateUnavailable: when it is something else. One that is not there is SQLite's to report.
    """
    try:
        require_regular(path)
    except FileRefused as exc:
        fault = exc.fault
        raise StateUnavailable(f"The state is not used. {fault.detail}", hint=fault.hint) from exc
    except OSError:
        return


def damaged(path: Path) -> StateDamaged:
    """The error of a file whose content is not what SQLite wrote."""
    return StateDamaged(f"The state file {path} is damaged.", hint=restore_hint(path))


def disk_full(path: Path) -> StateUnavailable:
    """The error of a write for which there is no space."""
    return StateUnavailable(
        f"The state file {path} can't be written: its disk is full.", hint="Free space on the disk."
    )


def restore_hint(path: Path) -> str:
    """How to replace a damaged state file."""
    return (
        "Stop every process that uses the state file. Move it away, together with"
        f" {path}-wal and {path}-shm, and run `tokensvc state restore BACKUP`."
    )


def obstacle_to_writing(path: Path) -> StateUnavailable | None:
    """Why nothing can be written to the existing state file now; None when nothing is found."""
    try:
        _write_probe(path.parent)
    except OSError as exc:
        return _of_system(exc, path)
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return StateUnavailable(
            f"This user can't read and write the state file {path}.",
            hint="Run the command as the user of the service, or correct the owner and the mode,"
            f" which `ls -l {path}` shows.",
        )
    return None


def _obstacle(error: sqlite3.Error | OSError, path: Path) -> StateUnavailable | None:
    """What prevents the use of the file now; None when nothing is found."""
    if isinstance(error, OSError):
        return _of_system(error, path)
    if kind_of(error) == "CANTOPEN":
        try:
            path.stat()
        except OSError as exc:
            return _of_system(exc, path)
    return obstacle_to_writing(path)


def _of_system(error: OSError, path: Path) -> StateUnavailable | None:
    match error.errno:
        case errno.ENOENT:
            return StateMissing(
                f"The state file {path} does not exist.",
                hint="Check state.url, and that its folder is mounted. If the state is lost,"
                " run `tokensvc state restore BACKUP`. For a new deployment, run `tokensvc keys"
                " reconcile`, which creates it.",
            )
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return disk_full(path)
        case errno.EROFS:
            return StateUnavailable(
                f"The state file {path} can't be written: its disk is mounted read-only.",
                hint="Mount it for writing. If the system remounted it after an error of the disk,"
                " check the disk first.",
            )
        case errno.EACCES | errno.EPERM:
            return StateUnavailable(
                f"The state file {path} can't be written: this user can't write its folder.",
                hint="Run the command as the user of the service, or let this user write the"
                " folder and the file.",
            )
        case _:
            return None


def _write_probe(folder: Path) -> None:
    """Write as much as the smallest transaction needs to a file without a name.

    Raises:
        OSError: what the system says about it.
    """
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        if file.write(bytes(_PROBE_BYTES)) < _PROBE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
