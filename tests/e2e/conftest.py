"""A folder with settings, and an IVS that this process and its child processes use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from local_ivs.testing import LocalIvsServer

from tests.cli.conftest import SETTINGS
from tests.support.aws import set_aws_endpoint
from tokensvc.cli.main import cli


@dataclass(frozen=True)
class Site:
    """The folder of a service."""

    folder: Path

    def configure(self, more: str) -> None:
        """Write the settings that the tests share, followed by `more`."""
        (self.folder / "tokensvc.toml").write_text(SETTINGS + more)
        (self.folder / "secret").write_bytes(bytes(range(32)))

    def command(self, *arguments: str) -> str:
        """Run `tokensvc` with these settings, and return what it prints on standard output."""
        config = ("--config", str(self.folder / "tokensvc.toml"))
        result = CliRunner().invoke(cli, [*config, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def environment(self, **more: str) -> Mapping[str, str]:
        """The environment variables with which a process uses these settings and this IVS."""
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        return {**aws, "TOKENSVC_CONFIG": str(self.folder / "tokensvc.toml"), **more}


@pytest.fixture
def ivs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIvsServer]:
    """A Local IVS, configured with the environment variables of AWS SDKs."""
    with LocalIvsServer(tmp_path / "ivs") as server:
        set_aws_endpoint(monkeypatch, tmp_path, server.url)
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The folder of a service without settings."""
    return Site(tmp_path)
