"""The code blocks of the pages that people read."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "deploy", "demo", "keys", "local_ivs", "benchmarks")
SHELL = "sh"
OUTPUT = "output"
"""The language of what the block of commands before it prints, or some lines of that."""
NOT_OURS = {".venv", "node_modules", "_build", ".pytest_cache"}


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: the path of its page from the root of the repository.
        line: the line of the page on which it begins.
        language: what follows the opening fence; empty for an indented block.
        text: its lines.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> tuple[str, str]:
        """The page and the first line, by which a table names the block."""
        return self.page, self.text.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """The paths of all pages, except those of installed packages."""
    found = [
        *ROOT.glob("*.md"),
        *(page for name in FOLDERS for page in (ROOT / name).rglob("*.md")),
    ]
    paths = [page.relative_to(ROOT) for page in found]
    return sorted(str(path) for path in paths if NOT_OURS.isdisjoint(path.parts))


@functools.cache
def blocks_of(page: str) -> Sequence[Block]:
    """The blocks of a page in their order, also those in lists. No test changes a page."""
    return tuple(_blocks(page, (ROOT / page).read_text()))


def all_blocks(language: str | None = None) -> list[Block]:
    """The blocks of all pages, or those in one language."""
    found = [block for page in pages() for block in blocks_of(page)]
    return [block for block in found if language in {None, block.language}]


def _blocks(page: str, text: str) -> Iterator[Block]:
    for token in MarkdownIt().disable("inline").parse(text):  # Each test process parses all pages.
        if token.type in {"fence", "code_block"}:
            assert token.map is not None
            yield Block(page, token.map[0] + 1, token.info, token.content)
