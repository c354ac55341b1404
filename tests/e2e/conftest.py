"""A folder with settings, and an IVS that this process and those that it starts find."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.conftest import SETTINGS
from tests.support.aws import set_aws_endpoint
from tests.support.local_ivs import LocalIvsServer
from tokensvc.cli.main import cli

AWS = ("AWS_ENDPOINT_URL_IVS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class Site:
    """Where a service is to run."""

    folder: Path

    def configure(self, more: str) -> None:
        """Write the settings that tests share, and `more` of them."""
        (self.folder / "tokensvc.toml").write_text(SETTINGS + more)
        (self.folder / "secret").write_bytes(bytes(range(32)))

    def command(self, *arguments: str) -> str:
        """What `tokensvc` prints with those settings."""
        config = ("--config", str(self.folder / "tokensvc.toml"))
        result = CliRunner().invoke(cli, [*config, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def environment(self, **more: str) -> Mapping[str, str]:
        """What leads a process to its settings and its IVS."""
        aws = {name: os.environ[name] for name in AWS if name in os.environ}
        return {**aws, "TOKENSVC_CONFIG": str(self.folder / "tokensvc.toml"), **more}


@pytest.fixture
def ivs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIvsServer]:
    """A Local IVS that is found the AWS way."""
    with LocalIvsServer(tmp_path / "ivs") as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The folder of a service, not configured yet."""
    return Site(tmp_path)
