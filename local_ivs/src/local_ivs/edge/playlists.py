"""HLS playlists (RFC 8216) of an endless stream, as pure functions of the time.

The stream starts at the Unix epoch. A segment's number therefore depends on the time only: it keeps
growing across restarts, and is the same in every process.

The variant playlists carry the text of each PutMetadata call as an EXT-X-DATERANGE tag (RFC 8216
§4.3.2.7), so that any page can read it. Amazon IVS has it inside the segments only (`timed_id3`).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import quote

from local_ivs.timestamps import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local_ivs.edge.segments import MediaLoop, Rendition, Resolution
    from local_ivs.edge_reader import TimedMetadata

WINDOW_SEGMENTS = 6
UNAVAILABLE_MEDIA = "com.amazon.ivs.unavailable-media"
MAXIMUM_RESOLUTION = "MAXIMUM_RESOLUTION"  # Our own: the reason that IVS writes is not known.
METADATA_CLASS = "local-ivs.timed-metadata"
PLAYLIST_VERSION = 7  # EXT-X-MAP outside of I-frame playlists needs 6, fragmented MP4 in it 7.


def multivariant(
    loop: MediaLoop, maximum_resolution: Resolution, url_of: Callable[[Resolution], str]
) -> str:
    """Return the playlist of the renditions up to a resolution, highest first.

    The other renditions are in the session data from which the player of AWS, version 1.56.1, knows
    the qualities that a viewer doesn't get.

    Args:
        loop: The recording.
        maximum_resolution: The highest resolution to list.
        url_of: Returns the URL of a rendition's variant playlist.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{PLAYLIST_VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    highest_first = sorted(loop.renditions, key=lambda each: each.resolution, reverse=True)
    if left_out := [each for each in highest_first if each.resolution > maximum_resolution]:
        lines.append(_unavailable_media(left_out))
    for each in highest_first:
        if each.resolution <= maximum_resolution:
            lines += [_stream_inf(each), url_of(each.resolution)]
    return "\n".join(lines) + "\n"


def _unavailable_media(renditions: Iterable[Rendition]) -> str:
    """The session data (RFC 8216 §4.3.4.4): base64 of a JSON array, one object per rendition."""
    array = [
        {
            "NAME": f"{each.height}p",
            "BANDWIDTH": each.bandwidth,
            "RESOLUTION": f"{each.width}x{each.height}",
            "FRAME-RATE": each.frame_rate,
            "CODECS": each.codecs,
            "FILTER_REASONS": [MAXIMUM_RESOLUTION],
        }
        for each in renditions
    ]
    value = base64.b64encode(json.dumps(array).encode()).decode()
    attributes = {"DATA-ID": f'"{UNAVAILABLE_MEDIA}"', "VALUE": f'"{value}"'}
    return "#EXT-X-SESSION-DATA:" + _attribute_list(attributes)


def _stream_inf(rendition: Rendition) -> str:
    attributes = {
        "BANDWIDTH": rendition.bandwidth,
        "AVERAGE-BANDWIDTH": rendition.average_bandwidth,
        "RESOLUTION": f"{rendition.width}x{rendition.height}",
        "FRAME-RATE": f"{rendition.frame_rate:.3f}",
        "CODECS": f'"{rendition.codecs}"',
    }
    return "#EXT-X-STREAM-INF:" + _attribute_list(attributes)


@dataclass(frozen=True)
class Window:
    """The part of a stream that its variant playlists list.

    Attributes:
        segments: The numbers of the listed segments.
        ended: Whether the last one is the end of the stream.
    """

    segments: range
    ended: bool = False

    @property
    def servable(self) -> range:
        """The numbers of the segments that the edge serves.

        They include older segments, because a player may still use a playlist that it fetched
        earlier.
        """
        return range(self.segments.start - WINDOW_SEGMENTS, self.segments.stop)


def live_window(segment_seconds: Fraction, now: float) -> Window:
    """The newest segments that are complete at `now` (Unix seconds)."""
    in_progress = int(Fraction(now) // segment_seconds)
    return Window(range(in_progress - WINDOW_SEGMENTS, in_progress))


def final_window(segment_seconds: Fraction, ended_at: float) -> Window:
    """The last segments of a stream that ended at `ended_at` (Unix seconds).

    The last one is the segment that was in progress, so that nothing put into the stream is lost.
    """
    last = int(Fraction(ended_at) // segment_seconds)
    return Window(range(last - WINDOW_SEGMENTS + 1, last + 1), ended=True)


def segment_times(segment_seconds: Fraction, sequence: int) -> tuple[float, float]:
    """When (Unix seconds) the segment with this number starts and ends."""
    return float(sequence * segment_seconds), float((sequence + 1) * segment_seconds)


def variant(
    segment_seconds: Fraction,
    window: Window,
    init_url: str,
    url_of: Callable[[int], str],
    timed_metadata: Iterable[TimedMetadata] = (),
) -> str:
    """Return the playlist of one rendition. It has an end tag if the stream has ended.

    Args:
        segment_seconds: The exact length of a segment.
        window: The segments to list.
        init_url: The URL of the rendition's init segment.
        url_of: Returns the URL of the segment with this number.
        timed_metadata: The metadata put into the stream since the playlist's first segment started.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{PLAYLIST_VERSION}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        # A segment's length, rounded, must not exceed it (RFC 8216 §4.3.3.1).
        f"#EXT-X-TARGETDURATION:{round(segment_seconds)}",
        f"#EXT-X-MEDIA-SEQUENCE:{window.segments.start}",
        f'#EXT-X-MAP:URI="{init_url}"',
    ]
    lines += map(_date_range, timed_metadata)
    for sequence in window.segments:
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(float(sequence * segment_seconds))}",
            f"#EXTINF:{float(segment_seconds):.5f},",
            url_of(sequence),
        ]
    if window.ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _date_range(put: TimedMetadata) -> str:
    attributes = {
        "ID": f'"{put.position}"',
        "CLASS": f'"{METADATA_CLASS}"',
        "START-DATE": f'"{rfc3339(put.put_at)}"',
        "DURATION": 0,
        # A quoted string can't contain quotes or line ends. decodeURIComponent restores the text.
        "X-LOCAL-IVS-METADATA": f'"{quote(put.metadata, safe="")}"',
    }
    return "#EXT-X-DATERANGE:" + _attribute_list(attributes)


def _attribute_list(attributes: Mapping[str, object]) -> str:
    return ",".join(f"{name}={value}" for name, value in attributes.items())
