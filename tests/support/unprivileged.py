"""Helpers for tests of file permissions, which do not apply to root."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNPRIVILEGED_ID = 65_534


@contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """A folder that belongs to an unprivileged user, who can't enter the folders of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, _UNPRIVILEGED_ID, _UNPRIVILEGED_ID)
        yield Path(folder)


def become_unprivileged() -> None:
    """Make this process unprivileged until it ends. Call it after all imports."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_UNPRIVILEGED_ID)
        os.setuid(_UNPRIVILEGED_ID)
