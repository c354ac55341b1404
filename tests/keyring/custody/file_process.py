"""Programs for tests that use a file custody from a separate process.

`python -m tests.keyring.custody.file_process PROGRAM FOLDER`. Each prints its result.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from unittest.mock import patch

from tests.support.clock import ManualClock
from tests.support.unprivileged import become_unprivileged
from tokensvc.errors import TokensvcError
from tokensvc.keyring.custody.file import FileCustody

SECRET = bytes(range(32))
NEXT_SECRET = bytes(range(1, 33))


def create(folder: Path) -> None:
    """Create a key pair as an unprivileged user."""
    become_unprivileged()
    attempt(folder)


def create_without_room(folder: Path) -> None:
    """Create a key pair while no file may exceed 100 bytes, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    attempt(folder)


def crash_before_link(folder: Path) -> None:
    """Exit when the draft is complete and not yet linked to its name."""
    with patch("os.link", side_effect=lambda *_: os._exit(9)):
        attempt(folder)


def crash_after_link(folder: Path) -> None:
    """Exit when the file has its name, and the draft still exists."""
    link = os.link

    def link_and_exit(draft: Path, path: Path) -> None:
        link(draft, path)
        os._exit(9)

    with patch("os.link", side_effect=link_and_exit):
        attempt(folder)


def rewrap_and_crash_before_replace(folder: Path) -> None:
    """Exit when the draft is complete, and the file is still encrypted with the previous secret."""
    with patch("os.replace", side_effect=lambda *_: os._exit(9)):
        _rewrap(folder)


def rewrap_and_crash_after_replace(folder: Path) -> None:
    """Exit when the file is encrypted with the next secret, before `rewrap` returns."""
    replace = os.replace

    def replace_and_exit(draft: Path, path: Path) -> None:
        replace(draft, path)
        os._exit(9)

    with patch("os.replace", side_effect=replace_and_exit):
        _rewrap(folder)


def _rewrap(folder: Path) -> None:
    FileCustody(folder, NEXT_SECRET, ManualClock(), previous_secret=SECRET).rewrap("k-1")


def attempt(folder: Path) -> None:
    """Print the fingerprint, or the code of the error."""
    try:
        sys.stdout.write(
            FileCustody(folder, SECRET, ManualClock()).create("k-1").public_key.fingerprint
        )
    except TokensvcError as exc:
        sys.stdout.write(f"{exc.code}\n")


if __name__ == "__main__":
    {
        "create": create,
        "create_without_room": create_without_room,
        "crash_before_link": crash_before_link,
        "crash_after_link": crash_after_link,
        "rewrap_and_crash_before_replace": rewrap_and_crash_before_replace,
        "rewrap_and_crash_after_replace": rewrap_and_crash_after_replace,
    }[sys.argv[1]](Path(sys.argv[2]))
