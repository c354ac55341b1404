"""The program's own processes, started as a person starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """A process, and the file that has all that it has said."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        """What it has said so far, on both streams."""
        return self.output.read_text()

    def wait_for(self, text: str) -> str:
        """What it has said, once that has the text in it."""
        give_up_at = time.monotonic() + LONGEST_SECONDS
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < give_up_at, self.said
            time.sleep(0.05)
        return self.said

    def ends(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(LONGEST_SECONDS)

    def interrupted(self) -> int:
        """Its exit status after Ctrl-C in its terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.ends()


@contextmanager
def running(output: Path, *arguments: str, environment: Mapping[str, str]) -> Iterator[Running]:
    """`tokensvc` with those arguments, in a process group of its own as in a terminal."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tokensvc", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(output.parent), **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield Running(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def command_lines(folder: Path) -> list[str]:
    """The command lines of all processes that have the folder in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # It has ended meanwhile, or is another user's.
            continue
    return found


def wait_until_gone(folder: Path) -> None:
    """Return when no process of that folder runs any more."""
    give_up_at = time.monotonic() + 15
    while left := command_lines(folder):
        assert time.monotonic() < give_up_at, left
        time.sleep(0.1)
