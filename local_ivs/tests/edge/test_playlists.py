from __future__ import annotations

import base64
import json
from datetime import datetime
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_ivs.edge import playlists
from local_ivs.edge.segments import Resolution, bundled_loop
from local_ivs.edge_reader import TimedMetadata

SEGMENT = Fraction(32, 15)
KEYS = {"NAME", "BANDWIDTH", "RESOLUTION", "FRAME-RATE", "CODECS", "FILTER_REASONS"}
TIMES = st.floats(1_000, 4_000_000_000)


def variant(now: float) -> list[str]:
    """The lines of the variant playlist at this time."""
    window = playlists.live_window(SEGMENT, now)
    text = playlists.variant(SEGMENT, window, "/init.mp4", lambda sequence: f"/{sequence}.m4s")
    assert text.endswith("\n")
    return text.splitlines()


def listed(now: float) -> list[int]:
    """The numbers of the segments in the variant playlist at this time."""
    return [int(line[1:-4]) for line in variant(now) if line.endswith(".m4s")]


def test_a_variant_playlist_has_exactly_these_lines() -> None:
    """At 19.25 s nine segments are complete, 0 to 8. The newest six are listed."""
    assert variant(19.25)[:9] == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-MEDIA-SEQUENCE:3",
        '#EXT-X-MAP:URI="/init.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:06.400Z",
        "#EXTINF:2.13333,",
        "/3.m4s",
    ]
    assert variant(19.25)[-3:] == [
        "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:17.066Z",
        "#EXTINF:2.13333,",
        "/8.m4s",
    ]
    assert len(variant(19.25)) == 6 + 6 * 3


def test_timed_metadata_is_listed_before_the_segments() -> None:
    """One EXT-X-DATERANGE per call: the time, and the text percent-encoded."""
    put = [TimedMetadata(7, 17.5, '{"a": "ü,\n"}'), TimedMetadata(8, 19.0, "b")]
    window = playlists.live_window(SEGMENT, 19.25)
    text = playlists.variant(SEGMENT, window, "/init.mp4", str, put)
    assert text.splitlines()[6:8] == [
        (
            '#EXT-X-DATERANGE:ID="7",CLASS="local-ivs.timed-metadata",'
            'START-DATE="1970-01-01T00:00:17.500Z",DURATION=0,'
            'X-LOCAL-IVS-METADATA="%7B%22a%22%3A%20%22%C3%BC%2C%0A%22%7D"'
        ),
        (
            '#EXT-X-DATERANGE:ID="8",CLASS="local-ivs.timed-metadata",'
            'START-DATE="1970-01-01T00:00:19.000Z",DURATION=0,X-LOCAL-IVS-METADATA="b"'
        ),
    ]


def test_the_playlist_of_an_ended_stream_has_an_end_tag_after_the_segment_in_progress() -> None:
    """At 19.25 s segment 9 was in progress. It is the last of six."""
    window = playlists.final_window(SEGMENT, 19.25)
    lines = playlists.variant(SEGMENT, window, "/init.mp4", lambda each: f"/{each}.m4s").split()
    assert "#EXT-X-MEDIA-SEQUENCE:4" in lines
    assert [line for line in lines if line[0] == "/"] == [f"/{each}.m4s" for each in range(4, 10)]
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert window.servable == range(-2, 10)


def test_a_segment_is_listed_as_soon_as_it_is_complete() -> None:
    """Segment 6 lasts from 12.8 s to 14.93 s."""
    end = float(7 * SEGMENT)
    assert listed(end - 0.001)[-1] == 5
    assert listed(end + 0.001)[-1] == 6


@given(TIMES, st.floats(0, 100))
def test_the_window_only_moves_forward_and_overlaps_a_slightly_later_one(
    now: float, later_seconds: float
) -> None:
    """A later playlist has no smaller numbers. Within five segments, two playlists overlap."""
    before, after = listed(now), listed(now + later_seconds)
    assert before == list(range(before[0], before[0] + 6))
    assert after[0] >= before[0]
    if later_seconds < float(SEGMENT) * 5:
        assert set(before) & set(after)


