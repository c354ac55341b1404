"""Files that are there whole or not at all: private from their first byte, safe on the disk.

A file is made as a draft beside its place and then linked to its name, which, unlike a rename,
never takes the place of a file that another process put there first. Only `replacement` renames.
A crash can leave a draft behind, never half a file.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER_ONLY = 0o600
_FOLDER_OF_OWNER = 0o700
_DRAFT_SUFFIX = ".draft"


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """An empty draft to fill, with mode 0600, which gets the name `path` when the block ends well.

    Raises:
        FileExistsError: at the end of the block, when the name is taken; that file is untouched.
        OSError: when the folder can't be written; nothing stays.
    """
    with _draft_of(path) as draft:
        yield draft
        sync(draft)
        os.link(draft, path)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """An empty draft to fill, with mode 0600, which takes `path`'s place when the block ends well.

    Raises:
        OSError: when the folder can't be written; the file stays as it was.
    """
    with _draft_of(path) as draft:
        yield draft
        sync(draft)
        draft.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep out every other process that locks the folder; a lock ends with its process.

    Raises:
        OSError: when the folder can't be opened or locked.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def discard_drafts(path: Path) -> None:
    """Remove what crashed makers of `path` left behind.

    To be called only when nobody makes it now: a maker whose draft vanishes fails.
    """
    for entry in path.parent.iterdir():
        if entry.name.startswith(f".{path.name}.") and entry.name.endswith(_DRAFT_SUFFIX):
            entry.unlink(missing_ok=True)
    sync(path.parent)


def remove(path: Path) -> None:
    """Return when the file is gone for good, even if it was gone before.

    Raises:
        OSError: when the folder can't be written, or is not there.
    """
    path.unlink(missing_ok=True)
    sync(path.parent)


def make_private_folder(folder: Path) -> None:
    """Return when `folder` exists; made now, only its owner may look into it (0700).

    Folders that were made on the way to it have their names on the disk too.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=_FOLDER_OF_OWNER, parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def sync(path: Path) -> None:
    """Return when the file's bytes, or the folder's names, are on the disk."""
    # A file's own sync does not cover its name: that is durable when its folder has been synced.
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
        # Also when the name was taken: whoever took it may not have come this far yet.
        sync(path.parent)
