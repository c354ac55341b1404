"""docs/players.md agrees with the module, and its example plays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.player.viewers_site import DOCS, Answer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from tests.player.viewers_site import ViewersSite

MODULE = Path(__file__).parents[2] / "tokensvc/web/static/player.js"


def first_cells(heading: str) -> set[str]:
    """The names in the first column of the table with that heading."""
    _, _, rest = DOCS.read_text().partition(f"| {heading} |")
    table, _, _ = rest.partition("\n\n")
    return set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))


def test_every_method_event_and_kind_is_documented() -> None:
    """And the page names no other."""
    module = MODULE.read_text()
    playback = module[module.index("export class Playback extends") :]
    methods = set(re.findall(r"^  ([a-z]\w*)\(.*\) \{$", playback, re.MULTILINE)) - {"constructor"}
    (kinds,) = re.findall(r"@typedef \{(.*)\} Kind", module)

    assert first_cells("method") == methods - {"ageSeconds"}
    assert first_cells("event") == set(re.findall(r'#raise\("(\w+)"', module))
    assert first_cells("kind") == set(re.findall(r'"(\w+)"', kinds))


@pytest.mark.browser
def test_the_example_of_the_page_plays(context: BrowserContext, site: ViewersSite) -> None:
    """And shows its message when the viewer is refused."""
    page = context.new_page()
    page.add_init_script("window.showMessage = (...values) => { window.shown = values; };")
    page.goto(f"{site.url}/documented")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.3")
    site.answers.append(Answer(403, '{"code": "viewer_banned", "detail": "No."}'))
    page.reload()
    page.wait_for_function("() => window.shown")
    assert page.evaluate("shown") == ["banned", "No."]
    page.close()
