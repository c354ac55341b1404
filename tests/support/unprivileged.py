"""What the tests need to meet a permission, which root never does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65_534


@contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """A folder that belongs to an ordinary user; pytest's own can't be entered by another."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        yield Path(folder)


def become_unprivileged() -> None:
    """Make this process an ordinary user's for good; to be called when all imports are done."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
