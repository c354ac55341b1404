"""What an operator does: one act for each command that may be killed, as the command does it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.keyring.rings import ACCOUNT_ID, REGION, TERMS
from tests.keyring.world import SECRET
from tokensvc.arns import PlaybackKeyArn
from tokensvc.clock import Clock
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.rotation import Step
from tokensvc.keyring.rotator import Binding, Rotator
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.store import RingStore
from tokensvc.p384 import load_private_key
from tokensvc.state.sqlite import SqliteState

PREVIOUS_SECRET = bytes(range(32, 64))
Arguments = Mapping[str, str]


@dataclass(frozen=True)
class Machine:
    """Where a command runs: a deployment's folder, the time, and IVS."""

    folder: Path
    clock: Clock
    key_pairs: IvsKeyPairs

    @property
    def custody(self) -> FileCustody:
        """The custody, set up for a change of the key-encryption secret."""
        keys = self.folder / "keys"
        return FileCustody(keys, SECRET, self.clock, previous_secret=PREVIOUS_SECRET)

    @property
    def rotator(self) -> Rotator:
        """The rotator."""
        return self.rotator_that()

    def rotator_that(self, *, decommissioning: bool = False) -> Rotator:
        """The rotator, or the one of a region that is left."""
        steps = Steps(self.custody, self.key_pairs, self.clock, "ann@desk")
        store = RingStore(SqliteState(self.folder / "state.sqlite3", self.clock), REGION)
        binding = Binding(REGION, ACCOUNT_ID, self.key_pairs.endpoint)
        return Rotator(store, steps, binding=binding, terms=TERMS, decommissioning=decommissioning)


def generate(machine: Machine, _: Arguments) -> None:
    """`keys generate`."""
    machine.rotator.generate("another key")


def import_pair(machine: Machine, arguments: Arguments) -> None:
    """`keys import KEY`."""
    machine.rotator.import_pair(arguments["key_id"], "another key")


def adopt(machine: Machine, arguments: Arguments) -> None:
    """`keys adopt`, of a key whose longest tokens live an hour."""
    machine.rotator.adopt(
        load_private_key(arguments["private_key"].encode()),
        PlaybackKeyArn.parse(arguments["arn"]),
        "first day",
        longest_ttl_seconds=3_600,
    )


def reconcile(machine: Machine, _: Arguments) -> None:
    """`keys reconcile`."""
    machine.rotator.reconcile(_says_nothing)


def leave(machine: Machine, _: Arguments) -> None:
    """`keys reconcile --region R`, after the settings have let go of R."""
    machine.rotator_that(decommissioning=True).reconcile(_says_nothing)


def rotate(machine: Machine, _: Arguments) -> None:
    """`keys rotate`."""
    machine.rotator.request_rotation("monthly")
    machine.rotator.reconcile(_says_nothing)


def revoke(machine: Machine, arguments: Arguments) -> None:
    """`keys revoke KEY ...`."""
    machine.rotator.revoke(arguments["key_ids"].split(), "laptop lost")
    machine.rotator.reconcile(_says_nothing)


def rewrap(machine: Machine, _: Arguments) -> None:
    """`keys rewrap`."""
    custody = machine.custody
    for key_id in custody.key_ids():
        custody.rewrap(key_id)


def write_past_the_points(_: Machine, arguments: Arguments) -> None:
    """No command: changes of files that no crash point surrounds, which the harness must notice."""
    path = Path(arguments["path"])
    with path.open("w") as file:
        file.write("unnoticed?")
    shutil.move(path, path.with_suffix(".moved"))


def _says_nothing(_: Step) -> None:
    """Nobody watches the progress."""


ACTS: Mapping[str, Callable[[Machine, Arguments], None]] = {
    "generate": generate,
    "import": import_pair,
    "adopt": adopt,
    "reconcile": reconcile,
    "leave": leave,
    "rotate": rotate,
    "revoke": revoke,
    "rewrap": rewrap,
    "write past the points": write_past_the_points,
}
