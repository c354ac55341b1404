"""A program that has everything loaded, has no thread, and forks a child for each operation.

`python -m tests.crash.warm_parent` reads one JSON object a line, an `Errand`, and answers each with
one, an `Outcome`. The AWS environment says where IVS is.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.crash.acts import ACTS, Machine
from tests.crash.points import CrashPoints
from tests.keyring.rings import ACCOUNT_ID, REGION
from tests.support.clock import ManualClock
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.ivs.key_pairs import IvsKeyPairs


@dataclass(frozen=True)
class Errand:
    """What a child is to do.

    Attributes:
        act: its name in `ACTS`.
        arguments: what the act is given.
        folder: the deployment's folder.
        now: Unix seconds, at which time stands.
        die_after: the number of calls to die after, 0 for before the first; None to live.
    """

    act: str
    arguments: Mapping[str, str]
    folder: str
    now: float
    die_after: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a child.

    Attributes:
        exit_code: 0, or minus the number of the signal that killed it.
        calls: the counted calls that it made, in order.
        actions: the actions of the steps that it began.
        uncounted: what it did to files past all counted calls.
    """

    exit_code: int
    calls: list[str]
    actions: list[str]
    uncounted: list[str]


class WarmParent:
    """The program, from the outside; use it in a `with`."""

    def __init__(self, endpoint_url: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key[:4] != "AWS_"}
        environment |= {
            "AWS_ACCESS_KEY_ID": ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": "example-secret",
            "AWS_ENDPOINT_URL_IVS": endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.warm_parent"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, errand: Errand) -> Outcome:
        """What became of a child with that errand."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(dataclasses.asdict(errand)), file=self._process.stdin, flush=True)
        return Outcome(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # It ends when there is nothing more to read.
        self._process.communicate()


def main() -> None:
    """Do errand after errand, until there are no more."""
    clients = AwsClients(AwsTerms())
    clients.ivs(REGION)  # Made before the forks, which is slow; it connects at its first call.
    for line in sys.stdin:
        outcome = fork_for(Errand(**json.loads(line)), clients)
        sys.stdout.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
        sys.stdout.flush()


def fork_for(errand: Errand, clients: AwsClients) -> Outcome:
    """Fork a child, and wait for its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        # An error is not caught: it ends this program with a trace and an exit code.
        run(errand, clients, writing)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        found = json.loads(told.read() or '{"calls": [], "actions": [], "uncounted": []}')
    _, status = os.waitpid(child, 0)
    return Outcome(os.waitstatus_to_exitcode(status), **found)


def run(errand: Errand, clients: AwsClients, writing: int) -> None:
    """Do the errand in this process, watched; tell about it through that descriptor."""
    folder = Path(errand.folder)
    machine = Machine(folder, ManualClock(errand.now), IvsKeyPairs(clients, REGION))
    write = os.write  # As it is before it is counted.

    def tell(points: CrashPoints) -> None:
        names = ("calls", "actions", "uncounted")
        write(writing, json.dumps({name: getattr(points, name) for name in names}).encode())

    points = CrashPoints(folder, errand.die_after, tell)
    points.watch()
    ACTS[errand.act](machine, errand.arguments)
    tell(points)


if __name__ == "__main__":
    main()
