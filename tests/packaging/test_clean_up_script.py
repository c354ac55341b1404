"""`scripts/clean_up.sh`, with which `try_image.sh` ends what it has started, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT

# A job that forwards no signal to its child, like buildah, and ignores those of the terminal.
SCRIPT = """
set -euo pipefail
work=$1
source scripts/clean_up.sh
bash -c 'sleep 60 & echo $! >"$0/child"; wait' "$work" &
until [ -s "$work/child" ]; do sleep 0.02; done
echo "$! $(cat "$work/child")"
"""


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user that the script has not started."""
    with subprocess.Popen(["sleep", "60"]) as process:  # noqa: S607 # From PATH.
        yield process
        process.kill()


def is_running(process_id: int) -> bool:
    """Whether the process has not ended. Nothing may have collected its exit status."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("ending", "is_interrupted"),
    [("exit 0", False), ("false", False), ("wait", True)],
    ids=["success", "failure", "Ctrl-C"],
)
def test_a_script_ends_its_jobs_and_no_other_process(
    *, ending: str, is_interrupted: bool, bystander: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """With the processes that the jobs have started, and it removes its folder."""
    work = tmp_path / "work"
    work.mkdir()
    with subprocess.Popen(
        ["bash", "-c", SCRIPT + ending, "script", str(work)],  # noqa: S607 # From PATH.
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as script:
        assert script.stdout is not None
        started = [int(process_id) for process_id in script.stdout.readline().split()]
        if is_interrupted:
            os.killpg(script.pid, signal.SIGINT)
        script.wait(timeout=30)

    assert len(started) == 2
    assert not any(is_running(process_id) for process_id in started)
    assert not work.exists()
    assert bystander.poll() is None
    assert (script.returncode == 0) == (ending == "exit 0")
