"""A small disk of its own that a test can fill for real."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHUNK_BYTES = 4_096


@dataclass(frozen=True)
class SmallDisk:
    """A disk that is mounted at `folder`."""

    folder: Path

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def fill(self) -> None:
        """Use up every block, as another program's log would."""
        descriptor = os.open(self._filler, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            while True:
                os.write(descriptor, bytes(_CHUNK_BYTES))
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def free(self) -> None:
        """Free what `fill` used."""
        self._filler.unlink()


class DiskNotMounted(Exception):
    """No disk can be mounted: it needs a privilege that containers often withhold."""


@contextlib.contextmanager
def mounted_disk(folder: Path, *, size_kib: int = 2_048) -> Iterator[SmallDisk]:
    """A disk of that size, mounted at `folder`, which is created.

    Raises:
        DiskNotMounted: it can't be mounted here; the text says why.
    """
    folder.mkdir()
    options = f"size={size_kib}k,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)  # Fixed words.
    if mounted.returncode:
        raise DiskNotMounted(f"No disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 # Fixed words.


@contextlib.contextmanager
def small_disk(folder: Path, *, size_kib: int = 2_048) -> Iterator[SmallDisk]:
    """The same for a test, which is skipped where no disk can be mounted. The reason says so."""
    with contextlib.ExitStack() as stack:
        try:
            disk = stack.enter_context(mounted_disk(folder, size_kib=size_kib))
        except DiskNotMounted as exc:
            pytest.skip(str(exc))
        yield disk
