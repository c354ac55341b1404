# ruff: noqa: INP001 - A program, not a package.
"""Print what CHANGELOG.md says about a version, for the notes of its release.

    python3 -m scripts.release_notes 0.1.0

It needs Python alone, because the release workflow installs nothing. CHANGELOG.md has the form of
Keep a Changelog 1.1.0: `## [Unreleased]`, then `## [VERSION] - DATE`, the newest first.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CHANGELOG: Final = Path(__file__).parents[1] / "CHANGELOG.md"
UNRELEASED: Final = "Unreleased"
_HEADING: Final = re.compile(
    rf"^## \[({UNRELEASED}|\d+\.\d+\.\d+)\](?: - \d{{4}}-\d\d-\d\d)?$", re.MULTILINE
)


def sections_of(changelog: str) -> Mapping[str, str]:
    """The text below the heading of each version, in the order of the file."""
    _, *parts = _HEADING.split(changelog)
    return {version: text.strip() for version, text in zip(parts[::2], parts[1::2], strict=True)}


def main() -> int:
    """Print the section of the version; the exit status is 1 if there is none, or no text in it."""
    sections = sections_of(CHANGELOG.read_text(encoding="utf-8"))
    version = sys.argv[1]
    notes = sections.get(version)
    if not notes or version == UNRELEASED:
        sys.stderr.write(
            f"CHANGELOG.md has nothing about version {version}. It has: {', '.join(sections)}.\n"
            f"Rename its heading [Unreleased] to [{version}] - DATE, and add a new one above.\n"
        )
        return 1
    sys.stdout.write(f"{notes}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
