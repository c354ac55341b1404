"""Amazon resource names (ARNs) of IVS, parsed into typed values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NewType, Self

from tokensvc.errors import InvalidArn
from tokensvc.ivs.limits import LONGEST_ARN

Region = NewType("Region", str)
"""The name of an AWS region, checked by `parse_region`, such as `us-west-2`."""

_RESOURCE_ARN = re.compile(r"arn:aws:ivs:([a-z0-9-]+):[0-9]+:([a-z-]+)/[a-zA-Z0-9-]+", re.ASCII)
_EVERY_CHANNEL = re.compile(r"arn:aws:ivs:([a-z0-9-]+):([0-9]+):channel/\*", re.ASCII)
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", re.ASCII)


def parse_region(text: str) -> Region:
    """The region with this name.

    >>> parse_region("us-west-2")
    'us-west-2'

    Raises:
        InvalidArn: when the text does not have the form of a region name.
    """
    if not _REGION.fullmatch(text):
        raise InvalidArn(
            f"{text!r} is not the name of an AWS region.",
            hint="Use a region name such as us-west-2.",
        )
    return Region(text)


@cache
def _pattern_of(kind: str) -> re.Pattern[str]:
    return re.compile(rf"arn:aws:ivs:([a-z0-9-]+):([0-9]+):{kind}/([a-zA-Z0-9-]+)", re.ASCII)


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
        match = _pattern_of(cls.kind).fullmatch(text)
        if match is None or len(text) > LONGEST_ARN:
            raise InvalidArn(
                f"{text[:LONGEST_ARN]!r} is not the ARN of an IVS {cls.kind}.",
                hint=f"Use the form arn:aws:ivs:REGION:ACCOUNT:{cls.kind}/ID.",
            )
        return cls(parse_region(match[1]), match[2], match[3])

    def __str__(self) -> str:
        return f"arn:aws:ivs:{self.region}:{self.account_id}:{self.kind}/{self.resource_id}"


@dataclass(frozen=True, slots=True, order=True)
class ChannelArn(_IvsArn):
    """A channel: `arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl`.

    >>> from tokensvc import ChannelArn
    >>> channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
    >>> channel.region, channel.account_id, channel.resource_id
    ('us-west-2', '123456789012', 'abcdEFGHijkl')
    """

    kind: ClassVar[str] = "channel"


@dataclass(frozen=True, slots=True, order=True)
class PlaybackKeyArn(_IvsArn):
    """A playback key pair in IVS: `arn:aws:ivs:us-west-2:123456789012:playback-key/KEY`."""

    kind: ClassVar[str] = "playback-key"


@dataclass(frozen=True, slots=True)
class ResourceArn:
    """The ARN of an IVS resource of any kind.

    >>> ResourceArn.parse("arn:aws:ivs:us-west-2:123456789012:stream-key/abcdEFGHijkl").kind
    'stream-key'

    Attributes:
        text: the ARN.
        region: the resource's region.
        kind: `channel`, `stream-key`, `playback-key` or another resource type of IVS.
    """

    text: str
    region: Region
    kind: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text of an ARN.

        The pattern is tokensvc's own, because the one of the service model matches no real ARN.

        Raises:
            InvalidArn: when the text is not the ARN of an IVS resource.
        """
        match = _RESOURCE_ARN.fullmatch(text)
        if match is None or len(text) > LONGEST_ARN:
            raise InvalidArn(
                f"{text[:LONGEST_ARN]!r} is not the ARN of an IVS resource.",
                hint="Use the form arn:aws:ivs:REGION:ACCOUNT:KIND/ID.",
            )
        return cls(text, parse_region(match[1]), match[2])

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class ChannelPattern(_IvsArn):
    """One channel, or every channel of an account in a region: `…:channel/*`.

    A pattern can't span accounts or regions.
    """

    kind: ClassVar[str] = "channel"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the ARN of a channel, or `arn:aws:ivs:REGION:ACCOUNT:channel/*`.

        Raises:
            InvalidArn: when the text is neither.
        """
        if match := _EVERY_CHANNEL.fullmatch(text):
            return cls(parse_region(match[1]), match[2], "*")
        try:
            return cls.of(ChannelArn.parse(text))
        except InvalidArn as exc:
            raise InvalidArn(
                exc.detail,
                hint="Use the ARN of a channel, or `arn:aws:ivs:REGION:ACCOUNT:channel/*`.",
            ) from exc

    @classmethod
    def of(cls, arn: ChannelArn) -> Self:
        """The pattern that covers this channel only."""
        return cls(arn.region, arn.account_id, arn.resource_id)

    @property
    def is_of_every_channel(self) -> bool:
        """Whether it covers every channel of its account and region."""
        return self.resource_id == "*"

    @classmethod
    def all_that_cover(cls, arn: ChannelArn) -> tuple[Self, Self]:
        """The two patterns that cover the channel: its own, and the one of all channels.

        >>> channel = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl")
        >>> for pattern in ChannelPattern.all_that_cover(channel):
        ...     print(pattern)
        arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl
        arn:aws:ivs:us-west-2:123456789012:channel/*
        """
        return cls.of(arn), cls(arn.region, arn.account_id, "*")
