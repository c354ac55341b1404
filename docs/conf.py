"""The documentation as a site: `make docs`. Every warning is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

project = "tokensvc"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "tokensvc"
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4
exclude_patterns = ["examples"]
nitpicky = True

DOCS = Path(__file__).parent
LINK = re.compile(r"\[([^\]]+)\]\((\.\.?/[^)#]+)(?:#[^)]*)?\)")


def name_files(app: Any, page: str, content: list[str]) -> None:
    """Replace links to files of the repository that are not part of the site by their text."""
    del app
    folder = (DOCS / page).parent

    def text_of(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        return link[0] if DOCS in target.parents or not target.exists() else link[1]

    content[0] = LINK.sub(text_of, content[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", name_files)
