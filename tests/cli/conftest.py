"""A deployment's folder, clock and IVS, and the command line run on them in this process."""

from __future__ import annotations

import functools
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from local_ivs.testing import LocalIvsServer

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.snapshot import Snapshot
from tokensvc.arns import parse_region
from tokensvc.cli.main import cli
from tokensvc.cli.output import CommandFailed
from tokensvc.errors import TokensvcError
from tokensvc.keyring.model import Ring
from tokensvc.keyring.ring_document import RingStore
from tokensvc.state.sqlite import SqliteState

SETTINGS = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
[grants.web]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
"""


@dataclass(frozen=True)
class Desk:
    """An operator's deployment, and the commands that the operator runs on it.

    Attributes:
        folder: the folder of the settings, the secret, the keys and the state.
        clock: the time.
        ivs: the region's IVS.
    """

    folder: Path
    clock: ManualClock
    ivs: LocalIvsServer

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.folder / "tokensvc.toml"

    @property
    def state(self) -> SqliteState:
        """The shared state."""
        return SqliteState(self.folder / "keys/state.sqlite3", self.clock)

    def ring(self, region: str = "us-west-2") -> Ring:
        """That region's ring as it is stored."""
        stored = RingStore(self.state, parse_region(region)).load()
        assert stored is not None
        return stored.ring

    def run(self, *arguments: str, standard_input: bytes | None = None) -> Result:
        """The result of `tokensvc` with those arguments; a Python error fails the test."""
        return self._invoke(*arguments, standalone_mode=True, standard_input=standard_input)

    def done(self, *arguments: str) -> str:
        """The standard output of `tokensvc`, which must end with exit status 0."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """The JSON that `tokensvc` prints."""
        return json.loads(self.done(*arguments, "--json"))

    def refused(self, *arguments: str, status: int = 1) -> str:
        """The standard error of `tokensvc`, which must end with that status; 2 is wrong use."""
        result = self.run(*arguments)
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.stderr
        return result.stderr

    def error(self, *arguments: str) -> TokensvcError:
        """The error that ends `tokensvc` with exit status 1."""
        with pytest.raises(CommandFailed) as failed:
            self._invoke(*arguments, standalone_mode=False)
        assert failed.value.exit_code == 1
        assert isinstance(failed.value.__cause__, TokensvcError)
        return failed.value.__cause__

    def usage_error(self, *arguments: str) -> click.UsageError:
        """The error that ends `tokensvc` with exit status 2, wrong use."""
        with pytest.raises(click.UsageError) as failed:
            self._invoke(*arguments, standalone_mode=False)
        assert failed.value.exit_code == 2
        return failed.value

    def _invoke(
        self, *arguments: str, standalone_mode: bool, standard_input: bytes | None = None
    ) -> Result:
        """Run the command; without `standalone_mode` click's exceptions reach the caller."""
        return CliRunner().invoke(
            cli,
            ["--config", str(self.settings), *arguments],
            input=standard_input,
            obj=self.clock,
            catch_exceptions=False,
            prog_name="tokensvc",
            standalone_mode=standalone_mode,
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A deployment without key pairs, and an empty IVS."""
    yield from _desk(tmp_path, monkeypatch)


@pytest.fixture
def real_time_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The same for commands that run as processes: IVS has the clock of the machine."""
    with LocalIvsServer(tmp_path / "ivs") as ivs:
        yield from _desk_with(tmp_path, monkeypatch, ManualClock(time.time()), ivs)


def _desk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    clock = ManualClock()
    with LocalIvsServer(folder / "ivs", clock) as ivs:
        yield from _desk_with(folder, monkeypatch, clock, ivs)


def _desk_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock, ivs: LocalIvsServer
) -> Iterator[Desk]:
    handlers = list(logging.getLogger().handlers)
    set_aws_endpoint(monkeypatch, folder, ivs.url)
    (folder / "tokensvc.toml").write_text(SETTINGS)
    (folder / "secret").write_bytes(bytes(range(32)))
    yield Desk(folder, clock, ivs)
    # The command logs to the runner's standard error, which is closed now.
    logging.getLogger().handlers[:] = handlers


@functools.cache
def _active_and_standby() -> Snapshot:
    """Made once in each process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as monkeypatch,
        contextmanager(_desk)(Path(folder), monkeypatch) as desk,
    ):
        for _ in range(2):
            desk.done("keys", "reconcile")
            desk.clock.advance(60)
        return Snapshot.of(desk.folder)


@pytest.fixture
def rotating_desk(desk: Desk) -> Desk:
    """A deployment with an active key pair and a standby that may become active."""
    _active_and_standby().restore(desk.folder)
    desk.clock.advance(120)
    return desk
