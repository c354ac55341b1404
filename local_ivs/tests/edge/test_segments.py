from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_ivs.edge.segments import Fragment, Rendition, Resolution, boxes, bundled_loop

LOOP = bundled_loop()
VIDEO, AUDIO = 1, 2


def children(data: bytes, *path: bytes) -> list[bytes]:
    """The contents of all boxes at a path such as `moof`, `traf`."""
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
    """For each track, its first decode time and the length of its samples, in ticks."""
    read = {}
    for traf in children(segment, b"moof", b"traf"):
        (tfhd,) = children(traf, b"tfhd")
        (tfdt,) = children(traf, b"tfdt")
        (trun,) = children(traf, b"trun")
        track, sample_ticks = struct.unpack_from(">II", tfhd, 4)
        (start,) = struct.unpack_from(">Q", tfdt, 4)
        (samples,) = struct.unpack_from(">I", trun, 4)
        read[track] = (start, samples * sample_ticks)
    return read


def sequence_number(segment: bytes) -> int:
    """The sequence number in the segment's `mfhd`."""
    (mfhd,) = children(segment, b"moof", b"mfhd")
    return int(struct.unpack_from(">I", mfhd, 4)[0])


def test_the_recording_has_three_renditions_with_segments_of_32_15_seconds() -> None:
    """64 frames at 30 per second, and 100 AAC frames of 1,024 samples at 48 kHz."""
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


def test_the_recording_is_at_most_700_kb() -> None:
    """It is part of the installed package."""
    size = sum(
        len(rendition.init) + sum(len(fragment.data) for fragment in rendition.fragments)
        for rendition in LOOP.renditions
    )
    assert 100_000 < size <= 700_000


@pytest.mark.parametrize("rendition", LOOP.renditions, ids=lambda each: each.resolution.name)
def test_three_repetitions_of_the_loop_are_one_continuous_stream(rendition: Rendition) -> None:
    """Each segment starts where the previous one ends, in both tracks, also at the loop's end."""
    ends = {VIDEO: 0, AUDIO: 0}
    for sequence in range(18):
        segment = LOOP.segment(rendition, sequence)
        assert sequence_number(segment) == sequence
        read = times(segment)
        assert {track: start for track, (start, _) in read.items()} == ends
        ends = {track: start + length for track, (start, length) in read.items()}
    assert Fraction(ends[VIDEO], 15_360) == Fraction(ends[AUDIO], 48_000) == Fraction(384, 10)


@given(st.integers(0, 2**33), st.sampled_from(LOOP.renditions))
def test_a_segment_starts_at_its_number_times_its_length(
    sequence: int, rendition: Rendition
) -> None:
    """For thousands of years, even though the number in `mfhd` wraps around at 32 bits."""
    segment = LOOP.segment(rendition, sequence)
    read = times(segment)
    assert Fraction(read[VIDEO][0], 15_360) == sequence * Fraction(32, 15)
    assert Fraction(read[AUDIO][0], 48_000) == sequence * Fraction(32, 15)
    assert sequence_number(segment) == sequence % 2**32


@given(st.integers(0, 2**33), st.sampled_from(LOOP.renditions))
def test_shifting_a_segment_changes_its_number_and_times_only(
    sequence: int, rendition: Rendition
) -> None:
    """The size and the samples stay the same: at most twenty bytes differ."""
    recorded = rendition.fragments[sequence % 6].data
    shifted = LOOP.segment(rendition, sequence)
    assert len(shifted) == len(recorded)
    assert children(shifted, b"mdat") == children(recorded, b"mdat")
    assert sum(a != b for a, b in zip(shifted, recorded, strict=True)) <= 4 + 8 + 8


@pytest.mark.parametrize("rendition", LOOP.renditions, ids=lambda each: each.resolution.name)
def test_the_manifest_matches_the_bytes_of_each_rendition(rendition: Rendition) -> None:
    """The codecs string matches `avcC`, and BANDWIDTH is the rate of the largest segment."""
    start = rendition.init.index(b"avcC") + 5
    assert rendition.codecs == f"avc1.{rendition.init[start : start + 3].hex()},mp4a.40.2"
    rates = [len(each.data) * 8 / LOOP.segment_seconds for each in rendition.fragments]
    assert round(max(rates)) == rendition.bandwidth
    assert round(sum(rates) / 6) == rendition.average_bandwidth


def test_bytes_that_are_not_a_fragment_raise_value_error() -> None:
    """A box larger than the file, a box smaller than its header, an init segment, a 32-bit time."""
    with pytest.raises(ValueError, match=r"moof.* 32\b"):
        Fragment.parse(b"\x00\x00\x00\x20moof")
    with pytest.raises(ValueError, match=r"moof.* 4\b"):
        Fragment.parse(b"\x00\x00\x00\x04moof")
    with pytest.raises(ValueError, match="unpack"):
        Fragment.parse(LOOP.renditions[0].init)
    good = LOOP.renditions[0].fragments[0].data
    version = good.index(b"tfdt") + 4
    with pytest.raises(ValueError, match="tfdt"):
        Fragment.parse(good[:version] + b"\x00" + good[version + 1 :])
