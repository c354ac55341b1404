"""A program that makes bans in a SQLite state, in a process of its own.

`python -m tests.access.ban_process PATH WRITER NUMBER [killed]` makes that number of bans. With
`killed`, it then kills itself after the record of one more ban, before the ban is counted.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.access.ban_examples import TERMS, VIEWER
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.writing import BanWriter
from tokensvc.clock import SystemClock
from tokensvc.state.base import Version
from tokensvc.state.sqlite import SqliteState


class DiesBeforeCounting(SqliteState):
    """Its process is killed instead of saving a document."""

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Kill the process."""
        os.kill(os.getpid(), signal.SIGKILL)
        return super().save(name, body, replacing=replacing)


def make(state: SqliteState, name: str) -> None:
    """Make a ban in that name, from what the state has."""
    log = BanLog(state, SystemClock())
    BanWriter(log, SystemClock(), TERMS, log.read).ban(VIEWER, seconds=3_600, by=name)


def main(path: Path, writer: str, number: int, *, is_killed: bool) -> None:
    """Make the bans."""
    for each in range(number):
        make(SqliteState(path, SystemClock()), f"{writer}{each}")
    if is_killed:
        make(DiesBeforeCounting(path, SystemClock()), f"{writer} killed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), is_killed="killed" in sys.argv)
