"""Starts the programs of `sqlite_process`, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESS = "tests.state.sqlite_process"
PROJECT = Path(__file__).parents[2]


def start(*arguments: str) -> subprocess.Popen[str]:
    """One of the programs of `sqlite_process`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", PROCESS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_of(*arguments: str) -> list[str]:
    """The lines that one of the programs printed before it exited with status 0."""
    process = subprocess.run(
        [sys.executable, "-m", PROCESS, *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return process.stdout.splitlines()
