"""The playback URLs that the player page asks for: a good one, and those that IVS refuses.

A good one comes from the issuer, like anybody's. The others are made of good ones, here and nowhere
else in the program, so that the page can show that the edge really refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokensvc.access.callers import Caller
from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock
from tokensvc.keyring.view import RingView
from tokensvc.playback.issuance import PlaybackIssuer


@dataclass(frozen=True, slots=True)
class Demo:
    """What the page's backend holds: it is an application of its own, with a caller's grants.

    Attributes:
        issuer: whom it asks, in this process.
        caller: who it is; its grants cover both channels.
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
