"""The project is written in the words that a reader would search for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RETIRED_WORDS = Path(__file__).with_name("retired_words.txt")
SUFFIXES = {".py", ".md", ".toml", ".html", ".js", ".css", ".json", ".sh", ".txt", ".yml", ".yaml"}
# The license is not ours, and the other two name the words.
NOT_CHECKED = {"LICENSE", "tests/retired_words.txt", "tests/test_words.py"}
# A ring's document that an earlier version stored has this member.
STORED_MEMBERS = {("tokensvc/keyring/ring_document.py", "wish")}


def words_of(text: str) -> str:
    """The text in lower case, with the words of every identifier apart."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text)
    return re.sub(r"[ \t]+", " ", apart).lower()


def retired() -> dict[str, re.Pattern[str]]:
    """What to write, by the pattern of the words that it replaces."""
    lines = RETIRED_WORDS.read_text().splitlines()
    entries = [line.split("=>") for line in lines if line and not line.startswith("#")]
    return {
        f"{words.strip()} => {use.strip()}": re.compile(words.strip()) for words, use in entries
    }


def tracked_files() -> list[str]:
    """Every text file of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 # From PATH.
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        name
        for name in listed.stdout.splitlines()
        if (Path(name).suffix in SUFFIXES or Path(name).name in {"Makefile", "Dockerfile"})
        and name not in NOT_CHECKED
        and not name.startswith("requirements/")
        and (ROOT / name).exists()
    ]


def test_no_retired_word_is_used() -> None:
    """In an identifier, a JSON member, help, a message, a comment or a page."""
    patterns = retired()
    # Searched once in each file, because to search each line for each word takes long.
    any_of_them = re.compile("|".join(pattern.pattern for pattern in patterns.values()))
    texts = {name: words_of((ROOT / name).read_text()) for name in tracked_files()}
    found = [
        f"{name}:{number}: {entry}"
        for name, text in texts.items()
        if any_of_them.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        for entry, pattern in patterns.items()
        if (match := pattern.search(line)) and (name, match[0]) not in STORED_MEMBERS
    ]

    assert found == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("error.retry_after", "error.retry after"),
        ("class SigningKey:", "class signing key:"),
        ("The private  key of k1", "the private key of k1"),
        ("MOST_PAIRS_IN_IVS", "most pairs in ivs"),
    ],
)
def test_identifiers_are_read_as_words(line: str, words: str) -> None:
    """Snake case and camel case alike, so that neither hides a retired word."""
    assert words_of(line) == words
