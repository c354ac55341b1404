"""A single-threaded program that imports everything once and forks a child for each task.

`python -m tests.crash.fork_server` reads one JSON object per line, a `Task`, and answers each with
a line, an `Outcome`. The AWS environment variables set the endpoints.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.crash.commands import COMMANDS, CommandContext, Urls
from tests.crash.points import CrashPoints
from tests.keyring.rings import ACCOUNT_ID, REGION
from tests.support.clock import ManualClock
from tokensvc.aws import AwsClients, AwsTerms, load_descriptions
from tokensvc.clock import Clock
from tokensvc.ivs.key_pairs import IvsKeyPairs


@dataclass(frozen=True)
class Task:
    """A task for a child.

    Attributes:
        command: the name of the command in `COMMANDS`.
        arguments: the arguments of the command.
        folder: the deployment's folder.
        state_url: where its state is.
        custody_url: where its private keys are.
        now: Unix seconds; the clock does not advance.
        kill_after: the number of calls to kill after, 0 for before the first; None to run to the
            end.
    """

    command: str
    arguments: Mapping[str, str]
    folder: str
    state_url: str
    custody_url: str
    now: float
    kill_after: int | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a child.

    Attributes:
        exit_code: 0, or the negative number of the signal that killed it.
        calls: the counted calls that it made, in order.
        actions: the actions of the rotation steps that it began.
        uncounted: the changes of files that were made by no counted call.
    """

    exit_code: int
    calls: list[str]
    actions: list[str]
    uncounted: list[str]


class ForkServer:
    """Starts the program and sends it tasks; a context manager."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        # The thousands of children would take far longer if each measured its coverage.
        removed = ("AWS_", "COVERAGE_")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(removed)
        }
        environment |= {
            "AWS_ACCESS_KEY_ID": ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": "example-secret",
            **endpoints,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.fork_server"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run_in_child(self, task: Task) -> Outcome:
        """Run the task in a child, and return its outcome."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(dataclasses.asdict(task)), file=self._process.stdin, flush=True)
        return Outcome(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The program ends when its standard input is closed.
        self._process.communicate()


def main() -> None:
    """Run each task from standard input, until it is closed."""
    clock = ManualClock()
    clients = AwsClients(AwsTerms(), clock=clock)
    # Created before the forks, because that is slow. They connect at their first call; the others
    # load what all clients of these services share.
    clients.ivs(REGION)
    load_descriptions(REGION, "dynamodb")
    clients.kms(REGION)
    clients.secrets_manager(REGION)
    # The children share the memory of this process until they write to it, and a search for garbage
    # writes to all of it.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    for line in sys.stdin:
        outcome = run_in_fork(Task(**json.loads(line)), clock, clients)
        sys.stdout.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
        sys.stdout.flush()


def run_in_fork(task: Task, clock: ManualClock, clients: AwsClients) -> Outcome:
    """Fork a child for the task, and wait until it ends."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        # Errors are not caught: they end the child with a traceback and an exit code.
        clock.jump_wall(task.now - clock.now())
        run_task(task, clock, clients, writing)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result_pipe:
        result = json.loads(result_pipe.read() or '{"calls": [], "actions": [], "uncounted": []}')
    _, status = os.waitpid(child, 0)
    return Outcome(os.waitstatus_to_exitcode(status), **result)


def run_task(task: Task, clock: Clock, clients: AwsClients, writing: int) -> None:
    """Run the task in this process with crash points; write the report to that descriptor."""
    folder = Path(task.folder)
    urls = Urls(task.state_url, task.custody_url)
    command_context = CommandContext(folder, urls, clock, IvsKeyPairs(clients, REGION))
    write = os.write  # The original, before it is wrapped.

    def report(points: CrashPoints) -> None:
        names = ("calls", "actions", "uncounted")
        write(writing, json.dumps({name: getattr(points, name) for name in names}).encode())

    points = CrashPoints(folder, task.kill_after, report)
    points.watch()
    COMMANDS[task.command](command_context, task.arguments)
    report(points)


if __name__ == "__main__":
    main()
