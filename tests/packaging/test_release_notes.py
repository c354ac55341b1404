"""The notes of a release come from CHANGELOG.md."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from scripts.release_notes import CHANGELOG, UNRELEASED, sections_of
from tokensvc import __version__

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
    sections = sections_of(CHANGELOG.read_text())
    _, *versions = sections
    is_next = all(numbers(__version__) > numbers(released) for released in versions)
    assert __version__ in versions or (is_next and sections[UNRELEASED])


def test_only_the_wheel_has_the_version_as_metadata() -> None:
    """An image has the folder of the package, and nothing that is installed under its name."""
    assert metadata.version("tokensvc") == __version__
    sources = {path: path.read_text() for path in (ROOT / "tokensvc").rglob("*.py")}
    assert len(sources) > 100
    assert [
        path for path, text in sources.items() if "importlib" in text and "metadata" in text
    ] == []
