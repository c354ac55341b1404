"""Playback URLs: what a granted request is answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tokensvc.arns import ChannelArn
from tokensvc.clock import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackUrl:
    """A playback URL for a viewer's player; never log it, because anyone who has it can watch.

    Attributes:
        playback_url: IVS's URL of the multivariant playlist, with the token.
        token: the token alone. For a public channel it is None, as are all members about a token.
        channel_arn: the ARN of the channel.
        viewer_id: the viewer ID, if the request has one.
        expires_at: Unix seconds until which playback may start; a stream that plays continues.
        ttl_seconds: the granted TTL, at most the requested one.
        refresh_after_seconds: when a client that may have to start playback again should request a
            new URL: after 80 % of the TTL, while the old URL is still valid.
        key_id: the ID of the key pair that signed the token.
        watch_until: Unix seconds at which playback is ended; None if it is not.
    """

    playback_url: str = field(repr=False)
    channel_arn: ChannelArn
    token: str | None = field(default=None, repr=False)
    viewer_id: str | None = None
    expires_at: int | None = None
    ttl_seconds: int | None = None
    refresh_after_seconds: int | None = None
    key_id: str | None = None
    watch_until: int | None = None

    def members(self) -> dict[str, object]:
        """The JSON members that programs get, over HTTP and from the command line."""
        return {
            "playback_url": self.playback_url,
            "token": self.token,
            "channel_arn": str(self.channel_arn),
            "viewer_id": self.viewer_id,
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
            "ttl_seconds": self.ttl_seconds,
            "refresh_after_seconds": self.refresh_after_seconds,
            "key_id": self.key_id,
            "watch_until": None if self.watch_until is None else rfc3339(self.watch_until),
        }


def with_token(playback_url: str, token: str) -> str:
    """The URL with exactly one `token` parameter; the rest of its query is unchanged.

    IVS: private-channels-generate-tokens.
    """
    if "?" not in playback_url and "#" not in playback_url:
        return f"{playback_url}?token={token}"  # The usual URL; a token needs no encoding.
    parts = urlsplit(playback_url)
    others = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "token"]
    return urlunsplit(parts._replace(query=urlencode([*others, ("token", token)])))
