"""Disk space beside the SQLite state, kept for an emergency.

A revocation is recorded before a private key is destroyed (rule 6), also on a full disk: the
reserve is freed first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tokensvc import durable

RESERVE_BYTES = 512 * 1_024
"""Some ten saves of a ring with a long history, and a private key file."""

_NEEDED_BYTES = RESERVE_BYTES // 2


class Reserve:
    """The file with the suffix `-reserve` beside the state file."""

    def __init__(self, state_file: Path) -> None:
        self.path = state_file.with_name(f"{state_file.name}-reserve")

    def make(self) -> None:
        """Make the reserve if it is missing, and the disk has room for it twice.

        Nothing depends on it but a later emergency, so a folder that can't be written is no error.
        """
        with suppress(OSError):
            if self.path.exists() or shutil.disk_usage(self.path.parent).free < 2 * RESERVE_BYTES:
                return
            with durable.new_file(self.path) as draft:
                # Random bytes take their space on every file system, also on one that compresses.
                draft.write_bytes(os.urandom(RESERVE_BYTES))

    def make_room(self) -> bool:
        """Free the reserve if the disk is full. Returns whether it was freed."""
        if self._has_room() or not self.path.exists():
            return False
        with suppress(OSError):
            durable.remove(self.path)
        return not self.path.exists()

    def _has_room(self) -> bool:
        # Written and not calculated: a quota may leave less room than the disk has.
        try:
            with tempfile.TemporaryFile(dir=self.path.parent) as probe:
                probe.write(os.urandom(_NEEDED_BYTES))
                probe.flush()
                os.fsync(probe.fileno())
        except OSError:
            return False
        return True
