"""The Tab key in a page that is open in Chromium: what it reaches, and whether that is visible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_STOPS = 200
# Marks the element with the focus. An outline is visible if it has a width, and no element around
# it cuts it off.
STOP = """() => {
  const focused = document.activeElement;
  const isNew = focused !== document.body && !focused.hasAttribute("data-reached");
  focused.setAttribute("data-reached", "");
  const style = getComputedStyle(focused);
  const outline = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
  const reach = outline + parseFloat(style.outlineOffset);
  const box = focused.getBoundingClientRect();
  let isCut = false;
  for (let at = focused.parentElement; at; at = at.parentElement) {
    if (getComputedStyle(at).overflow === "visible") continue;
    const around = at.getBoundingClientRect();
    isCut ||= box.left - reach < around.left || box.right + reach > around.right ||
      box.top - reach < around.top || box.bottom + reach > around.bottom;
  }
  return { isNew, tag: focused.outerHTML.split(">")[0], isVisible: outline >= 2 && !isCut };
}"""
# Of radio buttons, Tab reaches the selected one, and the arrow keys the others.
NOT_REACHED = """() => [...document.querySelectorAll(
    "a[href], button:enabled, select, input, summary, textarea, video[controls], [tabindex='0']"
  )]
  .filter((each) => each.checkVisibility() && !(each.type === "radio" && !each.checked))
  .filter((each) => !each.hasAttribute("data-reached"))
  .map((each) => each.outerHTML.split(">")[0])"""


@dataclass(frozen=True)
class TabStops:
    """What the Tab key reaches.

    Attributes:
        reached: the tag of each element, in the order of the focus.
        without_visible_focus: those of them that don't show that they have the focus.
        not_reached: the tags of controls that the key does not reach.
    """

    reached: tuple[str, ...]
    without_visible_focus: tuple[str, ...]
    not_reached: tuple[str, ...]


def tab_through(page: Page) -> TabStops:
    """Press Tab until the focus has been everywhere in the page."""
    reached, invisible = [], []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop["isNew"]:
            reached.append(stop["tag"])
            if not stop["isVisible"]:
                invisible.append(stop["tag"])
        elif stop["tag"] in {reached[0], "<body"}:
            break
    return TabStops(tuple(reached), tuple(invisible), tuple(page.evaluate(NOT_REACHED)))
