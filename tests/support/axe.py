"""axe-core, the checker of accessibility by Deque, in a page that is open in Chromium."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCRIPT = Path(__file__).parents[1] / "player/node_modules/axe-core/axe.min.js"
IS_LOADED = "() => 'axe' in window"
# The rules of WCAG 2.2 A and AA and of good practice; and the name of a control has its text.
RUN = """async () => (await axe.run({
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  rules: { "label-content-name-mismatch": { enabled: true } },
  resultTypes: ["violations"],
})).violations"""


@dataclass(frozen=True)
class Violation:
    """A rule that the page breaks.

    Attributes:
        rule: the ID of the rule, such as `color-contrast`.
        impact: `minor`, `moderate`, `serious` or `critical`.
        elements: the first tag of each element that breaks it.
    """

    rule: str
    impact: str
    elements: tuple[str, ...]


def violations(page: Page) -> list[Violation]:
    """Every rule that the page breaks as it is now."""
    if not page.evaluate(IS_LOADED):
        page.evaluate(_script())  # Not as a <script>, which the page's policy refuses.
    return [_violation(found) for found in page.evaluate(RUN)]


@cache
def _script() -> str:
    assert SCRIPT.exists(), "axe-core is missing: run `make test`, which installs it."
    return SCRIPT.read_text(encoding="utf-8")


def _violation(found: dict[str, Any]) -> Violation:
    elements = tuple(node["html"].partition(">")[0] for node in found["nodes"])
    return Violation(found["id"], found["impact"], elements)
