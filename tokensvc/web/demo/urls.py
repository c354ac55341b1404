"""The playback URLs that the player page asks for: a good one, and those that IVS refuses.

A good one comes from the issuer, like anybody's. The others need a key to make, so that no viewer
can; they are made here and nowhere else in the program, and none of them ever opens anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, with_config

from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn
from tokensvc.claims import PlaybackClaims, PlaybackOptions, Resolution
from tokensvc.clock import Clock, Moment
from tokensvc.errors import ChannelNotPrivate
from tokensvc.keyring.view import RingView
from tokensvc.p384 import LocalSigner, Signer
from tokensvc.playback.issuance import (
    Circumstances,
    PlaybackIssuer,
    PlaybackRequest,
    PlaybackUrl,
    with_token,
)
from tokensvc.tokens import sign

VIEWER_ID = "demo-viewer"
TTL_SECONDS = 60  # of the tokens that are made here
SECONDS_TOO_LATE = 60


@dataclass(frozen=True, slots=True)
class Demo:
    """What the page's backend holds: it is an application of its own, with a caller's grants.

    Attributes:
        issuer: whom it asks, in this process.
        caller: who it is; its grants cover both channels and leave the origins to the request.
        view: the ring of the channels' region, for signing the token that has expired.
        clock: the time.
        channel_arn: the private channel that plays.
        other_channel_arn: another private channel of the region, whose token is of no use.
        edge_origin: scheme, host and port that the playback URLs begin with, such as
            `http://127.0.0.1:8001`; the only place besides its own that the page may talk to.
    """

    issuer: PlaybackIssuer
    caller: Caller
    view: RingView
    clock: Clock
    channel_arn: ChannelArn
    other_channel_arn: ChannelArn
    edge_origin: str


class Fault(StrEnum):
    """What is wrong with a token, so that IVS refuses it."""

    EXPIRED = "expired"
    OTHER_CHANNEL = "other-channel"
    UNKNOWN_KEY = "unknown-key"


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What the page asks of a playback URL.

    Attributes:
        ttl_seconds: how long after signing playback may start; None leaves it to the service.
        maximum_resolution: the highest rendition wanted; None wants all.
    """

    ttl_seconds: Annotated[int, Field(ge=1)] | None = None
    maximum_resolution: Annotated[Resolution, Field(strict=False)] | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks: the page's own origin, the only one that may play, and the request's ID."""

    page_origin: str
    circumstances: Circumstances


def good_url(demo: Demo, demo_request: DemoRequest, visit: Visit) -> PlaybackUrl:
    """A URL that plays the channel in pages of the visit's origin.

    Raises:
        TokensvcError: as `PlaybackIssuer.issue`.
    """
    request = PlaybackRequest(
        channel=str(demo.channel_arn),
        viewer_id=VIEWER_ID,
        ttl_seconds=demo_request.ttl_seconds,
        allowed_origins=(visit.page_origin,),
        maximum_resolution=demo_request.maximum_resolution,
    )
    return demo.issuer.issue(demo.caller, request, visit.circumstances)


def refused_url(demo: Demo, fault: Fault, visit: Visit) -> str:
    """The channel's URL with a token that IVS refuses for that fault, and for no other.

    Raises:
        TokensvcError: as `PlaybackIssuer.issue`.
    """
    good = good_url(demo, DemoRequest(), visit)
    return with_token(good.playback_url, _faulty_token(demo, fault, visit))


def _faulty_token(demo: Demo, fault: Fault, visit: Visit) -> str:
    moment = Moment.of(demo.clock)
    match fault:
        case Fault.EXPIRED:
            signed_at = moment.now - TTL_SECONDS - SECONDS_TOO_LATE
            return _token(demo, signed_at, demo.view.active(moment).signer)
        case Fault.OTHER_CHANNEL:
            return _other_channels_token(demo, visit)
        case Fault.UNKNOWN_KEY:
            return _token(demo, moment.now, LocalSigner.generate())


def _token(demo: Demo, signed_at: float, signer: Signer) -> str:
    options = PlaybackOptions(ttl_seconds=TTL_SECONDS)
    return sign(PlaybackClaims.at(signed_at, demo.channel_arn, options, VIEWER_ID), signer)


def _other_channels_token(demo: Demo, visit: Visit) -> str:
    request = PlaybackRequest(channel=str(demo.other_channel_arn), viewer_id=VIEWER_ID)
    token = demo.issuer.issue(demo.caller, request, visit.circumstances).token
    if token is None:
        raise ChannelNotPrivate(
            f"Anyone may watch the channel {demo.other_channel_arn}: it has no tokens.",
            hint="Enable its playback authorization again (UpdateChannel, authorized=true).",
        )
    return token
