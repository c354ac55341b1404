"""The playback URLs for the player page: a valid one, and ones that IVS refuses.

The issuer makes the valid URL, as for every caller. Making the refused ones needs a private key, so
a viewer can't. Only this module makes them, and IVS never accepts one for this channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, with_config

from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock, Moment
from tokensvc.errors import ChannelNotPrivate
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import (
    PlaybackIssuer,
    PlaybackRequest,
    PlaybackUrl,
    RequestContext,
    with_token,
)
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions, Resolution
from tokensvc.token.jws import sign
from tokensvc.token.p384 import LocalSigner, Signer

VIEWER_ID = "demo-viewer"
TTL_SECONDS = 60  # Of the tokens that this module signs itself.
EXPIRED_FOR_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Demo:
    """The parts of the page's backend, which acts as an application with a caller's grants.

    Attributes:
        issuer: signs the valid playback URLs, in this process.
        caller: the backend's identity. Its grants cover both channels and don't limit the origins.
        view: the ring of the channels' region. It signs the expired token.
        clock: the time.
        channel_arn: the private channel that plays.
        other_channel_arn: another private channel of the region, for a token for another channel.
        edge_origin: scheme, host and port of the playback URLs, such as `http://127.0.0.1:8001`.
            The page may connect to this origin and its own only.
    """

    issuer: PlaybackIssuer
    caller: Caller
    view: RingView
    clock: Clock
    channel_arn: ChannelArn
    other_channel_arn: ChannelArn
    edge_origin: str


class TokenFault(StrEnum):
    """Why IVS refuses a token that this module makes."""

    EXPIRED = "expired"
    OTHER_CHANNEL = "other-channel"
    UNKNOWN_KEY = "unknown-key"


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class DemoRequest:
    """The page's request for a valid playback URL.

    Attributes:
        ttl_seconds: how long after signing playback may start. None: the service's default.
        maximum_resolution: the highest rendition in the playlist. None: all renditions.
    """

    ttl_seconds: Annotated[int, Field(ge=1)] | None = None
    maximum_resolution: Annotated[Resolution, Field(strict=False)] | None = None


@dataclass(frozen=True, slots=True)
class PageContext:
    """The page's origin, which is the only one that may play, and the context of its request."""

    origin: str
    request_context: RequestContext


def valid_url(demo: Demo, demo_request: DemoRequest, page: PageContext) -> PlaybackUrl:
    """Return a URL that plays the channel in pages of this origin.

    Raises:
        TokensvcError: as `PlaybackIssuer.issue`.
    """
    request = PlaybackRequest(
        channel=str(demo.channel_arn),
        viewer_id=VIEWER_ID,
        ttl_seconds=demo_request.ttl_seconds,
        allowed_origins=(page.origin,),
        maximum_resolution=demo_request.maximum_resolution,
    )
    return demo.issuer.issue(demo.caller, request, page.request_context)


def refused_url(demo: Demo, fault: TokenFault, page: PageContext) -> str:
    """Return the channel's URL with a token that has this fault and no other.

    Raises:
        TokensvcError: as `PlaybackIssuer.issue`.
    """
    valid = valid_url(demo, DemoRequest(), page)
    return with_token(valid.playback_url, _refused_token(demo, fault, page))


def _refused_token(demo: Demo, fault: TokenFault, page: PageContext) -> str:
    moment = Moment.of(demo.clock)
    match fault:
        case TokenFault.EXPIRED:
            signed_at = moment.now - TTL_SECONDS - EXPIRED_FOR_SECONDS
            return _sign_token(demo, signed_at, demo.view.active(moment).signer)
        case TokenFault.OTHER_CHANNEL:
            return _other_channel_token(demo, page)
        case TokenFault.UNKNOWN_KEY:
            return _sign_token(demo, moment.now, LocalSigner.generate())


def _sign_token(demo: Demo, signed_at: float, signer: Signer) -> str:
    options = PlaybackOptions(ttl_seconds=TTL_SECONDS)
    return sign(PlaybackClaims.at(signed_at, demo.channel_arn, options, VIEWER_ID), signer)


def _other_channel_token(demo: Demo, page: PageContext) -> str:
    request = PlaybackRequest(channel=str(demo.other_channel_arn), viewer_id=VIEWER_ID)
    token = demo.issuer.issue(demo.caller, request, page.request_context).token
    if token is None:
        raise ChannelNotPrivate(
            f"Channel {demo.other_channel_arn} is public, so it has no tokens.",
            hint=f"Make it private: run `tokensvc channels protect {demo.other_channel_arn}`.",
        )
    return token
