"""Write files atomically and durably, readable by their owner only from the first byte.

A file is written as a draft in the same folder and then linked to its name. Unlike a rename, a link
never replaces a file that another process created first. Only `replacement` renames. A crash can
leave a draft behind, but never an incomplete file.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER_ONLY = 0o600
_OWNER_ONLY_FOLDER = 0o700
_DRAFT_SUFFIX = ".draft"


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty draft with mode 0600 that gets the name `path` when the block ends without an error.

    Raises:
        FileExistsError: at the end of the block, when the name exists; that file is not changed.
        OSError: when the folder can't be written; nothing is left behind.
    """
    with _draft_of(path) as draft:
        yield draft
        sync(draft)
        os.link(draft, path)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """An empty draft with mode 0600 that replaces `path` when the block ends without an error.

    Raises:
        OSError: when the folder can't be written; the old file is not changed.
    """
    with _draft_of(path) as draft:
        yield draft
        sync(draft)
        draft.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other processes that use this function, until the block ends.

    The lock is also released when its process ends.

    Raises:
        OSError: when the folder can't be opened or locked.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def discard_drafts(path: Path) -> None:
    """Remove the drafts of `path` that crashed processes left behind.

    Call it only while no process writes `path`: a process whose draft is removed fails.
    """
    for entry in path.parent.iterdir():
        if entry.name.startswith(f".{path.name}.") and entry.name.endswith(_DRAFT_SUFFIX):
            entry.unlink(missing_ok=True)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove the file durably. A file that does not exist is not an error.

    Raises:
        OSError: when the folder can't be written, or does not exist.
    """
    path.unlink(missing_ok=True)
    sync(path.parent)


def make_private_folder(folder: Path) -> None:
    """Create `folder`, and parent folders that don't exist, with mode 0700; their names are synced.

    The mode does not depend on the umask.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=_OWNER_ONLY_FOLDER, exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Write the file's bytes, or the folder's names, to the disk."""
    # Syncing a file does not cover its name, which is durable once its folder has been synced.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_DRAFT_SUFFIX}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ONLY))
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        # Also when the name existed: the process that created it may not have synced it yet.
        sync(path.parent)
