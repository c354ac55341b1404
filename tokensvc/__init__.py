"""Playback authorization for Amazon IVS private channels.

To sign a playback token in any program, without the service, Flask or boto3:

    claims = PlaybackClaims.at(time.time(), ChannelArn.parse(arn), PlaybackOptions(ttl_seconds=300))
    token = sign(claims, signer)
"""

from __future__ import annotations

from tokensvc.arns import ChannelArn
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions, Resolution
from tokensvc.token.jws import sign
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer

__all__ = [
    "ChannelArn",
    "LocalSigner",
    "PlaybackClaims",
    "PlaybackOptions",
    "PublicKey",
    "Resolution",
    "Signer",
    "sign",
]
