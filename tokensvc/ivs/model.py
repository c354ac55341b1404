"""Resources of IVS as plain values, for use in all other packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tokensvc.arns import ChannelArn, PlaybackKeyArn


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as GetChannel describes it.

    Attributes:
        arn: its ARN.
        name: its name in IVS, possibly empty.
        is_private: whether playback needs a token (`authorized` in IVS).
        playback_url: IVS's URL of the multivariant playlist; opaque, to be used unchanged.
    """

    arn: ChannelArn
    name: str
    is_private: bool
    playback_url: str


@dataclass(frozen=True, slots=True)
class HeldKeyPair:
    """A playback key pair that IVS holds, as GetPlaybackKeyPair describes it.

    Attributes:
        arn: its ARN.
        name: its name in IVS, possibly empty, not unique.
        fingerprint: MD5 of the DER public key, lowercase hex with colons.
        tags: its tags.
    """

    arn: PlaybackKeyArn
    name: str
    fingerprint: str
    tags: Mapping[str, str] = field(default_factory=dict)
