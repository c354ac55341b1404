"""Run `python -m demo`, which `make run` runs, as a child process."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.e2e.processes import RunningCommand, running

PROGRAM = (sys.executable, "-m", "demo")
ANY_FREE_PORTS = ("--port", "0", "--local-ivs-port", "0", "--demo-port", "0", "--issuer-port", "0")
LAST_LINE_OF_WELCOME = "Ctrl-C"


def running_demo(
    folder: Path, *options: str, log: str = "out", **environment: str
) -> AbstractContextManager[RunningCommand]:
    """Run the demo in this folder, by default on any free ports."""
    arguments = ("--folder", str(folder), *(options or ANY_FREE_PORTS))
    output = folder.parent / f"{log}.txt"
    return running(output, *arguments, environment=environment, program=PROGRAM)


def page_address(printed: str) -> str:
    """The address of the page in the demo's output."""
    (address,) = re.findall(r"Watch it: (http://127\.0\.0\.1:[0-9]+/)\n", printed)
    return str(address)


def curl_line(printed: str) -> str:
    """The line in the demo's output that requests a playback URL."""
    (line,) = [line for line in printed.splitlines() if line.startswith("curl ")]
    return line


def service_address(printed: str) -> str:
    """The address of the service in the line of curl."""
    (address,) = re.findall(r"(http://127\.0\.0\.1:[0-9]+)/v1/playback-urls ", curl_line(printed))
    return str(address)
