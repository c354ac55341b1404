"""Help with examples, colors, and tables that fit the terminal."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys

import click
import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import new_channel, stream_key_of
from tokensvc.cli.examples import EXAMPLES
from tokensvc.cli.main import cli
from tokensvc.cli.reference import commands

ARN = "arn:aws:ivs:us-west-2:123456789012:playback-key/abcdEFGHijkl"


def in_terminal(code: str, *, columns: int, **environment: str) -> str:
    """What a Python program prints into a terminal of that width."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color", **environment},
    )
    os.close(terminal)
    printed = b"".join(iter(lambda: _read(master), b""))
    os.close(master)
    assert process.wait() == 0, printed
    return printed.decode().replace("\r\n", "\n")


def plain(printed: str) -> list[str]:
    """The lines without colors and bold text."""
    return re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4_096)
    except OSError:  # The program has ended.
        return b""


TABLE = (
    f"from tokensvc.cli.output import print_table; print_table(('KEY', 'ARN'), [('k1', '{ARN}')])"
)
BETWEEN = "=====\n"
EACH_LISTING = f"""
from tokensvc.cli.main import cli
for number, words in enumerate({{}}):
    if number:
        print({BETWEEN!r}, end="", flush=True)
    cli(words, standalone_mode=False)
"""
# ARNs, IDs of key pairs, of API keys and of bans, fingerprints.
IDS = re.compile(r'"(arn:[^"]+|k[0-9a-f]{12}|[0-9a-f]{12,32}|[0-9a-f]{2}(?::[0-9a-f]{2}){15})"')


def test_a_table_that_fits_is_a_table() -> None:
    """With its names above."""
    first, second = plain(in_terminal(TABLE, columns=80))
    assert first.split() == ["KEY", "ARN"]
    assert second.split() == ["k1", ARN]


def test_a_table_that_is_too_wide_becomes_blocks() -> None:
    """No ARN is cut or folded: it could not be copied."""
    assert plain(in_terminal(TABLE, columns=40)) == ["KEY  k1", f"ARN  {ARN}"]


def test_wide_characters_count_for_two_columns() -> None:
    """So that a name that has some does not make a table too wide for its ARN."""
    code = TABLE.replace("'k1'", "'" + "日" * 12 + "'")
    assert ARN in plain(in_terminal(code, columns=len(ARN) + 20))[1].split()


@pytest.mark.parametrize("columns", [80, 40])
def test_no_listing_folds_an_arn_or_an_id(real_time_desk: Desk, columns: int) -> None:
    """At the width of a terminal, and of one beside another window."""
    desk = real_time_desk
    desk.done("keys", "reconcile")
    channel = new_channel(desk, "a-channel-whose-name-is-long-for-a-column")
    desk.ivs.go_live(channel)
    desk.done("tags", "add", channel, f"copy-of={channel}")
    desk.done("api-keys", "create", "site", "--grant", "web")
    desk.done("bans", "add", "viewer-7", "--channel", channel, "--for", "1h")
    key_id = desk.ring().pairs[0].key_id
    listings = [
        ("keys", "list"),
        ("keys", "history"),
        ("keys", "show", key_id),
        ("api-keys", "list"),
        ("bans", "list"),
        ("channels", "list"),
        ("channels", "show", channel),
        ("stream-keys", "list"),
        ("stream-keys", "show", stream_key_of(desk, channel)),
        ("streams", "list"),
        ("streams", "show", channel),
        ("tags", "list", channel),
    ]
    printed = in_terminal(
        EACH_LISTING.format(listings), columns=columns, TOKENSVC_CONFIG=str(desk.settings)
    )
    shown = [plain(part) for part in printed.split(BETWEEN)]
    for words, lines in zip(listings, shown, strict=True):
        ids = {
            each for each in IDS.findall(desk.done(*words, "--json")) if each[:12] in "".join(lines)
        }
        assert ids, words
        assert [each for each in ids if not any(each in line for line in lines)] == [], words


def test_colors_are_used_in_a_terminal_unless_it_has_no_color(rotating_desk: Desk) -> None:
    """NO_COLOR turns them off; a pipe or a file never gets any."""
    settings = str(rotating_desk.settings)
    words = ["--config", settings, "tokens", "inspect", "x"]
    code = f"from tokensvc.cli.main import cli; cli({words}, standalone_mode=False)"
    assert "\x1b[" in in_terminal(code, columns=100)
    assert "\x1b[" not in in_terminal(code, columns=100, NO_COLOR="1")
    assert "\x1b[" not in rotating_desk.run("tokens", "inspect", "x").output


@pytest.mark.parametrize(
    ("called", "line"), [(called, line) for called, lines in EXAMPLES.items() for line in lines]
)
def test_each_example_is_one_of_its_command(called: str, line: str) -> None:
    """Its options exist, and as many arguments are given as are needed."""
    found = {path.removeprefix("tokensvc "): command for path, command in commands(cli, "tokensvc")}
    command = found[called]
    words = shlex.split(line.partition(" < ")[0])
    assert words[: len(called.split()) + 1] == ["tokensvc", *called.split()]
    assert line in command.get_help(click.Context(command))
    parser = command.make_parser(click.Context(command))
    given, _, _ = parser.parse_args(words[len(called.split()) + 1 :])
    required = [
        str(parameter.name)
        for parameter in command.params
        if isinstance(parameter, click.Argument) and parameter.required
    ]
    assert [name for name in required if not given.get(name)] == []


def test_every_command_has_an_example() -> None:
    """In its help, which a user reads before the documentation."""
    called = {
        path.removeprefix("tokensvc ")
        for path, command in commands(cli, "tokensvc")
        if not isinstance(command, click.Group)
    }
    assert called - set(EXAMPLES) == set()
