"""The page on security names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_every_test_that_the_page_names_exists(file: str, test: str) -> None:
    """A test that is renamed is renamed there too."""
    assert f"\ndef {test}(" in (TESTS / file).read_text()


def test_each_of_the_ten_risks_has_tests() -> None:
    """Two at least."""
    rows = re.findall(r"^\| API(\d+) (.*)$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    assert all(text.count("::") >= 2 for _, text in rows)
