"""The operator's commands that the tests kill, each as the CLI command does it."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.keyring.rings import REGION, TERMS
from tests.keyring.world import OTHER_REGION
from tests.support.clock import ManualClock
from tests.support.settings import SECRET, settings_in
from tokensvc import operations
from tokensvc.arns import PlaybackKeyArn
from tokensvc.clock import Clock
from tokensvc.errors import ClockOff
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Step
from tokensvc.keyring.terms import Terms
from tokensvc.operations import Operations
from tokensvc.token.private_keys import load_private_key

PREVIOUS_SECRET = bytes(range(32, 64))
LOWER_TERMS = dataclasses.replace(TERMS, longest_ttl_seconds=300)
Arguments = Mapping[str, str]


@dataclass(frozen=True)
class Urls:
    """Where a deployment keeps its state and its private keys, as the settings have it."""

    state: str
    custody: str


def files_in(folder: Path) -> Urls:
    """SQLite and private key files in that folder."""
    return Urls(f"sqlite:{folder}/state.sqlite3", f"file:{folder}/keys")


@dataclass(frozen=True)
class CommandContext:
    """What a command runs with: the deployment's folder and storage, the clock, and IVS."""

    folder: Path
    urls: Urls
    clock: Clock
    key_pairs: IvsKeyPairs

    @property
    def custody(self) -> FileCustody:
        """The private key files, with the present and the previous key-encryption secret."""
        keys = self.folder / "keys"
        return FileCustody(keys, SECRET, self.clock, previous_secret=PREVIOUS_SECRET)

    @property
    def rotator(self) -> Rotator:
        """The rotator of a configured region."""
        return self.rotator_with()

    def rotator_with(self, *, decommissioning: bool = False, terms: Terms = TERMS) -> Rotator:
        """The rotator of the region, which may be decommissioned, with those terms as settings."""
        return self.operations(decommissioning=decommissioning, terms=terms).rotator(REGION)

    def operations(self, *, decommissioning: bool = False, terms: Terms = TERMS) -> Operations:
        """What changes keys, with those settings."""
        settings = settings_in(
            self.folder,
            regions=(OTHER_REGION,) if decommissioning else (REGION,),
            terms=terms,
            state={"url": self.urls.state},
            custody={
                "url": self.urls.custody,
                "previous_key_encryption_secret": PREVIOUS_SECRET.hex(),
            },
        )
        key_pairs = self.key_pairs
        return operations.build(settings, self.clock, by="ann@desk", key_pairs=lambda _: key_pairs)


def generate(command_context: CommandContext, _: Arguments) -> None:
    """`keys generate`."""
    command_context.rotator.generate("another key")


def import_pair(command_context: CommandContext, arguments: Arguments) -> None:
    """`keys import KEY`."""
    command_context.rotator.import_pair(arguments["key_id"], "another key")


def adopt(command_context: CommandContext, arguments: Arguments) -> None:
    """`keys adopt`, of a key whose tokens have a lifetime of at most an hour."""
    command_context.rotator.adopt(
        load_private_key(arguments["private_key"].encode()),
        PlaybackKeyArn.parse(arguments["arn"]),
        "import existing key",
        longest_ttl_seconds=3_600,
    )


def reconcile(command_context: CommandContext, _: Arguments) -> None:
    """`keys reconcile`."""
    command_context.rotator.reconcile(_ignore_step)


def reconcile_ahead(command_context: CommandContext, _: Arguments) -> None:
    """`keys reconcile` on a host whose clock is two hours ahead: longer than the drain."""
    clock = command_context.clock
    assert isinstance(clock, ManualClock)
    clock.jump_wall(7_200)
    with contextlib.suppress(ClockOff):
        command_context.rotator.reconcile(_ignore_step)


def decommission(command_context: CommandContext, _: Arguments) -> None:
    """`keys reconcile --region R`, after R was removed from the settings."""
    command_context.rotator_with(decommissioning=True).reconcile(_ignore_step)


def rotate(command_context: CommandContext, _: Arguments) -> None:
    """`keys rotate`."""
    command_context.rotator.request_rotation("monthly")
    command_context.rotator.reconcile(_ignore_step)


def rotate_on_schedule(command_context: CommandContext, _: Arguments) -> None:
    """`keys reconcile --rotate-after 60s`, of a key that has signed for that long."""
    command_context.rotator.request_scheduled_rotation(60)
    command_context.rotator.reconcile(_ignore_step)


def rollback(command_context: CommandContext, _: Arguments) -> None:
    """`keys rollback`."""
    command_context.rotator.rollback("players fail")
    command_context.rotator.reconcile(_ignore_step)


def lower_terms(command_context: CommandContext, _: Arguments) -> None:
    """`keys terms --lower`, with settings that allow tokens of five minutes only."""
    command_context.rotator_with(terms=LOWER_TERMS).lower_terms("shorter tokens")


def revoke(command_context: CommandContext, arguments: Arguments) -> None:
    """`keys revoke KEY ...`."""
    key_ids = arguments["key_ids"].split()
    command_context.operations().declare_compromised(REGION, key_ids, "laptop lost")
    command_context.rotator.remove_compromised(_ignore_step)
    command_context.rotator.reconcile(_ignore_step)


def rewrap(command_context: CommandContext, _: Arguments) -> None:
    """`keys rewrap`."""
    custody = command_context.custody
    for key_id in custody.key_ids():
        custody.rewrap(key_id)


def write_outside_crash_points(_: CommandContext, arguments: Arguments) -> None:
    """Not a command: changes files outside the crash points, which the harness must detect."""
    path = Path(arguments["path"])
    with path.open("w") as file:
        file.write("not detected?")
    shutil.move(path, path.with_suffix(".moved"))


def _ignore_step(_: Step) -> None:
    """Print no progress."""


COMMANDS: Mapping[str, Callable[[CommandContext, Arguments], None]] = {
    "generate": generate,
    "import": import_pair,
    "adopt": adopt,
    "reconcile": reconcile,
    "reconcile ahead": reconcile_ahead,
    "decommission": decommission,
    "rotate": rotate,
    "rotate on schedule": rotate_on_schedule,
    "rollback": rollback,
    "lower terms": lower_terms,
    "revoke": revoke,
    "rewrap": rewrap,
    "write outside crash points": write_outside_crash_points,
}
