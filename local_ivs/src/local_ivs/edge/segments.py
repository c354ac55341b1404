"""An endless stream from a short recording: the segments repeat with new timestamps.

A fragmented MP4 segment holds its position in time in two places only: the sequence number in its
`mfhd` box and the base media decode time in one `tfdt` box for each track (ISO/IEC 14496-12 §8.8.5,
§8.8.12). Rewriting these makes the loop's first segment follow its last without a discontinuity.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from importlib import resources
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

HEADER_BYTES = 8
FULL_BOX_BYTES = 4  # A version and flags follow the header of the boxes that are read here.
SEQUENCE_NUMBERS = 2**32  # The number in `mfhd` has 32 bits and wraps around.


class Resolution(IntEnum):
    """The values of the claim `aws:maximum-resolution`, lowest first, with their heights."""

    SD = 480
    HD = 720
    FULL_HD = 1080


@dataclass(frozen=True)
class Box:
    """A box of an MP4 file: its type, and the byte offsets of its content."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Return the adjacent boxes in `data[start:end]`.

    Raises:
        ValueError: a box's size is not valid. 64-bit sizes are not supported, because no segment is
            that large.
    """
    end = len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < HEADER_BYTES or start + size > end:
            raise ValueError(f"The MP4 box {kind!r} at byte {start} has an invalid size: {size}.")
        yield Box(kind, start + HEADER_BYTES, start + size)
        start += size


@dataclass(frozen=True)
class DecodeTime:
    """A track's decode time in a segment: the byte offset of its 64-bit field, and its value."""

    track_id: int
    offset: int
    ticks: int


@dataclass(frozen=True)
class Fragment:
    """One media segment of the recording, and the byte offsets of its sequence number and times."""

    data: bytes
    sequence_number_offset: int
    decode_times: tuple[DecodeTime, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Find the sequence number and the decode times in a media segment.

        Raises:
            ValueError: the data is not one `moof` whose `tfdt` boxes have 64-bit times.
        """
        (moof,) = (box for box in boxes(data) if box.kind == b"moof")
        children = list(boxes(data, moof.start, moof.end))
        (mfhd,) = (box for box in children if box.kind == b"mfhd")
        return cls(
            data=data,
            sequence_number_offset=mfhd.start + FULL_BOX_BYTES,
            decode_times=tuple(_decode_time(data, box) for box in children if box.kind == b"traf"),
        )

    def shifted(self, sequence: int, offset_ticks: Mapping[int, int]) -> bytes:
        """Return the segment with this number and later decode times (ticks by track ID)."""
        data = bytearray(self.data)
        struct.pack_into(">I", data, self.sequence_number_offset, sequence % SEQUENCE_NUMBERS)
        for time in self.decode_times:
            ticks = time.ticks + offset_ticks[time.track_id]
            struct.pack_into(">Q", data, time.offset, ticks)
        return bytes(data)


def _decode_time(data: bytes, traf: Box) -> DecodeTime:
    children = {box.kind: box for box in boxes(data, traf.start, traf.end)}
    (track_id,) = struct.unpack_from(">I", data, children[b"tfhd"].start + FULL_BOX_BYTES)
    tfdt = children[b"tfdt"].start
    if data[tfdt] != 1:
        raise ValueError("A tfdt box has a 32-bit time, which is too small to count from 1970.")
    (ticks,) = struct.unpack_from(">Q", data, tfdt + FULL_BOX_BYTES)
    return DecodeTime(track_id, tfdt + FULL_BOX_BYTES, ticks)


@dataclass(frozen=True)
class Track:
    """A track of every rendition; a segment lasts `segment_ticks` / `timescale` seconds."""

    id: int
    timescale: int
    segment_ticks: int


@dataclass(frozen=True, kw_only=True)
class Rendition:
    """The recording at one resolution. Bandwidths are in bits per second, as in HLS."""

    resolution: Resolution
    width: int
    height: int
    frame_rate: int
    codecs: str
    bandwidth: int
    average_bandwidth: int
    init: bytes
    fragments: tuple[Fragment, ...]


@dataclass(frozen=True)
class MediaLoop:
    """The recording: renditions of the same length, split into segments at the same times."""

    segment_seconds: Fraction
    tracks: tuple[Track, ...]
    renditions: tuple[Rendition, ...]

    def segment(self, rendition: Rendition, sequence: int) -> bytes:
        """Return segment `sequence` of the endless stream. Segment 0 starts at time 0."""
        loops, index = divmod(sequence, len(rendition.fragments))
        offset_ticks = {
            track.id: loops * len(rendition.fragments) * track.segment_ticks
            for track in self.tracks
        }
        return rendition.fragments[index].shifted(sequence, offset_ticks)


def bundled_loop() -> MediaLoop:
    """Load the test card that is part of the package (made by `scripts/make_test_card.py`)."""
    return load_loop(resources.files("local_ivs") / "media")


def load_loop(folder: Traversable) -> MediaLoop:
    """Load a recording from its `manifest.json` and the files in the same folder.

    Raises:
        ValueError: the tracks differ in length, or a segment is not an MP4 fragment.
    """
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    tracks = tuple(Track(**track) for track in manifest["tracks"])
    lengths = {Fraction(track.segment_ticks, track.timescale) for track in tracks}
    if len(lengths) != 1:
        raise ValueError("The segments of the recording's tracks differ in length.")
    return MediaLoop(
        segment_seconds=lengths.pop(),
        tracks=tracks,
        renditions=tuple(
            _load_rendition(folder, entry, manifest["segments"]) for entry in manifest["renditions"]
        ),
    )


def _load_rendition(folder: Traversable, entry: dict[str, Any], segments: int) -> Rendition:
    resolution = Resolution[entry["resolution"]]
    files = folder / resolution.name.lower()
    return Rendition(
        **{**entry, "resolution": resolution},
        init=(files / "init.mp4").read_bytes(),
        fragments=tuple(
            Fragment.parse((files / f"{index}.m4s").read_bytes()) for index in range(segments)
        ),
    )
