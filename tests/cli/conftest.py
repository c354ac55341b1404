"""A deployment's folder, its time and its IVS, and the command run on them in this process."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.aws import set_aws_endpoint
from tests.support.clock import ManualClock
from tests.support.local_ivs import LocalIvsServer
from tokensvc.arns import parse_region
from tokensvc.cli.main import cli
from tokensvc.keyring.model import Ring
from tokensvc.keyring.store import RingStore
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
    """Where an operator sits.

    Attributes:
        folder: has the settings, the secret, the keys and the state.
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

    def run(self, *arguments: str) -> Result:
        """How `tokensvc` ends with those arguments; a Python error is the test's."""
        return CliRunner().invoke(
            cli,
            ["--config", str(self.settings), *arguments],
            obj=self.clock,
            catch_exceptions=False,
            prog_name="tokensvc",
        )

    def done(self, *arguments: str) -> str:
        """What `tokensvc` prints on standard output when it is done."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """The JSON that it prints."""
        return json.loads(self.done(*arguments, "--json"))

    def refused(self, *arguments: str, status: int = 1) -> str:
        """What `tokensvc` says on standard error when it fails, or is wrongly used for status 2."""
        result = self.run(*arguments)
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.stderr
        return result.stderr


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk with nothing in IVS and no key pairs."""
    clock = ManualClock()
    handlers = list(logging.getLogger().handlers)
    with LocalIvsServer(tmp_path / "ivs", clock) as ivs:
        set_aws_endpoint(monkeypatch, tmp_path, ivs.url)
        (tmp_path / "tokensvc.toml").write_text(SETTINGS)
        (tmp_path / "secret").write_bytes(bytes(range(32)))
        yield Desk(tmp_path, clock, ivs)
    # The command logs to the runner's standard error, which is no more.
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def rotating_desk(desk: Desk) -> Desk:
    """A desk with an active key pair and a standby that may sign."""
    desk.done("keys", "reconcile")
    desk.clock.advance(60)
    desk.done("keys", "reconcile")
    desk.clock.advance(60)
    return desk
