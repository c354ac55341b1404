"""A command that destroys something asks for confirmation at a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import new_channel


@pytest.mark.parametrize(("answer", "status", "left"), [(b"y\n", 0, 0), (b"\n", 1, 1)])
def test_only_an_explicit_yes_confirms(desk: Desk, answer: bytes, status: int, left: int) -> None:
    """Enter alone changes nothing."""
    arn = new_channel(desk, "show")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        result = subprocess.run(
            [sys.executable, "-m", "tokensvc", "channels", "delete", "show"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TOKENSVC_CONFIG": str(desk.settings)},
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.returncode == status, result.stderr
    assert f"show  {arn}\n" in result.stderr
    assert "[y/N]" in result.stderr
    assert len(desk.ivs.client().list_channels()["channels"]) == left
