"""HLS playlists (RFC 8216) of an endless stream; pure: the same moment gives the same text.

The stream is reckoned to have begun at the Unix epoch. A segment's number therefore follows from
the time alone, grows through restarts, and is the same in every process.

What PutMetadata put into the stream is in the variant playlists as EXT-X-DATERANGE tags (RFC 8216
§4.3.2.7), so that any page can read it. Amazon IVS carries it as timed ID3 inside the segments
instead, where its own player finds it: that player raises no TEXT_METADATA_CUE here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import quote

from tokensvc.localivs.moments import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokensvc.localivs.edge.segments import MediaLoop, Rendition, Resolution
    from tokensvc.localivs.edge_reader import TimedMetadata

WINDOW_SEGMENTS = 6
METADATA_CLASS = "local-ivs.timed-metadata"
PLAYLIST_VERSION = 7  # EXT-X-MAP outside of I-frame playlists needs 6, fragmented MP4 in it 7.


def multivariant(
    loop: MediaLoop, maximum_resolution: Resolution, url_of: Callable[[Resolution], str]
) -> str:
    """The playlist of the renditions up to a resolution, the best first.

    Args:
        loop: The recording.
        maximum_resolution: The largest rendition to offer.
        url_of: The URL of a rendition's variant playlist.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{PLAYLIST_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    best_first = sorted(loop.renditions, key=lambda each: each.resolution, reverse=True)
    for each in best_first:
        if each.resolution <= maximum_resolution:
            lines += [_stream_inf(each), url_of(each.resolution)]
    return "\n".join(lines) + "\n"


def _stream_inf(rendition: Rendition) -> str:
    attributes = {
        "BANDWIDTH": rendition.bandwidth,
        "AVERAGE-BANDWIDTH": rendition.average_bandwidth,
        "RESOLUTION": f"{rendition.width}x{rendition.height}",
        "FRAME-RATE": f"{rendition.frame_rate:.3f}",
        "CODECS": f'"{rendition.codecs}"',
    }
    return "#EXT-X-STREAM-INF:" + _attribute_list(attributes)


def newest_segment(segment_seconds: Fraction, now: float) -> int:
    """The number of the last segment that is complete at this moment (Unix seconds)."""
    return int(Fraction(now) // segment_seconds) - 1


def window(segment_seconds: Fraction, now: float) -> range:
    """The numbers of the segments that a variant playlist lists at this moment."""
    newest = newest_segment(segment_seconds, now)
    return range(newest - WINDOW_SEGMENTS + 1, newest + 1)


def servable(segment_seconds: Fraction, now: float) -> range:
    """The numbers of the segments that a player may fetch: those of playlists it may still hold."""
    listed = window(segment_seconds, now)
    return range(listed.start - WINDOW_SEGMENTS, listed.stop)


def listed_since(segment_seconds: Fraction, now: float) -> float:
    """When (Unix seconds) the oldest segment of a variant playlist of this moment began."""
    return float(window(segment_seconds, now).start * segment_seconds)


def variant(
    segment_seconds: Fraction,
    now: float,
    init_url: str,
    url_of: Callable[[int], str],
    timed_metadata: Iterable[TimedMetadata] = (),
) -> str:
    """The live playlist of one rendition: the newest segments, with no end in sight.

    Args:
        segment_seconds: How long a segment lasts, exactly.
        now: Unix seconds.
        init_url: The URL of the rendition's init segment.
        url_of: The URL of the segment of a number.
        timed_metadata: What was put into the stream since the playlist's beginning.
    """
    segments = window(segment_seconds, now)
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{PLAYLIST_VERSION}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        # A segment's length, rounded, must not exceed it (RFC 8216 §4.3.3.1).
        f"#EXT-X-TARGETDURATION:{round(segment_seconds)}",
        f"#EXT-X-MEDIA-SEQUENCE:{segments[0]}",
        f'#EXT-X-MAP:URI="{init_url}"',
    ]
    lines += map(_date_range, timed_metadata)
    for sequence in segments:
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(float(sequence * segment_seconds))}",
            f"#EXTINF:{float(segment_seconds):.5f},",
            url_of(sequence),
        ]
    return "\n".join(lines) + "\n"


def _date_range(put: TimedMetadata) -> str:
    attributes = {
        "ID": f'"{put.position}"',
        "CLASS": f'"{METADATA_CLASS}"',
        "START-DATE": f'"{rfc3339(put.put_at)}"',
        "DURATION": 0,
        # A quoted string has neither quotes nor line ends: decodeURIComponent gives the text back.
        "X-LOCAL-IVS-METADATA": f'"{quote(put.metadata, safe="")}"',
    }
    return "#EXT-X-DATERANGE:" + _attribute_list(attributes)


def _attribute_list(attributes: Mapping[str, object]) -> str:
    return ",".join(f"{name}={value}" for name, value in attributes.items())
