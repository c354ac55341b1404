"""The commands of every page exist, and no block is in no table."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.docs.blocks import OUTPUT, ROOT, SHELL, all_blocks, blocks_of, pages
from tests.docs.checked_commands import problems_of
from tests.docs.shell import commands_in
from tests.docs.tables import NOT_RUN, SESSIONS, reason_not_to_run

LANGUAGES = {
    # test_data_blocks.py checks the data and the programs, except in the languages of the last
    # line, for which the tests have no compiler, and drawings.
    *(SHELL, "toml", "json", "yaml", "python", "text", "html", "js", "jsx", "swift"),
    *("kotlin", "mermaid", OUTPUT, "{toctree}"),
}
INLINE = re.compile(r"`((?:aws|make|python -m|docker|kubectl|systemctl|tokensvc) [^`]+)`")
CHOICE = re.compile(r"\{\w+(\|\w+)+\}")  # As the page of all commands has it.
LEFT_OUT_IN_A_SENTENCE = ("missing: ", "requires an argument")


def test_every_block_says_its_language() -> None:
    """So that no command is in a block that the other tests don't read."""
    assert [str(block) for block in all_blocks() if block.language not in LANGUAGES] == []
    commands = re.compile(r"^ *[$#]? *(tokensvc|curl|aws|make|docker|kubectl) ", re.MULTILINE)
    texts = [block for block in all_blocks("text") if commands.search(block.text)]
    assert [str(block) for block in texts] == []


def test_every_block_of_commands_is_in_one_table() -> None:
    """It is run, or a reason says why not; and each row of the tables has a block."""
    blocks = all_blocks(SHELL)
    assert len(blocks) > 40
    skipped = [block for block in blocks if reason_not_to_run(block)]
    assert [
        str(block) for block in blocks if block not in skipped and block.page not in SESSIONS
    ] == []
    assert {block.page for block in blocks if block not in skipped} == set(SESSIONS)
    used = {
        key
        for key in NOT_RUN
        for page, first in [block.place for block in skipped]
        if page == key[0] and first.startswith(key[1])
    }
    assert set(NOT_RUN) - used == set()


@pytest.mark.parametrize("page", pages())
def test_every_command_of_a_page_exists(page: str) -> None:
    """With its options, arguments and files, as far as they can be known without running it."""
    found = [
        (str(block), problem)
        for block in blocks_of(page)
        if block.language == SHELL
        for words in commands_in(block.text)
        for problem in problems_of(words)
    ]
    assert found == []


@pytest.mark.parametrize("page", [page for page in pages() if page != "CHANGELOG.md"])
def test_every_command_in_a_sentence_exists(page: str) -> None:
    """Arguments may be left out there. Only a heading may name a group of commands.

    The changelog names those of its time.
    """
    lines = (ROOT / page).read_text().splitlines()
    text = " ".join(line for line in lines if not line.startswith("#"))
    found = [
        (command, problem)
        for command in INLINE.findall(text)
        for words in commands_in(CHOICE.sub("CHOICE", command))
        for problem in problems_of(words)
        if not any(left_out in problem for left_out in LEFT_OUT_IN_A_SENTENCE)
    ]
    assert found == []


def test_every_block_of_commands_is_valid_in_bash() -> None:
    """Also one that is not run."""
    for block in all_blocks(SHELL):
        done = subprocess.run(
            ["bash", "-n"],  # noqa: S607 # From PATH.
            input=block.text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}: {done.stderr}"


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("a --b c", [["a", "--b", "c"]]),
        ("a \\\n  b  # don't\nc", [["a", "b"], ["c"]]),
        ("X=1 a 2> log; b >> c &", [["a"], ["b"]]),
        ("(umask 077; a 32 > b)", [["umask", "077"], ["a", "32"]]),
        ("K=$(a b | c 'd;e')", [["a", "b"], ["c", "d;e"]]),
        ('a "$(b c)"', [["a", "$(b c)"], ["b", "c"]]),
        ("cat > f <<'E'\nnot a command\nE\na", [["cat"], ["a"]]),
    ],
)
def test_the_commands_of_a_script_are_found(script: str, commands: list[list[str]]) -> None:
    """Without comments, assignments and redirections."""
    assert list(commands_in(script)) == commands


@pytest.mark.parametrize(
    "command",
    [
        "tokensvc keys turn",
        "tokensvc keys",
        "tokensvc keys rotate --now",
        "tokensvc bans lift",
        "tokensvc keys list extra",
        "/opt/tokensvc/bin/tokensvc --config FILE keys lists",
        "docker compose run --rm replica-a channels creates demo",
        "make walk",
        "aws ivs import-key",
        "aws ivs get-channel --channel-arn ARN",
        "aws ivss get-channel",
        "kubectl apply -k deploy/kubernets",
        "kubectl logs deployment/token",
        "systemctl enable tokensvcs.service",
        "python -m benchmarks.nothing",
        "python -m benchmarks.fleet --sed 1",
        "tokensv keys list",
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    """The checks above can fail."""
    assert [problem for words in commands_in(command) for problem in problems_of(words)] != []
