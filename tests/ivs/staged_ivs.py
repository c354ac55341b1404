"""An IVS that is scripted by a test, for the rules of the channel directory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tokensvc.arns import ChannelArn
from tokensvc.errors import ChannelNotFound, IvsRefused, IvsUnavailable
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.model import Channel

WAIT_SECONDS = 10.0
"""How long a test waits for another thread before the test fails."""


def arn_of(name: str) -> ChannelArn:
    """The ARN of an example channel."""
    return ChannelArn.parse(f"arn:aws:ivs:us-west-2:123456789012:channel/{name}")


def seeded_random(seed: int = 1) -> Random:
    """Repeatable jitter."""
    return Random(seed)  # noqa: S311 - jitter is not a secret.


STAGE = arn_of("stage")
NOT_FOUND = ChannelNotFound("The channel does not exist.")
UNAVAILABLE = IvsUnavailable("The AWS credentials expired.")
DENIED = IvsRefused("Denied.", aws_code="AccessDeniedException")


class StagedIvs:
    """An IVS that answers, fails and blocks as the test sets it up.

    Attributes:
        lookups: the ARNs that were looked up separately, in order.
        calls: the ARNs of each batch lookup.
        error: the error that every lookup raises, if any.
        batch_error: the error that only batch lookups raise, if any.
        absent: the channels that do not exist, according to batch lookups.
        unanswered: the channels that are missing from the answers of batch lookups.
        on_lookup: called during each lookup.
    """

    def __init__(self) -> None:
        self.lookups: list[ChannelArn] = []
        self.calls: list[Sequence[ChannelArn]] = []
        self.error: Exception | None = None
        self.batch_error: Exception | None = None
        self.absent: set[ChannelArn] = set()
        self.unanswered: set[ChannelArn] = set()
        self.on_lookup: Callable[[], object] = lambda: None

    def get_channel(self, arn: ChannelArn) -> Channel:
        """The channel; its name has the number of separate lookups so far."""
        self.lookups.append(arn)
        number = len(self.lookups)
        error = self.error
        self.on_lookup()
        if error is not None:
            raise error
        return Channel(
            arn, f"answer {number}", is_private=True, playback_url="https://e.net/x.m3u8"
        )

    def get_channels(
        self, arns: Sequence[ChannelArn]
    ) -> Mapping[ChannelArn, Channel | ChannelNotFound]:
        """The channels; their name has the number of batch lookups so far."""
        self.calls.append(tuple(arns))
        name = f"call {len(self.calls)}"
        error = self.batch_error or self.error
        self.on_lookup()
        if error is not None:
            raise error
        return {
            arn: NOT_FOUND
            if arn in self.absent
            else Channel(arn, name, is_private=True, playback_url="https://e.net/x.m3u8")
            for arn in arns
            if arn not in self.unanswered
        }


class BlockedLookup:
    """Blocks a lookup until the test lets it proceed."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.proceed = threading.Event()

    def __call__(self) -> None:
        """Report that the lookup has started, and wait."""
        self.started.set()
        assert self.proceed.wait(WAIT_SECONDS)


def wait_until(is_true: Callable[[], bool]) -> None:
    """Return when that is true."""
    give_up_at = time.monotonic() + WAIT_SECONDS
    while not is_true():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def wait_for_lookups(ivs: StagedIvs, count: int) -> None:
    """Return when that many channels were looked up separately, so that the next gets its own."""
    wait_until(lambda: len(ivs.lookups) >= count)


def wait_until_idle(directory: ChannelDirectory) -> None:
    """Return when no lookup is in flight."""
    wait_until(lambda: not directory._in_flight)


def before_and_after_refresh(directory: ChannelDirectory, arn: ChannelArn) -> tuple[str, str]:
    """The names in the answer that starts a refresh, and in the next one after the refresh."""
    before = directory.get(arn).name
    wait_until_idle(directory)
    return before, directory.get(arn).name
