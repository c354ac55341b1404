"""An endless stream from a short recording: the fragments of a loop, dated anew at each turn.

A fragmented MP4 segment says where it stands in time in two places only: the sequence number in its
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
SEQUENCE_NUMBERS = 2**32  # `mfhd` has 32 bits; a player only sees it grow, and wrap around.


class Resolution(IntEnum):
    """The renditions by the names of the claim `aws:maximum-resolution`, smallest first."""

    SD = 480
    HD = 720
    FULL_HD = 1080


@dataclass(frozen=True)
class Box:
    """A box of an MP4 file: its type, and where its content begins and ends."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes side by side in `data[start:end]`.

    Raises:
        ValueError: a box's size doesn't fit (64-bit sizes aren't read: no segment is that large).
    """
    end = len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < HEADER_BYTES or start + size > end:
            raise ValueError(f"The MP4 box {kind!r} at byte {start} has the size {size}.")
        yield Box(kind, start + HEADER_BYTES, start + size)
        start += size


@dataclass(frozen=True)
class DecodeTime:
    """Where a track's `tfdt` keeps its 64-bit time, and the time that it has in the recording."""

    track_id: int
    offset: int
    ticks: int


@dataclass(frozen=True)
class Fragment:
    """One media segment of the recording, and the places in it that tell the time."""

    data: bytes
    sequence_number_offset: int
    decode_times: tuple[DecodeTime, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Find the places.

        Raises:
            ValueError: it isn't one `moof` whose `tfdt` boxes have 64-bit times.
        """
        (moof,) = (box for box in boxes(data) if box.kind == b"moof")
        children = list(boxes(data, moof.start, moof.end))
        (mfhd,) = (box for box in children if box.kind == b"mfhd")
        return cls(
            data=data,
            sequence_number_offset=mfhd.start + FULL_BOX_BYTES,
            decode_times=tuple(_decode_time(data, box) for box in children if box.kind == b"traf"),
        )

    def dated(self, sequence: int, later_by_ticks: Mapping[int, int]) -> bytes:
        """The segment as number `sequence`, each track (by its id) so many ticks later."""
        data = bytearray(self.data)
        struct.pack_into(">I", data, self.sequence_number_offset, sequence % SEQUENCE_NUMBERS)
        for time in self.decode_times:
            ticks = time.ticks + later_by_ticks[time.track_id]
            struct.pack_into(">Q", data, time.offset, ticks)
        return bytes(data)


def _decode_time(data: bytes, traf: Box) -> DecodeTime:
    children = {box.kind: box for box in boxes(data, traf.start, traf.end)}
    (track_id,) = struct.unpack_from(">I", data, children[b"tfhd"].start + FULL_BOX_BYTES)
    tfdt = children[b"tfdt"].start
    if data[tfdt] != 1:
        raise ValueError("A tfdt box has a 32-bit time: it can't count from 1970.")
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
    """The recording at one resolution; bandwidths are in bits a second, as HLS wants them."""

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
    """The recording: renditions of the same length, cut at the same moments."""

    segment_seconds: Fraction
    tracks: tuple[Track, ...]
    renditions: tuple[Rendition, ...]

    def segment(self, rendition: Rendition, sequence: int) -> bytes:
        """Segment `sequence` of the endless stream, which began at sequence 0, time 0."""
        turn, index = divmod(sequence, len(rendition.fragments))
        turns_ticks = {
            track.id: turn * len(rendition.fragments) * track.segment_ticks for track in self.tracks
        }
        return rendition.fragments[index].dated(sequence, turns_ticks)


def bundled_loop() -> MediaLoop:
    """The test card that comes with the package (made by `scripts/make_test_card.py`)."""
    return load(resources.files("tokensvc.localivs") / "media")


def load(folder: Traversable) -> MediaLoop:
    """Read a recording from its `manifest.json` and the files beside it.

    Raises:
        ValueError: the tracks differ in length, or a segment isn't a fragment of MP4.
    """
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    tracks = tuple(Track(**track) for track in manifest["tracks"])
    lengths = {Fraction(track.segment_ticks, track.timescale) for track in tracks}
    if len(lengths) != 1:
        raise ValueError("The tracks of the recording don't have segments of one length.")
    return MediaLoop(
        segment_seconds=lengths.pop(),
        tracks=tracks,
        renditions=tuple(
            _rendition(folder, about, manifest["segments"]) for about in manifest["renditions"]
        ),
    )


def _rendition(folder: Traversable, about: dict[str, Any], segments: int) -> Rendition:
    resolution = Resolution[about["resolution"]]
    files = folder / resolution.name.lower()
    return Rendition(
        **{**about, "resolution": resolution},
        init=(files / "init.mp4").read_bytes(),
        fragments=tuple(
            Fragment.parse((files / f"{index}.m4s").read_bytes()) for index in range(segments)
        ),
    )
