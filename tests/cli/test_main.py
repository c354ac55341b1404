"""The command as a whole: its usage and its exit status."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Desk
from tokensvc.errors import SettingsInvalid
from tokensvc.settings import load_settings


def test_init_writes_a_file_that_loads_and_prints_the_next_commands(desk: Desk) -> None:
    """It is the first command that an operator runs."""
    desk.settings.unlink()
    result = desk.run("init", "--account-id", "123456789012", "--region", "us-west-2")
    assert result.exit_code == 0
    assert str(desk.settings) in result.stderr
    assert "openssl rand -base64 32" in result.stderr
    assert "tokensvc keys reconcile" in result.stderr
    assert load_settings(desk.settings, {}).ivs.regions == ("us-west-2",)


def test_under_no_umask_can_others_change_the_file_of_init(desk: Desk) -> None:
    """It holds no secret, so that others may read it."""
    desk.settings.unlink()
    before = os.umask(0)
    try:
        desk.done("init", "--account-id", "123456789012", "--region", "us-west-2")
    finally:
        os.umask(before)
    assert stat.S_IMODE(desk.settings.stat().st_mode) == 0o644


def test_init_does_not_overwrite_a_file(desk: Desk) -> None:
    """It must not destroy the settings of a running service."""
    before = desk.settings.read_text()
    error = desk.error("init", "--account-id", "123456789012", "--region", "us-west-2")
    assert isinstance(error, SettingsInvalid)
    assert str(desk.settings) in error.detail
    assert "--config" in error.hint
    assert desk.settings.read_text() == before


@pytest.mark.parametrize(
    ("account_id", "region"), [("12", "us-west-2"), ("123456789012", "Oregon")]
)
def test_init_refuses_invalid_options(desk: Desk, account_id: str, region: str) -> None:
    """It is wrong use, and no file is written."""
    desk.settings.unlink()
    desk.refused("init", "--account-id", account_id, "--region", region, status=2)
    assert not desk.settings.exists()


def test_every_problem_of_the_settings_has_a_line(desk: Desk) -> None:
    """The field and the problem; the last line is the hint."""
    desk.settings.write_text("[ivs]\nregions = []\n")
    printed = desk.refused("keys", "list").splitlines()
    assert printed[0].startswith("Error: ")
    assert str(desk.settings) in printed[0]
    assert [line.split(":")[0] for line in printed[1:-1]] == [
        "  ivs.account_id",
        "  ivs.regions",
        "  custody.key_encryption_secret_file",
    ]
    assert "tokensvc init" in printed[-1]


def test_an_unknown_command_is_wrong_use(desk: Desk) -> None:
    """Exit status 2, as for every wrong option."""
    assert "keyz" in desk.usage_error("keyz").message
    assert isinstance(desk.usage_error("keys", "list", "--jason"), click.NoSuchOption)


def test_the_command_runs_as_a_process(tmp_path: Path) -> None:
    """`python -m tokensvc` is the command; an error is on standard error, without a traceback."""
    result = subprocess.run(
        [sys.executable, "-m", "tokensvc", "--config", tmp_path / "none.toml", "keys", "list"],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    error, hint = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert f"{tmp_path}/none.toml" in error
    assert "--config" in hint
    assert "`tokensvc init`" in hint
