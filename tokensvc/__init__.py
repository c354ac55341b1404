"""Playback authorization for Amazon IVS private channels.

>>> import time
>>> from pathlib import Path
>>> from tokensvc import ChannelArn, LocalSigner, PlaybackClaims, PlaybackOptions
>>> from tokensvc import load_private_key, sign, verify
>>> signer = LocalSigner(load_private_key(Path("private-key.pem").read_bytes()))
>>> channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
>>> claims = PlaybackClaims.at(time.time(), channel, PlaybackOptions(ttl_seconds=300))
>>> token = sign(claims, signer)
>>> verify(token, [signer.public_key]) == signer.public_key
True

`PlaybackClaims.at` and `sign` raise `tokensvc.errors.InvalidRequest` with every broken rule.

These names need neither Flask nor boto3. The service and its command line do, which the extra
installs: `pip install 'tokensvc[service]'`.
"""

from __future__ import annotations

from tokensvc.arns import ChannelArn
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions, Resolution
from tokensvc.token.jws import sign, verify
from tokensvc.token.p384 import LocalSigner, PublicKey, Signer
from tokensvc.token.private_keys import load_private_key

__version__ = "0.1.0"

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
