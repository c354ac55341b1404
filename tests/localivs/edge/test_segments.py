from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.localivs.edge.segments import Fragment, Rendition, Resolution, boxes, bundled_loop

LOOP = bundled_loop()
VIDEO, AUDIO = 1, 2


def children(data: bytes, *path: bytes) -> list[bytes]:
    """The contents of every box at a path such as `moof`, `traf`."""
    found = [data]
    for kind in path:
        found = [
            content[box.start : box.end]
            for content in found
            for box in boxes(content)
            if box.kind == kind
        ]
    return found


def times(segment: bytes) -> dict[int, tuple[int, int]]:
    """For each track its first decode time and the length of its samples, in its ticks."""
    read = {}
    for traf in children(segment, b"moof", b"traf"):
        (tfhd,) = children(traf, b"tfhd")
        (tfdt,) = children(traf, b"tfdt")
        (trun,) = children(traf, b"trun")
        track, sample_ticks = struct.unpack_from(">II", tfhd, 4)
        (began,) = struct.unpack_from(">Q", tfdt, 4)
        (samples,) = struct.unpack_from(">I", trun, 4)
        read[track] = (began, samples * sample_ticks)
    return read


def sequence_number(segment: bytes) -> int:
    """What the segment says its number is."""
    (mfhd,) = children(segment, b"moof", b"mfhd")
    return int(struct.unpack_from(">I", mfhd, 4)[0])


def test_the_recording_has_three_renditions_of_segments_that_last_32_15_seconds() -> None:
    """64 frames at 30 a second, and 100 AAC frames of 1,024 samples at 48 kHz."""
    assert LOOP.segment_seconds == Fraction(32, 15)
    assert [(each.resolution, each.width, each.height) for each in LOOP.renditions] == [
        (Resolution.FULL_HD, 1920, 1080),
        (Resolution.HD, 1280, 720),
        (Resolution.SD, 852, 480),
    ]
    for rendition in LOOP.renditions:
        assert len(rendition.fragments) == 6
        for sequence in range(6):
            lengths = {
                track: ticks
                for track, (_, ticks) in times(LOOP.segment(rendition, sequence)).items()
            }
            assert lengths == {VIDEO: 64 * 512, AUDIO: 100 * 1024}


def test_the_recording_stays_small() -> None:
    """700 kB in all, since everyone who installs the package carries it."""
    size = sum(
        len(rendition.init) + sum(len(fragment.data) for fragment in rendition.fragments)
        for rendition in LOOP.renditions
    )
    assert 100_000 < size <= 700_000


@pytest.mark.parametrize("rendition", LOOP.renditions, ids=lambda each: each.resolution.name)
def test_three_turns_of_the_loop_are_one_stream_without_a_seam(rendition: Rendition) -> None:
    """Each segment begins where the one before it ended, in both tracks, at the loop's end too."""
    ends = {VIDEO: 0, AUDIO: 0}
    for sequence in range(18):
        segment = LOOP.segment(rendition, sequence)
        assert sequence_number(segment) == sequence
        read = times(segment)
        assert {track: began for track, (began, _) in read.items()} == ends
        ends = {track: began + length for track, (began, length) in read.items()}
    assert Fraction(ends[VIDEO], 15_360) == Fraction(ends[AUDIO], 48_000) == Fraction(384, 10)


@given(st.integers(0, 2**33), st.sampled_from(LOOP.renditions))
def test_a_segment_starts_at_its_number_times_its_length(
    sequence: int, rendition: Rendition
) -> None:
    """For thousands of years, and though the number in `mfhd` wraps around at 32 bits."""
    segment = LOOP.segment(rendition, sequence)
    read = times(segment)
    assert Fraction(read[VIDEO][0], 15_360) == sequence * Fraction(32, 15)
    assert Fraction(read[AUDIO][0], 48_000) == sequence * Fraction(32, 15)
    assert sequence_number(segment) == sequence % 2**32


@given(st.integers(0, 2**33), st.sampled_from(LOOP.renditions))
def test_dating_a_segment_changes_its_times_and_nothing_else(
    sequence: int, rendition: Rendition
) -> None:
    """The same size, the same samples: only twenty bytes may differ."""
    recorded = rendition.fragments[sequence % 6].data
    dated = LOOP.segment(rendition, sequence)
    assert len(dated) == len(recorded)
    assert children(dated, b"mdat") == children(recorded, b"mdat")
    assert sum(a != b for a, b in zip(dated, recorded, strict=True)) <= 4 + 8 + 8


@pytest.mark.parametrize("rendition", LOOP.renditions, ids=lambda each: each.resolution.name)
def test_the_manifest_says_of_a_rendition_what_its_bytes_say(rendition: Rendition) -> None:
    """The codecs string is the one in `avcC`; no segment takes more than BANDWIDTH."""
    place = rendition.init.index(b"avcC") + 5
    assert rendition.codecs == f"avc1.{rendition.init[place : place + 3].hex()},mp4a.40.2"
    rates = [len(each.data) * 8 / LOOP.segment_seconds for each in rendition.fragments]
    assert round(max(rates)) == rendition.bandwidth
    assert round(sum(rates) / 6) == rendition.average_bandwidth


def test_bytes_that_are_no_fragment_are_refused() -> None:
    """A box larger than the file, an init segment, and a 32-bit time."""
    with pytest.raises(ValueError, match="size"):
        Fragment.parse(b"\x00\x00\x00\x20moof")
    with pytest.raises(ValueError, match="size"):
        Fragment.parse(b"\x00\x00\x00\x04moof")
    with pytest.raises(ValueError, match="unpack"):
        Fragment.parse(LOOP.renditions[0].init)
    good = LOOP.renditions[0].fragments[0].data
    place = good.index(b"tfdt") + 4
    with pytest.raises(ValueError, match="32-bit"):
        Fragment.parse(good[:place] + b"\x00" + good[place + 1 :])
