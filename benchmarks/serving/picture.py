"""A picture of the results: a bar for each row, and a line from its lowest to its highest value."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.serving.results import Row

LABEL_WIDTH = 370
BAR_WIDTH = 320
VALUE_WIDTH = 70
ROW_HEIGHT = 30
TOP = 46
_BAR_HEIGHT = 16
_OURS, _OTHERS, _BARE = "#1a7f5a", "#7a8594", "#c3cad3"


def picture(rows: Sequence[Row], *, title: str, ours: Sequence[str]) -> str:
    """The SVG text. The longest value fills the width of the bars."""
    width = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH
    height = TOP + ROW_HEIGHT * len(rows) + 10
    scale = BAR_WIDTH / max(row.signatures.max for row in rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" font-family="sans-serif" font-size="13"'
        ' fill="#1f2328" role="img">'
    )
    lines = [
        head,
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        color = _OURS if row.name in ours else _OTHERS if row.requests_per_second else _BARE
        lines += _bar(row, TOP + ROW_HEIGHT * number, scale, color)
    return "\n".join([*lines, "</svg>", ""])


def _bar(row: Row, top: int, scale: float, color: str) -> list[str]:
    y = top + (ROW_HEIGHT - _BAR_HEIGHT) // 2
    middle, baseline = y + _BAR_HEIGHT // 2, y + _BAR_HEIGHT - 4
    length, low, high = (
        round(value * scale, 1)
        for value in (row.signatures.median, row.signatures.min, row.signatures.max)
    )
    first, last = (f"{LABEL_WIDTH + end:g}" for end in (low, high))
    name, value, fill = escape(row.name), f"{row.signatures.median:.2f}", f'fill="{color}"'
    return [
        f'<text x="{LABEL_WIDTH - 10}" y="{baseline}" text-anchor="end">{name}</text>',
        f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:g}" height="{_BAR_HEIGHT}" {fill}/>',
        f'<line x1="{first}" x2="{last}" y1="{middle}" y2="{middle}" stroke="#1f2328"/>',
        f'<text x="{LABEL_WIDTH + high + 8:g}" y="{baseline}">{value}</text>',
    ]
