"""Long commands show their progress on a terminal; a program reads only the result."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import new_channel, stream_key_of

# More than the command writes to the terminal here.
TERMINAL_BYTES = 65_536


def test_a_long_listing_shows_its_progress_only_on_the_terminal(desk: Desk) -> None:
    """A progress bar that ends at 100 %; standard output has only JSON."""
    arns = [new_channel(desk, name) for name in ("one", "two", "three")]
    ours, theirs = pty.openpty()
    try:
        result = subprocess.run(
            [sys.executable, "-m", "tokensvc", "stream-keys", "list", "--json"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TOKENSVC_CONFIG": str(desk.settings)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            check=True,
        )
        shown = os.read(ours, TERMINAL_BYTES).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "100%" in shown
    listed = [stream_key["arn"] for stream_key in json.loads(result.stdout)]
    assert listed == [stream_key_of(desk, arn) for arn in arns]


def test_without_a_terminal_only_the_result_is_printed(desk: Desk) -> None:
    """A log or a mail from cron has no progress bar."""
    new_channel(desk, "one")
    result = desk.run("stream-keys", "list", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(json.loads(result.stdout)) == 1
