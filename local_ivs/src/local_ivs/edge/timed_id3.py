"""Timed metadata inside media segments, where Amazon's player finds it.

An event message box (`emsg`, version 0: ISO/IEC 23009-1 §5.10.3.3) before the fragment carries an
ID3v2.4 tag with one user-defined text frame (TXXX). The player of AWS, version 1.56.1, raises
TEXT_METADATA_CUE for each box with the scheme `urn:twitch:id3`. AWS documents only that IVS embeds
ID3 tags in the segments.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_ivs.edge_reader import TimedMetadata

SCHEME = b"urn:twitch:id3"
TIMESCALE = 1000  # Ticks per second.
MESSAGE_IDS = 2**32
UTF_8 = b"\x03"  # ID3v2.4: the text encoding of a frame.


def event_message(put: TimedMetadata, segment_start: float) -> bytes:
    """Return the `emsg` box of one PutMetadata call, for the segment in which it happened.

    Args:
        put: The metadata.
        segment_start: Unix seconds at the start of the segment.
    """
    content = (
        bytes(4)  # version 0, no flags
        + SCHEME
        + b"\0"
        + b"\0"  # no value
        + struct.pack(
            ">IIII",
            TIMESCALE,
            round((put.put_at - segment_start) * TIMESCALE),
            0,  # The event has no duration.
            put.position % MESSAGE_IDS,
        )
        + id3_tag(put.metadata)
    )
    return struct.pack(">I4s", 8 + len(content), b"emsg") + content


def id3_tag(text: str) -> bytes:
    """Return an ID3v2.4 tag with the text in a TXXX frame without a description."""
    frame = UTF_8 + b"\0" + text.encode()
    frames = b"TXXX" + syncsafe(len(frame)) + bytes(2) + frame
    return b"ID3\x04\x00\x00" + syncsafe(len(frames)) + frames


def syncsafe(size: int) -> bytes:
    """Return a size as four bytes of seven bits each (ID3v2.4 §6.2)."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
