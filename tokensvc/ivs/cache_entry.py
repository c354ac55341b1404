"""What the channel directory has cached for one channel, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tokensvc.arns import ChannelArn
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.channels import channel_not_found
from tokensvc.ivs.model import Channel


@dataclass(frozen=True, slots=True)
class DirectoryTerms:
    """How long answers are used and how many are cached; `jitter` is a share of `fresh_seconds`."""

    fresh_seconds: float = 300.0
    usable_while_failing_seconds: float = 86_400.0
    negative_seconds: float = 10.0
    capacity: int = 10_000
    jitter: float = 0.1

    @property
    def usable_seconds(self) -> float:
        """The age at which a good answer expires."""
        return max(self.fresh_seconds, self.usable_while_failing_seconds)


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What is cached for one channel; times are monotonic seconds.

    Attributes:
        arn: the channel's ARN.
        channel: the last good answer, if any.
        is_absent: whether IVS's last answer was that the channel does not exist.
        expires_at: the last time at which the good answer may be used.
        refresh_at: the earliest time of the next lookup.
    """

    arn: ChannelArn
    channel: Channel | None = None
    is_absent: bool = False
    expires_at: float = -math.inf
    refresh_at: float = -math.inf

    def unexpired_channel(self, now: float) -> Channel | None:
        """The good answer, if it may be used at this time."""
        return self.channel if now <= self.expires_at else None

    def answer_at(self, now: float) -> Channel:
        """Return the channel, or raise the error that this entry stands for."""
        if channel := self.unexpired_channel(now):
            return channel
        if self.is_absent:
            raise channel_not_found(self.arn)
        raise IvsUnavailable(
            "This channel can't be looked up in Amazon IVS now, and no cached answer is available.",
            hint="Try again in a few seconds. If the error persists, the log of tokensvc has the"
            " reason.",
        )


@dataclass(frozen=True, slots=True)
class KnownChannel:
    """What a process knows about a channel, for its operator.

    Attributes:
        arn: the channel's ARN.
        answer: `private` or `public`, `absent` when it does not exist, `unknown` when Amazon IVS
            gave no answer that may still be used.
        age_seconds: how long ago the answer was asked for; None if it is unknown.
        refresh_in_seconds: in how many seconds a request asks Amazon IVS again; 0 for the next.
    """

    arn: ChannelArn
    answer: Literal["private", "public", "absent", "unknown"]
    age_seconds: float | None
    refresh_in_seconds: float


def known_channel(entry: CacheEntry, terms: DirectoryTerms, now: float) -> KnownChannel:
    """What that entry says at that time, in monotonic seconds."""
    refresh_in_seconds = max(0.0, entry.refresh_at - now)
    if (channel := entry.unexpired_channel(now)) is not None:
        answer: Literal["private", "public"] = "private" if channel.is_private else "public"
        asked_at = entry.expires_at - terms.usable_seconds
        return KnownChannel(entry.arn, answer, now - asked_at, refresh_in_seconds)
    if entry.is_absent:
        asked_at = entry.refresh_at - terms.negative_seconds
        return KnownChannel(entry.arn, "absent", now - asked_at, refresh_in_seconds)
    return KnownChannel(entry.arn, "unknown", None, refresh_in_seconds)
