"""Draw the frames of Local IVS's test card, and generate its tone.

Only `make_test_card.py` uses it. Everything is drawn at 1920x1080. Every movement repeats a whole
number of times in the loop, so that the first frame continues from the last.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH, HEIGHT = 1920, 1080
FRAMES_PER_SECOND = 30
LOOP_FRAMES = 384
SAMPLE_RATE = 48_000
LOOP_SAMPLES = 614_400  # 12.8 s, like 384 frames.
PULSES = 8  # Per loop: one every 1.6 s, in the light of the lamp and the volume of the tone.

NIGHT = (13, 19, 33)
CLEAR = (*NIGHT, 0)  # Transparent, with the background's color for smooth edges.
GRID = (28, 39, 64)
DISC = (18, 27, 46)
FAINT = (52, 66, 96)
MUTED = (132, 148, 180)
PAPER = (232, 238, 250)
ACCENT = (88, 196, 255)
LIVE = (255, 84, 92)
BARS = (
    (235, 235, 235),
    (235, 219, 60),
    (60, 214, 226),
    (74, 208, 96),
    (214, 84, 206),
    (230, 70, 74),
    (66, 98, 226),
)

CENTER = (960, 500)
RING = 400
OVERSAMPLING = 2  # Pillow doesn't smooth lines, so moving parts are drawn larger and reduced.


def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font, so that the card looks the same on every machine."""
    return ImageFont.load_default(size)


def on_circle(radius: float, turn: float) -> tuple[float, float]:
    """Return a point on a circle around the origin. Turn 0 is the top, 0.25 the right."""
    angle = 2 * math.pi * turn
    return radius * math.sin(angle), -radius * math.cos(angle)


def mix(first: tuple[int, ...], second: tuple[int, ...], part: float) -> tuple[int, ...]:
    """Return the color at `part` (0 to 1) between the first and the second."""
    return tuple(round(a + (b - a) * part) for a, b in zip(first, second, strict=True))


def background(label: str) -> Image.Image:
    """Draw everything that doesn't move. `label` is the rendition's name and size."""
    image = Image.new("RGB", (WIDTH, HEIGHT), NIGHT)
    draw = ImageDraw.Draw(image)
    for x in range(120, WIDTH, 120):
        draw.line((x, 0, x, HEIGHT), GRID, 2)
    for y in range(60, HEIGHT, 120):
        draw.line((0, y, WIDTH, y), GRID, 2)
    for x, inward in ((48, 1), (WIDTH - 48, -1)):
        for y, down in ((48, 1), (HEIGHT - 48, -1)):
            draw.line((x, y, x + 60 * inward, y), PAPER, 5)
            draw.line((x, y, x, y + 60 * down), PAPER, 5)
    for index, color in enumerate(BARS):
        top = 206 + index * 86
        draw.rounded_rectangle((120, top, 360, top + 70), 14, color)
        gray = round(16 + index * 219 / (len(BARS) - 1))
        draw.rounded_rectangle((1560, top, 1800, top + 70), 14, (gray, gray, gray))
    for x in range(240, 1681):
        hue = (x - 240) / 1440 * (len(BARS) - 2)
        left = min(int(hue), len(BARS) - 3)
        draw.line((x, 990, x, 1008), mix(BARS[left + 1], BARS[left + 2], hue - left))
    draw.text((208, 114), "LIVE", PAPER, font(44), "lm", stroke_width=1)
    name, size = label.split(" ", 1)
    draw.text((1800, 96), name, PAPER, font(44), "rm", stroke_width=1)
    draw.text((1800, 148), size, MUTED, font(30), "rm")
    draw.text((120, 860), "H.264 · AAC · CMAF", MUTED, font(30), "lm")
    draw.text((1800, 860), "loops every 12.8 s", MUTED, font(30), "rm")
    return image


