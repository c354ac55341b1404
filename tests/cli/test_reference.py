"""The page of the documentation that lists every command."""

from __future__ import annotations

from pathlib import Path

from tokensvc.cli.main import cli
from tokensvc.cli.reference import cli_page, commands

DOCS_PAGE = Path(__file__).parents[2] / "docs/cli.md"


def test_every_command_has_a_line_with_its_operations() -> None:
    """Also those that call none, and what an argument may be."""
    lines = cli_page().splitlines()
    assert sum(line.startswith("| `tokensvc ") for line in lines) == len(
        list(commands(cli, "tokensvc"))
    )
    assert (
        "| `tokensvc streams stop CHANNEL...` | Stop the stream of each CHANNEL; its viewers are"
        " cut off. | StopStream, and ListChannels to find a name |"
    ) in lines
    assert (
        "| `tokensvc keys generate` | Make a key pair, its private half in custody; IVS does not"
        " know it yet. | no operation of IVS |"
    ) in lines


def test_the_page_in_docs_is_current() -> None:
    """It is made from the commands: `python -m tokensvc.cli.reference > docs/cli.md`."""
    assert DOCS_PAGE.read_text() == cli_page()
