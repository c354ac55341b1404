"""The edge's errors, with the HTTP statuses and error codes that players receive.

Amazon IVS was observed to return `invalid_playback_auth_token` for an absent or malformed token and
`playback_auth_error` for a used one. The codes for the other reasons and for 404s are believed.
"""

from __future__ import annotations

from enum import StrEnum

from local_ivs.errors import LocalIvsError


class PlaybackRefusedError(LocalIvsError):
    """The edge refuses a player's request. The message gives the reason and, if any, a fix."""

    http_status = 403
    error_code = "playback_auth_error"


class Reason(StrEnum):
    """Why a token is refused."""

    ABSENT = "absent"
    MALFORMED = "malformed"
    HEADER = "header"
    SIGNATURE = "signature"
    CLAIM = "claim"
    EXPIRED = "expired"
    OTHER_CHANNEL = "other channel"
    TOO_LONG = "too long"


class TokenRefusedError(PlaybackRefusedError):
    """The token is absent, not valid, expired, or for another channel."""

    error_code = "invalid_playback_auth_token"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class OriginRefusedError(PlaybackRefusedError):
    """The token doesn't allow playback from the request's Origin header."""


class TokenUsedError(PlaybackRefusedError):
    """The token is for a single use and was already used."""


class ViewerRevokedError(PlaybackRefusedError):
    """The viewer's sessions up to and including this session version were revoked."""


class SessionUnknownError(PlaybackRefusedError):
    """The playback session doesn't exist or has expired."""


class ChannelNotFoundError(PlaybackRefusedError):
    """The channel doesn't exist."""

    http_status = 404
    error_code = "channel_not_found"


class ChannelOfflineError(PlaybackRefusedError):
    """The channel has no stream at this time."""

    http_status = 404
    error_code = "channel_offline"


class SegmentNotFoundError(PlaybackRefusedError):
    """The rendition is not part of this session, or the segment is too old or not complete yet."""

    http_status = 404
    error_code = "segment_not_found"
