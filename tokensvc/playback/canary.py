"""Asks IVS's edge whether it takes a token by a key that is about to sign (rule 2).

An import takes effect at the edge some time after it was acknowledged, and nothing tells when: only
a token tells. A channel that is offline answers 404, which is an answer; 403 is the refusal.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException

from tokensvc.arns import ChannelArn
from tokensvc.claims import PlaybackClaims, PlaybackOptions
from tokensvc.clock import Clock
from tokensvc.errors import ChannelNotPrivate, IvsUnavailable, RotationRefused
from tokensvc.ivs.model import Channel
from tokensvc.p384 import Signer
from tokensvc.playback.issuance import with_token
from tokensvc.tokens import sign

_TTL_SECONDS = 60
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EdgeCanary:
    """The canary of one region.

    Attributes:
        channel_arn: a private channel of the region, live or not.
        get_channel: looks the channel up.
        clock: the time.
    """

    channel_arn: ChannelArn
    get_channel: Callable[[ChannelArn], Channel]
    clock: Clock

    def __call__(self, signer: Signer) -> None:
        """Return when the edge has answered a token of this signer with anything but 403.

        Raises:
            RotationRefused: when it answers 403: the import has not reached it yet.
            ChannelNotPrivate: when anyone may watch the channel, so that its answer tells nothing.
            ChannelNotFound, IvsUnavailable: when the channel or the edge can't be asked.
        """
        channel = self.get_channel(self.channel_arn)
        if not channel.is_private:
            raise ChannelNotPrivate(
                f"The canary channel {self.channel_arn} is public: it takes any token.",
                hint="Set rotation.canary_channels to a private channel.",
            )
        options = PlaybackOptions(ttl_seconds=_TTL_SECONDS)
        claims = PlaybackClaims.at(self.clock.now(), self.channel_arn, options)
        url = with_token(channel.playback_url, sign(claims, signer))
        if self._status(url) == HTTPStatus.FORBIDDEN:
            raise RotationRefused(
                f"IVS's edge does not take the new key's tokens yet: {self.channel_arn} "
                "answers 403.",
                hint="The key that signs goes on. Run `tokensvc keys reconcile` in a minute.",
            )

    def _status(self, url: str) -> int:
        try:
            status = _get(url)
        except (OSError, HTTPException, ValueError) as exc:
            # The exception may name the URL, token included: it must not be chained into a log.
            raise IvsUnavailable(
                f"IVS's edge did not answer for the canary channel ({type(exc).__name__}).",
                hint="Check the network and any proxy; run `tokensvc keys reconcile` again.",
            ) from None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise IvsUnavailable(
                f"IVS's edge failed for the canary channel (HTTP {status}).",
                hint="Run `tokensvc keys reconcile` again.",
            )
        return status


def _get(url: str) -> int:
    """The HTTP status, by way of the environment's proxy where there is one, as boto3 goes."""
    try:
        # An opener of its own: the module's keeps the proxies of its first use.
        with urllib.request.build_opener().open(url, timeout=_TIMEOUT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code
