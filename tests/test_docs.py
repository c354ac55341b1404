"""The pages say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tokensvc import errors
from tokensvc.cli.main import cli
from tokensvc.errors import TokensvcError

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
OPERATORS_ONLY = 500  # The status of what only the command line tells.


def told_to_callers() -> dict[str, int]:
    """Each code that an answer over HTTP may have, with its status."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, TokensvcError)
    ]
    codes = {kind.code: kind.http_status for kind in kinds}
    return {
        code: status
        for code, status in codes.items()
        if status != OPERATORS_ONLY or code == TokensvcError.code
    }


def test_the_page_of_the_http_api_lists_every_code_with_its_status() -> None:
    """A code without a line would leave its reader without a way out."""
    page = (ROOT / "docs/http.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE))

    assert {code: int(status) for code, status in listed.items()} == {
        code: status for code, status in told_to_callers().items() if code != "invalid_arn"
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture of every page is there."""
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    """With each option that it gives."""
    unknown = []
    for line in re.findall(r"(?:^|`)tokensvc ([a-z][^`\n#]*)", page.read_text(), re.MULTILINE):
        words = line.split()
        command: click.Command = cli
        while words and isinstance(command, click.Group) and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        missing = [word for word in words if word.startswith("--") and word not in options]
        if command is cli or isinstance(command, click.Group) or missing:
            unknown.append(line)

    assert unknown == []
