"""What IVS tells about its resources, as values; all that other rooms know of this one."""

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
        playback_url: IVS's own URL of the multivariant playlist, opaque, to be taken as it is.
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
        fingerprint: MD5 of the DER public half, lowercase hex with colons.
        tags: its tags.
    """

    arn: PlaybackKeyArn
    name: str
    fingerprint: str
    tags: Mapping[str, str] = field(default_factory=dict)
