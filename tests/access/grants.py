"""The grants and requests of the tests."""

from __future__ import annotations

import functools

from tokensvc.access.callers import Caller, Identity
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


VIEWER_IDS = ("current-viewer-id", "viewer-id-under-the-previous-secret")


def user(*grants: str, **claims: object) -> Caller:
    """A caller with a token of an identity provider that has these claims."""
    identity = Identity("https://issuer.example.com", "ann", VIEWER_IDS, claims)
    return Caller("oidc:example:current-viewer-id", "ann", grants, identity=identity)
