"""The command as a whole: how it is used, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tokensvc.settings import load_settings


def test_init_writes_a_file_that_loads_and_says_what_comes_next(desk: Desk) -> None:
    """The first command of an operator's first day."""
    desk.settings.unlink()
    result = desk.run("init", "--account-id", "123456789012", "--region", "us-west-2")
    assert result.exit_code == 0
    assert "openssl rand -base64 32" in result.stderr
    assert load_settings(desk.settings, {}).ivs.regions == ("us-west-2",)


def test_init_overwrites_nothing(desk: Desk) -> None:
    """The settings of a running service are never lost by it."""
    before = desk.settings.read_text()
    said = desk.refused("init", "--account-id", "123456789012", "--region", "us-west-2")
    assert "is there already" in said
    assert desk.settings.read_text() == before


@pytest.mark.parametrize(
    ("account_id", "region"), [("12", "us-west-2"), ("123456789012", "Oregon")]
)
def test_init_refuses_what_can_not_be(desk: Desk, account_id: str, region: str) -> None:
    """Wrong use, and no file."""
    desk.settings.unlink()
    desk.refused("init", "--account-id", account_id, "--region", region, status=2)
    assert not desk.settings.exists()


def test_every_problem_of_the_settings_has_a_line(desk: Desk) -> None:
    """Field and sentence, then the way out."""
    desk.settings.write_text("[ivs]\nregions = []\n")
    said = desk.refused("keys", "list").splitlines()
    assert said[0] == f"Error: The settings are wrong ({desk.settings}):"
    assert [line.split(":")[0] for line in said[1:-1]] == [
        "  ivs.account_id",
        "  ivs.regions",
        "  custody.key_encryption_secret_file",
    ]
    assert "tokensvc init" in said[-1]


def test_an_unknown_command_is_wrong_use(desk: Desk) -> None:
    """Exit status 2, as for every wrong option."""
    assert "No such command" in desk.refused("keyz", status=2)
    assert "No such option" in desk.refused("keys", "list", "--jason", status=2)


def test_the_command_runs_as_a_process(tmp_path: Path) -> None:
    """`python -m tokensvc` is the command; an error is one on standard error, without traceback."""
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
    assert result.stderr.splitlines() == [
        f"Error: The settings file {tmp_path}/none.toml can't be read (No such file or directory).",
        "Name another with --config, or write one with `tokensvc init`.",
    ]
