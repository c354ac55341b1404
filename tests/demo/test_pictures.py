"""The pictures in README: `python -m scripts.take_pictures` takes them."""

from __future__ import annotations

import base64
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.take_pictures import FOLDER, PICTURES, take_pictures

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.demo.site import DemoSite

README = FOLDER.parents[1] / "README.md"
MAX_BYTES = 200_000
SIZE_IN_PNG = slice(16, 24)  # Width and height, 4 bytes each.
# A page without text has fewer than ten, and each letter adds some at its edges.
FEWEST_COLORS = 200
COLORS = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


@pytest.mark.browser
def test_every_picture_shows_a_page(
    browser: Browser, page: Page, site: DemoSite, tmp_path: Path
) -> None:
    """It has the size of its window and many colors."""
    take_pictures(browser, site, tmp_path)
    for picture in PICTURES:
        content = (tmp_path / picture.name).read_bytes()
        width, height = struct.unpack(">II", content[SIZE_IN_PNG])
        assert width == picture.size["width"] * picture.scale
        assert height == picture.size["height"] * picture.scale
        url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        assert page.evaluate(COLORS, url) > FEWEST_COLORS, picture.name


def test_readme_shows_these_pictures_and_says_what_is_in_them() -> None:
    """Those in `docs/images`, each once and soon loaded, with a text for who doesn't see it."""
    shown = re.findall(r"!\[([^]]*)\]\(docs/images/([^)]+)\)", README.read_text(encoding="utf-8"))
    names = sorted(picture.name for picture in PICTURES)
    assert sorted(name for _text, name in shown) == names
    assert sorted(file.name for file in FOLDER.glob("*.png")) == names
    assert [name for text, name in shown if len(text) < len("The page of Local IVS, live")] == []
    assert [name for name in names if (FOLDER / name).stat().st_size >= MAX_BYTES] == []
