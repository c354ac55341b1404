"""The grants and requests of the tests."""

from __future__ import annotations

import functools

from tokensvc.access.callers import Caller
from tokensvc.access.grants import (
    Grant,
    Limits,
)
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn, ChannelPattern


def channels(*texts: str) -> frozenset[ChannelPattern]:
    """The patterns with those texts."""
    return frozenset(map(ChannelPattern.parse, texts))


ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
EVERY = "arn:aws:ivs:us-west-2:123456789012:channel/*"
LIMITS = Limits(ttl_seconds=300, max_ttl_seconds=3_600)
OPEN = Grant("open", channels(EVERY))
LONG = 100_000  # The longest TTL of a key pair that caps nothing.
requesting = functools.partial(PlaybackRequest, channel=str(ARN))


def caller(*grants: str) -> Caller:
    """A caller with those grants."""
    return Caller("00000000000a", "backend", grants)
