"""The documentation as a site: it builds without a warning, and loads nothing from outside."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
LOADED = re.compile(r"""(?:src|<link[^>]*href)=["']?(?:https?:)?//[^"'>]+""")


def test_the_site_builds_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    """Every page is in its contents, and every reference has a target: warnings are errors."""
    build = ("-m", "sphinx", "--quiet", "--fail-on-warning", "--nitpicky", "--keep-going")
    done = subprocess.run(
        [sys.executable, *build, "-b", "html", "-d", str(tmp_path / "cache"), DOCS, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) > 20
    assert [page.name for page in pages if LOADED.search(page.read_text())] == []
    architecture = (tmp_path / "architecture.html").read_text()
    assert "Three programs" in architecture
    assert 'href="rotation.html"' in architecture
