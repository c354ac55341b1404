"""Run `tokensvc` commands as child processes."""

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
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class RunningCommand:
    """A process, and the file with its output."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def printed(self) -> str:
        """The output so far, on standard output and standard error."""
        return self.output.read_text()

    def wait_for(self, text: str) -> str:
        """Wait until the output contains the text, and return the output."""
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while text not in self.printed:
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < give_up_at, self.printed
            time.sleep(0.05)
        return self.printed

    def wait(self) -> int:
        """Wait until the process exits, and return its exit status."""
        return self.process.wait(TIMEOUT_SECONDS)

    def interrupt(self) -> int:
        """Interrupt the process like Ctrl-C in a terminal, and return its exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()


@contextmanager
def running(
    output: Path, *arguments: str, environment: Mapping[str, str]
) -> Iterator[RunningCommand]:
    """Run `tokensvc` with these arguments in a new process group, like a terminal does."""
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
        yield RunningCommand(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def command_lines(folder: Path) -> list[str]:
    """The command lines of all processes whose environment contains this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # The process has exited, or belongs to another user.
            continue
    return found


def wait_until_stopped(folder: Path) -> None:
    """Return when no process of this folder is running."""
    give_up_at = time.monotonic() + 15
    while left := command_lines(folder):
        assert time.monotonic() < give_up_at, left
        time.sleep(0.1)
