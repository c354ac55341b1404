"""The pages look alike, by equal copies of one stylesheet (docs/decisions/0014)."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[2]
COPIES = (
    "demo/page/look.css",
    "local_ivs/src/local_ivs/pages/look.css",
    "tokensvc/web/static/ops/look.css",
)


def test_the_copies_of_the_stylesheet_are_equal() -> None:
    """Change the first one, then copy it over the others."""
    first, *others = [(PROJECT / copy).read_bytes() for copy in COPIES]
    assert others == [first] * len(others)


def test_each_page_uses_its_copy() -> None:
    """Before its own stylesheet, which adds to it."""
    for copy in COPIES:
        page = (PROJECT / copy).with_name("index.html").read_text(encoding="utf-8")
        styles = [line for line in page.splitlines() if 'rel="stylesheet"' in line]
        assert "/look.css" in styles[0]
        assert len(styles) == 2
