"""HLS playlists (RFC 8216) of an endless stream; pure: the same moment gives the same text.

The stream is reckoned to have begun at the Unix epoch. A segment's number therefore follows from
the time alone, grows through restarts, and is the same in every process.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokensvc.localivs.edge.segments import MediaLoop, Rendition, Resolution

WINDOW_SEGMENTS = 6
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
    return "#EXT-X-STREAM-INF:" + ",".join(f"{key}={value}" for key, value in attributes.items())


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


def variant(
    segment_seconds: Fraction, now: float, init_url: str, url_of: Callable[[int], str]
) -> str:
    """The live playlist of one rendition: the newest segments, with no end in sight.

    Args:
        segment_seconds: How long a segment lasts, exactly.
        now: Unix seconds.
        init_url: The URL of the rendition's init segment.
        url_of: The URL of the segment of a number.
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
    for sequence in segments:
        began = datetime.fromtimestamp(float(sequence * segment_seconds), UTC)
        lines += [
            "#EXT-X-PROGRAM-DATE-TIME:"
            + began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            f"#EXTINF:{float(segment_seconds):.5f},",
            url_of(sequence),
        ]
    return "\n".join(lines) + "\n"
