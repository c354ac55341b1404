"""Check that IVS's edge accepts a token of a key pair before it becomes active (rule 2).

An import takes effect at the edge some time after IVS acknowledged it. IVS does not report when:
only a token shows it. 403 means that the edge refused the token. A channel that is offline answers
404, which means that the token was accepted.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException

from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.errors import ChannelNotPrivate, IvsUnavailable, RotationRefused
from tokensvc.ivs.model import Channel
from tokensvc.playback.urls import with_token
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions
from tokensvc.token.jws import sign
from tokensvc.token.p384 import Signer

_TTL_SECONDS = 60
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EdgeCanary:
    """The canary of one region.

    Attributes:
        channel_arn: a private channel of the region, live or offline.
        get_channel: looks up the channel.
        clock: the clock.
    """

    channel_arn: ChannelArn
    get_channel: Callable[[ChannelArn], Channel]
    clock: Clock

    def __call__(self, signer: Signer) -> None:
        """Return normally if the edge answers a token of this signer with any status except 403.

        Raises:
            RotationRefused: when the edge answers 403: the import has not reached it yet.
            ChannelNotPrivate: when the channel is public, so that its answer proves nothing.
            ChannelNotFound, IvsUnavailable: when the channel can't be looked up, or the edge does
                not answer.
        """
        channel = self.get_channel(self.channel_arn)
        if not channel.is_private:
            raise ChannelNotPrivate(
                f"The canary channel {self.channel_arn} is public, so it accepts any token.",
                hint="Set `rotation.canary_channels` to a private channel.",
            )
        options = PlaybackOptions(ttl_seconds=_TTL_SECONDS)
        claims = PlaybackClaims.at(self.clock.now(), self.channel_arn, options)
        url = with_token(channel.playback_url, sign(claims, signer))
        if self._status(url) == HTTPStatus.FORBIDDEN:
            raise RotationRefused(
                "IVS's edge does not accept tokens of the new key pair yet: the canary channel"
                f" {self.channel_arn} answers 403. The active key pair still signs.",
                hint="Run `tokensvc keys reconcile` in a minute.",
            )

    def _status(self, url: str) -> int:
        try:
            status = _get(url)
        except (OSError, HTTPException, ValueError) as exc:
            # The exception may contain the URL with the token, so it must not be chained to a log.
            raise IvsUnavailable(
                f"IVS's edge did not answer for the canary channel ({type(exc).__name__}).",
                hint="Check the network and any proxy, then run `tokensvc keys reconcile` again.",
            ) from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise IvsUnavailable(
                f"IVS's edge answered HTTP {status} for the canary channel.",
                hint="Run `tokensvc keys reconcile` again.",
            )
        return status


def _get(url: str) -> int:
    """The HTTP status; uses the proxy of the environment, as boto3 does."""
    try:
        # A new opener each time: the default opener keeps the proxies of its first use.
        with urllib.request.build_opener().open(url, timeout=_TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code
