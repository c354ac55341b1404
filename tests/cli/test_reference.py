"""The documentation page that lists every command."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from tokensvc.cli.main import cli
from tokensvc.cli.reference import cli_page, commands

PROJECT = Path(__file__).parents[2]
DOCS_PAGE = PROJECT / "docs/cli.md"
README = PROJECT / "README.md"


def test_every_command_has_a_line_with_its_operations() -> None:
    """Also the commands that call none, with their arguments."""
    lines = cli_page().splitlines()
    assert sum(line.startswith("| `tokensvc ") for line in lines) == len(
        list(commands(cli, "tokensvc"))
    )
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `tokensvc ")]
    descriptions = {command: description for command, description, _ in rows}
    operations = {command: re.findall(r"\b[A-Z]\w+", called) for command, _, called in rows}
    assert all(descriptions.values())
    assert operations["`tokensvc streams stop CHANNEL...`"] == ["StopStream", "ListChannels"]
    assert operations["`tokensvc keys adopt`"] == ["GetPlaybackKeyPair"]
    assert "IVS" in rows[[*descriptions].index("`tokensvc keys generate`")][2]


def test_the_page_in_docs_is_current() -> None:
    """It is generated: `python -m tokensvc.cli.reference > docs/cli.md`."""
    assert DOCS_PAGE.read_text() == cli_page()


def test_readme_shows_the_commands_as_the_help_does() -> None:
    """All of them, and no description is cut off."""
    printed = CliRunner().invoke(cli, ["--help"], prog_name="tokensvc").output
    listed = printed[printed.index("Commands:\n") :]
    assert "..." not in listed
    (shown,) = re.findall(r"```text\n(Commands:\n.*?)```", README.read_text(), re.DOTALL)
    assert shown == listed
