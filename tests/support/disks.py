"""Small file systems of a test's own, and a limit on file sizes where none can be mounted."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_FILLING_BYTES = 64 * 1024


class SmallDisk:
    """A file system of 2 MiB at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self) -> None:
        """Take every byte that is free."""
        descriptor = os.open(self._filling, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (_FILLING_BYTES, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(descriptor, bytes(size))
        finally:
            os.close(descriptor)

    def free(self) -> None:
        """Free what `fill` has taken."""
        self._filling.unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Mounted read-only until the block ends."""
        _run("mount", "-o", "remount,ro", str(self.folder))
        try:
            yield
        finally:
            _run("mount", "-o", "remount,rw", str(self.folder))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A small file system, mounted at `folder` until the block ends.

    Raises:
        subprocess.CalledProcessError: when this user may not mount one.
    """
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system."""
    try:
        with small_disk(folder / "try"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
