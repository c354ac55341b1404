"""An IVS that a test directs, for the rules of the directory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable
from tokensvc.ivs.model import Channel

WAIT_SECONDS = 10.0
"""How long a test waits for a thread that must come before it fails."""


def arn_of(name: str) -> ChannelArn:
    """The ARN of an example channel."""
    return ChannelArn.parse(f"arn:aws:ivs:us-west-2:123456789012:channel/{name}")


def dice(seed: int = 1) -> Random:
    """Repeatable jitter."""
    return Random(seed)  # noqa: S311 - jitter is no secret.


STAGE = arn_of("stage")
NOT_FOUND = ChannelNotFound("There is none.")
UNAVAILABLE = IvsUnavailable("The AWS credentials expired.")
DENIED = IvsRefused("Denied.", aws_code="AccessDeniedException")


class StagedIvs:
    """An IVS that answers, fails, and can be held up, as the test says.

    Attributes:
        asked: the ARNs that were asked for one by one, in order.
        calls: the ARNs of each call for several.
        error: what it raises instead of answering, if anything.
        error_together: what it raises when it is asked for several, besides that.
        absent: the channels that a call for several says not to exist.
        unclear: the channels of which a call for several says nothing.
        on_ask: called within each look-up.
    """

    def __init__(self) -> None:
        self.asked: list[ChannelArn] = []
        self.calls: list[Sequence[ChannelArn]] = []
        self.error: Exception | None = None
        self.error_together: Exception | None = None
        self.absent: set[ChannelArn] = set()
        self.unclear: set[ChannelArn] = set()
        self.on_ask: Callable[[], object] = lambda: None

    def get_channel(self, arn: ChannelArn) -> Channel:
        """The channel, named by how many look-ups there were so far."""
        self.asked.append(arn)
        number = len(self.asked)
        error = self.error
        self.on_ask()
        if error is not None:
            raise error
        return Channel(
            arn, f"answer {number}", is_private=True, playback_url="https://e.net/x.m3u8"
        )

    def get_channels(
        self, arns: Sequence[ChannelArn]
    ) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
        """The channels, named by how many calls for several there were so far."""
        self.calls.append(tuple(arns))
        name = f"call {len(self.calls)}"
        error = self.error_together or self.error
        self.on_ask()
        if error is not None:
            raise error
        return {
            arn: NOT_FOUND
            if arn in self.absent
            else Channel(arn, name, is_private=True, playback_url="https://e.net/x.m3u8")
            for arn in arns
            if arn not in self.unclear
        }


class HeldUp:
    """Holds a look-up up until the test lets it go on."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.go_on = threading.Event()

    def __call__(self) -> None:
        """Say that the look-up has begun, and wait."""
        self.arrived.set()
        assert self.go_on.wait(WAIT_SECONDS)
