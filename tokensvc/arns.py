"""Amazon resource names (ARNs) of IVS, parsed into typed values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, NewType, Self

from tokensvc.errors import InvalidArn

Region = NewType("Region", str)
"""The name of an AWS region, checked by `parse_region`, such as `us-west-2`."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", re.ASCII)
_LONGEST_ARN = 128  # characters; IVS: botocore model, ChannelArn and PlaybackKeyPairArn


def parse_region(text: str) -> Region:
    """The region with this name.

    Raises:
        InvalidArn: when the text does not have the form of a region name.
    """
    if not _REGION.fullmatch(text):
        raise InvalidArn(
            f"{text!r} is not the name of an AWS region.",
            hint="Use a region name such as us-west-2.",
        )
    return Region(text)


@dataclass(frozen=True, slots=True, order=True)
class _IvsArn:
    """The parts that all ARNs of IVS have. Each subclass is one kind of resource."""

    region: Region
    account_id: str
    resource_id: str

    kind: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an ARN.

        Raises:
            InvalidArn: when the text is not an ARN of this kind (botocore model: `ChannelArn`,
                `PlaybackKeyPairArn`).
        """
        match = re.fullmatch(
            rf"arn:aws:ivs:([a-z0-9-]+):([0-9]+):{cls.kind}/([a-zA-Z0-9-]+)", text, re.ASCII
        )
        if match is None or len(text) > _LONGEST_ARN:
            raise InvalidArn(
                f"{text[:_LONGEST_ARN]!r} is not the ARN of an IVS {cls.kind}.",
                hint=f"Use the form arn:aws:ivs:REGION:ACCOUNT:{cls.kind}/ID.",
            )
        return cls(parse_region(match[1]), match[2], match[3])

    def __str__(self) -> str:
        return f"arn:aws:ivs:{self.region}:{self.account_id}:{self.kind}/{self.resource_id}"


@dataclass(frozen=True, slots=True, order=True)
class ChannelArn(_IvsArn):
    """A channel: `arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl`."""

    kind: ClassVar[str] = "channel"


@dataclass(frozen=True, slots=True, order=True)
class PlaybackKeyArn(_IvsArn):
    """A playback key pair in IVS: `arn:aws:ivs:us-west-2:123456789012:playback-key/KEY`."""

    kind: ClassVar[str] = "playback-key"
