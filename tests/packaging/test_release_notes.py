"""The notes of a release come from CHANGELOG.md."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from scripts.release_notes import CHANGELOG, UNRELEASED, sections_of

ROOT = Path(__file__).parents[2]
EXAMPLE = """\
# Changelog

## [Unreleased]

## [0.2.0] - 2027-02-01

### Added

- A new thing.

## [0.1.1] - 2027-01-20

### Fixed

- A fault. See [0.2.0] for more.

## [0.1.0] - 2027-01-15

First release.
"""
KINDS = {"Added", "Changed", "Deprecated", "Fixed", "Removed", "Security"}


def numbers(version: str) -> tuple[int, ...]:
    """By which versions are ordered."""
    return tuple(int(number) for number in version.split("."))


def test_the_notes_are_the_section_of_the_version() -> None:
    """Up to the heading of the version before it."""
    assert sections_of(EXAMPLE) == {
        "Unreleased": "",
        "0.2.0": "### Added\n\n- A new thing.",
        "0.1.1": "### Fixed\n\n- A fault. See [0.2.0] for more.",
        "0.1.0": "First release.",
    }


def test_a_version_without_a_section_has_no_release() -> None:
    """The workflow stops before it makes one."""
    for version in ("99.0.0", UNRELEASED):
        done = subprocess.run(
            [sys.executable, "-m", "scripts.release_notes", version],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")


def test_the_changelog_has_the_form_that_the_program_reads() -> None:
    """Headings of the second level are versions, the newest first; of the third, kinds."""
    text = CHANGELOG.read_text()
    sections = sections_of(text)
    assert len(re.findall("^## ", text, re.MULTILINE)) == len(sections)
    unreleased, *versions = sections
    assert unreleased == UNRELEASED
    assert all(numbers(a) > numbers(b) for a, b in itertools.pairwise(versions))
    assert all(
        re.search(rf"^## \[{re.escape(version)}\] - ", text, re.MULTILINE) for version in versions
    )
    for section in sections.values():
        kinds = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert set(kinds) <= KINDS
        assert len(kinds) == len(set(kinds))


def test_the_version_of_the_package_is_released_or_comes_next() -> None:
    """Then everything that is unreleased is about it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sections = sections_of(CHANGELOG.read_text())
    _, *versions = sections
    version = project["version"]
    is_next = all(numbers(version) > numbers(released) for released in versions)
    assert version in versions or (is_next and sections[UNRELEASED])
