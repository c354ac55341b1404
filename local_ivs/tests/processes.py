"""Run `local-ivs` as a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

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
    output: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[RunningCommand]:
    """Run `local-ivs` with these arguments in a new process group, like a terminal does."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "local_ivs", *arguments],
            cwd=output.parent,
            env={"PATH": os.environ["PATH"], "HOME": str(output.parent), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            process_group=0,
            pass_fds=pass_fds,
        )
    try:
        yield RunningCommand(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