def dial(frame: int) -> Image.Image:
    """Draw the dial in the center: ring, ticks, hand, fading trail, names and counters."""
    radius = RING + 40
    image = Image.new("RGBA", (2 * radius * OVERSAMPLING,) * 2, CLEAR)
    draw = ImageDraw.Draw(image)
    turn = frame / LOOP_FRAMES

    def at(distance: float, where: float) -> tuple[float, float]:
        x, y = on_circle(distance * OVERSAMPLING, where)
        return radius * OVERSAMPLING + x, radius * OVERSAMPLING + y

    def circle(size: float, center: tuple[float, float], fill: tuple[int, ...]) -> None:
        reach = size * OVERSAMPLING
        x, y = center
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill)

    middle = at(0, 0)
    circle(RING + 6, middle, PAPER)
    circle(RING, middle, DISC)
    for tick in range(64):
        long = tick % PULSES == 0
        start, end = at(RING - (44 if long else 26), tick / 64), at(RING - 12, tick / 64)
        draw.line((start, end), PAPER if long else FAINT, (6 if long else 4) * OVERSAMPLING)
    for step in range(24, -1, -1):
        fade = (1 - step / 25) ** 2
        color = mix(DISC, ACCENT, fade)
        circle(4 + 14 * fade, at(RING - 78, step * 0.006 - 2 * turn), color)
    draw.line((at(252, turn), at(RING - 14, turn)), LIVE, 8 * OVERSAMPLING)
    circle(9, at(252, turn), LIVE)
    circle(236, middle, NIGHT)
    circle(228, middle, DISC)
    smooth = image.reduce(OVERSAMPLING)
    write = ImageDraw.Draw(smooth)
    write.text((radius, radius - 96), "Local IVS", PAPER, font(92), "mm", stroke_width=1)
    write.text((radius, radius - 22), "tokensvc", ACCENT, font(46), "mm")
    counter(write, (radius, radius + 70), f"{frame / FRAMES_PER_SECOND:04.1f}", 76)
    write.text((radius, radius + 150), f"frame {frame:03d} of {LOOP_FRAMES}", MUTED, font(32), "mm")
    return smooth


def counter(draw: ImageDraw.ImageDraw, center: tuple[float, float], digits: str, size: int) -> None:
    """Draw digits with a fixed spacing, so that they don't move sideways when they change."""
    x, y = center
    pitch = size * 0.62
    for index, digit in enumerate(digits):
        place = x + (index - (len(digits) - 1) / 2) * pitch
        draw.text((place, y), digit, PAPER, font(size), "mm", stroke_width=1)


def lamp(frame: int) -> Image.Image:
    """Draw the red lamp beside LIVE, which is brightest at each pulse."""
    image = Image.new("RGBA", (64 * OVERSAMPLING,) * 2, CLEAR)
    glow = loudness(frame / FRAMES_PER_SECOND)
    edge = 12 * OVERSAMPLING
    ImageDraw.Draw(image).ellipse(
        (edge, edge, 64 * OVERSAMPLING - edge, 64 * OVERSAMPLING - edge), mix(NIGHT, LIVE, glow)
    )
    return image.reduce(OVERSAMPLING)


def runner(frame: int) -> Image.Image:
    """Draw the strip above the color bar. Its marker moves to the right and back twice per loop."""
    image = Image.new("RGBA", (1500 * OVERSAMPLING, 40 * OVERSAMPLING), CLEAR)
    x = (750 - 710 * math.cos(4 * math.pi * frame / LOOP_FRAMES)) * OVERSAMPLING
    reach = 16 * OVERSAMPLING
    ImageDraw.Draw(image).polygon(
        ((x - reach, 2 * OVERSAMPLING), (x + reach, 2 * OVERSAMPLING), (x, 34 * OVERSAMPLING)),
        PAPER,
    )
    return image.reduce(OVERSAMPLING)


def loudness(seconds: float) -> float:
    """Return the lamp's brightness and the tone's volume, 0.35 to 1: a soft peak at each pulse."""
    since_pulse = seconds * PULSES * FRAMES_PER_SECOND / LOOP_FRAMES % 1
    peak = min(since_pulse / 0.04, 1.0) * math.exp(-2.4 * since_pulse) * (1 - since_pulse)
    return 0.35 + 0.65 * peak


def frames(labels: tuple[str, ...]) -> Iterator[list[Image.Image]]:
    """For each frame of the loop, yield one image per label."""
    stills = [background(label) for label in labels]
    for frame in range(LOOP_FRAMES):
        parts = (
            (dial(frame), (CENTER[0] - RING - 40, CENTER[1] - RING - 40)),
            (lamp(frame), (120, 82)),
            (runner(frame), (210, 944)),
        )
        images = [still.copy() for still in stills]
        for image in images:
            for part, place in parts:
                image.paste(part, place, part)
        yield images


def tone() -> array[int]:
    """Return one loop of a quiet chord (fifth and octave): 16-bit mono samples at 48 kHz.

    Each pitch has a whole number of waves in 12.8 s, so that the loop has no click.
    """
    pitches = ((220.0, 0.5), (330.0, 0.3), (440.0, 0.2))
    samples = array("h")
    for index in range(LOOP_SAMPLES):
        seconds = index / SAMPLE_RATE
        wave = sum(part * math.sin(2 * math.pi * pitch * seconds) for pitch, part in pitches)
        samples.append(round(2_200 * loudness(seconds) * wave))
    return samples
