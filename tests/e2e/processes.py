"""Run `tokensvc` commands as child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0
TOKENSVC = (sys.executable, "-m", "tokensvc")


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
    output: Path,
    *arguments: str,
    environment: Mapping[str, str],
    program: Sequence[str] = TOKENSVC,
    folder: Path = ROOT,
) -> Iterator[RunningCommand]:
    """Run a program, by default `tokensvc`, in a new process group, like a terminal does.

    Args:
        output: the file for its output.
        arguments: the arguments after `program`.
        environment: its environment variables, besides PATH and HOME.
        program: the path of the program, and its first arguments.
        folder: its working directory.
    """
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [*program, *arguments],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(output.parent),
                **coverage_environment(),
                **environment,
            },
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


def coverage_environment() -> Mapping[str, str]:
    """The environment variables with which a child process measures its coverage, if this does."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


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