@given(TIMES)
def test_the_newest_listed_segment_is_the_last_complete_one(now: float) -> None:
    """No segment is listed before its end, and no complete segment is missing."""
    newest_end = (listed(now)[-1] + 1) * SEGMENT
    assert newest_end <= Fraction(now) < newest_end + SEGMENT


@given(TIMES)
def test_the_dates_of_segments_differ_by_the_length_of_a_segment(now: float) -> None:
    """EXT-X-PROGRAM-DATE-TIME in UTC, with milliseconds. EXT-X-MEDIA-SEQUENCE is the first."""
    lines = variant(now)
    dates = [
        datetime.fromisoformat(line.split(":", 1)[1])
        for line in lines
        if line.startswith("#EXT-X-PROGRAM-DATE-TIME:")
    ]
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(dates)]
    assert gaps == pytest.approx([32 / 15] * 5, abs=0.0015)
    first = listed(now)[0]
    assert f"#EXT-X-MEDIA-SEQUENCE:{first}" in lines
    assert dates[0].timestamp() == pytest.approx(float(first * SEGMENT), abs=0.0015)


@given(TIMES)
def test_recently_listed_segments_are_served_and_future_ones_are_not(now: float) -> None:
    """All segments of a playlist are served for the length of six segments."""
    served = playlists.live_window(SEGMENT, now).servable
    assert set(listed(now)) <= set(served)
    assert set(listed(max(now - float(6 * SEGMENT) + 0.01, 0))) <= set(served)
    assert served[-1] == listed(now)[-1]
    assert len(served) == 12


@pytest.mark.parametrize(
    ("maximum", "expected"),
    [
        (Resolution.SD, ["/SD"]),
        (Resolution.HD, ["/HD", "/SD"]),
        (Resolution.FULL_HD, ["/FULL_HD", "/HD", "/SD"]),
    ],
)
def test_a_multivariant_playlist_lists_renditions_up_to_the_maximum_resolution(
    maximum: Resolution, expected: list[str]
) -> None:
    """The highest first, each after its EXT-X-STREAM-INF line."""
    loop = bundled_loop()
    lines = playlists.multivariant(loop, maximum, lambda each: f"/{each.name}").splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines = [line for line in lines if "EXT-X-SESSION-DATA" not in line]
    assert lines[4::2] == expected
    assert all(line.startswith("#EXT-X-STREAM-INF:BANDWIDTH=") for line in lines[3::2])
    smallest = min(loop.renditions, key=lambda each: each.resolution)
    assert lines[-2] == (
        f"#EXT-X-STREAM-INF:BANDWIDTH={smallest.bandwidth},"
        f"AVERAGE-BANDWIDTH={smallest.average_bandwidth},RESOLUTION=852x480,"
        'FRAME-RATE=30.000,CODECS="avc1.64001e,mp4a.40.2"'
    )


@pytest.mark.parametrize(
    ("maximum", "left_out"),
    [
        (Resolution.SD, [("1080p", "1920x1080"), ("720p", "1280x720")]),
        (Resolution.HD, [("1080p", "1920x1080")]),
        (Resolution.FULL_HD, []),
    ],
)
def test_the_session_data_lists_the_renditions_that_are_left_out(
    maximum: Resolution, left_out: list[tuple[str, str]]
) -> None:
    """As a base64 JSON array with the keys that AWS's player reads; absent if there are none."""
    text = playlists.multivariant(bundled_loop(), maximum, lambda each: f"/{each.name}")
    tag = '#EXT-X-SESSION-DATA:DATA-ID="com.amazon.ivs.unavailable-media",VALUE="'
    lines = [line for line in text.splitlines() if line.startswith("#EXT-X-SESSION-DATA")]
    assert all(line.startswith(tag) and line.endswith('"') for line in lines)
    listed = [
        each
        for line in lines
        for each in json.loads(base64.b64decode(line[len(tag) : -1], validate=True))
    ]
    assert [(each["NAME"], each["RESOLUTION"]) for each in listed] == left_out
    for each in listed:
        assert set(each) == KEYS
        assert each["FILTER_REASONS"] == ["MAXIMUM_RESOLUTION"]
        assert each["CODECS"].endswith(",mp4a.40.2")
        assert each["FRAME-RATE"] == 30
