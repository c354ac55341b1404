"""The documentation as a site: `make docs`. Every warning is an error."""

from __future__ import annotations

import os
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
REPOSITORY = DOCS.parent
TEXTS = {"architecture": "ARCHITECTURE.md"}
"""The pages whose text is a file outside of this folder."""
LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)#]+)(#[^)]*)?\)")


def read_page(app: Any, page: str, content: list[str]) -> None:
    """Put in the text of a page, with links to other pages; other files are named, not linked."""
    del app
    file = REPOSITORY / TEXTS[page] if page in TEXTS else DOCS / f"{page}.md"

    def fitted(link: re.Match[str]) -> str:
        target = (file.parent / link[2]).resolve()
        if target.exists() and DOCS not in target.parents:
            return link[1]
        path = os.path.relpath(target, (DOCS / page).parent)
        return f"[{link[1]}]({path}{link[3] or ''})"

    text = file.read_text() if page in TEXTS else content[0]
    content[0] = LINK.sub(fitted, text.replace("```mermaid", "```text"))


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read_page)
