"""Playback authorization for Amazon IVS private channels.

To sign a playback token in any program, without the service, Flask or boto3:

    import time

    from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions, sign
    from tokensvc import load_private_key

    signer = LocalSigner(load_private_key(pem))
    channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
    claims = PlaybackClaims.at(time.time(), channel, PlaybackOptions(ttl_seconds=300))
    token = sign(claims, signer)

`PlaybackClaims.at` and `sign` raise `tokensvc.errors.InvalidRequest` with every broken rule.
"""

from __future__ import annotations

from tokensvc.arns import ChannelArn
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions, Resolution
from tokensvc.token.jws import sign, verify
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer
from tokensvc.token.private_keys import load_private_key

__all__ = [
    "ChannelArn",
    "LocalSigner",
    "PlaybackClaims",
    "PlaybackOptions",
    "PublicKey",
    "Resolution",
    "Signer",
    "load_private_key",
    "sign",
    "verify",
]
