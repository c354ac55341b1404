"""The README agrees with the program."""

from __future__ import annotations

import re
import time
from pathlib import Path

import urllib3

from local_ivs import testing
from local_ivs.command import local_ivs
from local_ivs.operations import READING, WRITING

FOLDER = Path(__file__).parents[1]
README = (FOLDER / "README.md").read_text()


def test_the_table_has_every_option_of_the_command() -> None:
    """In the order of the command's help."""
    rows = re.findall(r"^\| (`--.+?) \|", README, re.MULTILINE)
    options = [
        ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        for parameter in local_ivs.params
        if parameter.name != "version"
    ]
    assert rows == options


def test_every_command_has_only_options_that_exist() -> None:
    """In the lines that start `local-ivs`."""
    options = {name for parameter in local_ivs.params for name in parameter.opts}
    lines = re.findall(r"^\S*local-ivs (--.*)$", README, re.MULTILINE)
    assert lines
    assert set(re.findall(r"--[a-z-]+", " ".join(lines))) <= options


def test_the_number_of_operations_is_that_of_the_program() -> None:
    """24."""
    assert f"**{len(READING) + len(WRITING)} operations**" in README


def test_the_targets_of_relative_links_exist() -> None:
    """In the README and in the page of the benchmark."""
    for page in (FOLDER / "README.md", FOLDER / "benchmarks" / "README.md"):
        targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
        assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_limits_come_before_everything_else() -> None:
    """The first section."""
    assert re.findall(r"^## (.+)$", README, re.MULTILINE)[0] == "Limits"


def test_the_example_of_a_test_works(tmp_path: Path) -> None:
    """The Python code of the README, with the names of `local_ivs.testing`."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {"Path": Path, "time": time, "urllib3": urllib3, **vars(testing)}
    exec(example, names)  # noqa: S102 - Our own text.
    names["test_alice_can_watch"](tmp_path)
