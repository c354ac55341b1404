"""Long commands show their progress on a terminal; a program reads only the result."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import new_channel, stream_key_of

# More than a command writes to the terminal here.
TERMINAL_BYTES = 65_536


@contextlib.contextmanager
def on_terminal(desk: Desk, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The command as a process whose standard error is a terminal, and our side of the terminal."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "tokensvc", *words],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TOKENSVC_CONFIG": str(desk.settings), "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
        ) as process:
            yield process, ours
    finally:
        os.close(ours)
        os.close(theirs)


def shown_and_printed(desk: Desk, *words: str) -> tuple[str, str]:
    """What a command that succeeds shows on the terminal, and its standard output."""
    with on_terminal(desk, *words) as (process, terminal):
        printed, _ = process.communicate()
        shown = os.read(terminal, TERMINAL_BYTES).decode()
        assert process.returncode == 0, shown
    return shown, printed.decode()


def test_a_long_listing_shows_its_progress_only_on_the_terminal(desk: Desk) -> None:
    """A progress bar that ends at 100 %; standard output has only JSON."""
    arns = [new_channel(desk, name) for name in ("one", "two", "three")]
    shown, printed = shown_and_printed(desk, "stream-keys", "list", "--json")
    assert "100%" in shown
    listed = [stream_key["arn"] for stream_key in json.loads(printed)]
    assert listed == [stream_key_of(desk, arn) for arn in arns]


def test_without_a_terminal_only_the_result_is_printed(desk: Desk) -> None:
    """A log or a mail from cron has no progress bar."""
    new_channel(desk, "one")
    result = desk.run("stream-keys", "list", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(json.loads(result.stdout)) == 1


def test_a_person_who_revokes_many_viewers_sees_two_bars(real_time_desk: Desk) -> None:
    """How many are stored, and how many IVS has confirmed. The audit lines are for programs."""
    desk = real_time_desk
    desk.state.create()
    channel = new_channel(desk, "one")
    viewers = desk.folder / "viewers.txt"
    viewers.write_text("".join(f"viewer-{number}\n" for number in range(30)))
    revoke = ("viewers", "revoke", channel, "--from", str(viewers))

    shown, printed = shown_and_printed(desk, *revoke)

    full = re.findall(r"(Stored|Confirmed by Amazon IVS)  \[#+\]  30/30  100%", shown)
    assert list(dict.fromkeys(full)) == ["Stored", "Confirmed by Amazon IVS"]
    assert "{" not in shown
    assert len(printed.splitlines()) == 30

    logged = desk.run(*revoke).stderr
    assert "100%" not in logged
    assert sum(line.startswith("{") for line in logged.splitlines()) == 30


def test_a_rewrap_shows_its_progress(rotating_desk: Desk) -> None:
    """Of both key pairs."""
    shown, printed = shown_and_printed(rotating_desk, "keys", "rewrap")
    assert "2/2" in shown
    assert printed.startswith("0 of 2 ")
    assert "2/2" not in rotating_desk.run("keys", "rewrap").stderr


def test_a_person_who_waits_sees_the_seconds(real_time_desk: Desk) -> None:
    """Until the next step, such as the switch to a key that was published a moment ago."""
    with on_terminal(real_time_desk, "keys", "reconcile", "--watch") as (process, terminal):
        shown = ""
        while "Waiting for 2 s" not in shown and "Waiting for 59 s" not in shown:
            shown += os.read(terminal, TERMINAL_BYTES).decode()
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate()
    assert process.returncode == 0
    assert b"Waiting" not in printed
