"""Why the edge doesn't play: a branch of Local IVS's error tree, with the codes that players see.

Amazon IVS has been seen to say `invalid_playback_auth_token` of an absent or malformed token and
`playback_auth_error` of a used one. Which code goes with other reasons, and a 404, is believed.
"""

from __future__ import annotations

from enum import StrEnum

from tokensvc.localivs.errors import LocalIvsError


class PlaybackRefusedError(LocalIvsError):
    """A player's request is refused; the message tells a person why and what to do."""

    http_status = 403
    error_code = "playback_auth_error"


class Reason(StrEnum):
    """What is wrong with a token."""

    ABSENT = "absent"
    MALFORMED = "malformed"
    HEADER = "header"
    SIGNATURE = "signature"
    CLAIM = "claim"
    EXPIRED = "expired"
    OTHER_CHANNEL = "other channel"
    TOO_LONG = "too long"


class TokenRefusedError(PlaybackRefusedError):
    """The token, by itself, opens nothing at this moment."""

    error_code = "invalid_playback_auth_token"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class OriginRefusedError(PlaybackRefusedError):
    """The token is for other web pages."""


class TokenUsedError(PlaybackRefusedError):
    """The token was for a single use and has been used."""


class ViewerRevokedError(PlaybackRefusedError):
    """The viewer's sessions up to this version were revoked."""


class SessionUnknownError(PlaybackRefusedError):
    """The playback session doesn't exist, or it has expired."""


class ChannelNotFoundError(PlaybackRefusedError):
    """There is no such channel."""

    http_status = 404
    error_code = "channel_not_found"


class ChannelOfflineError(PlaybackRefusedError):
    """Nobody streams to the channel."""

    http_status = 404
    error_code = "channel_offline"


class SegmentNotFoundError(PlaybackRefusedError):
    """The rendition or the segment isn't part of this session's stream, now."""

    http_status = 404
    error_code = "segment_not_found"
