"""Revoke every session of some viewers up to now, region by region.

Nothing is printed here: the result of each call to IVS is yielded as a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tokensvc.arns import Region
from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, Viewer
from tokensvc.playback.revocation.region_queue import RevocationQueue, revoke_queued


@dataclass(frozen=True, slots=True)
class RegionBegins:
    """The sessions of that many viewers of the region's channels are about to be revoked."""

    region: Region
    viewers: int


@dataclass(frozen=True, slots=True)
class BatchRevoked:
    """IVS has answered one call.

    Attributes:
        region: the region.
        number: the number of the call in the region, from 1.
        done: how many viewers IVS has answered for in this region.
        viewers: how many viewers there are in the region.
        left_seconds: how long the remaining calls take at the rate that IVS allows.
    """

    region: Region
    number: int
    done: int
    viewers: int
    left_seconds: float


@dataclass(frozen=True, slots=True)
class RegionRevoked:
    """IVS has answered for every viewer of the region.

    Attributes:
        region: the region.
        revoked: the number of viewers whose sessions are revoked.
        failures: the viewers whose sessions IVS did not revoke.
        refused_for_seconds: IVS also refuses a token of these viewers that is signed within this
            time from now.
    """

    region: Region
    revoked: int
    failures: tuple[NotRevoked, ...]
    refused_for_seconds: int


@dataclass(frozen=True, slots=True)
class RegionFailed:
    """A whole call failed. Run it again for all viewers: revoked sessions stay revoked."""

    region: Region
    error: TokensvcError


SessionEvent = RegionBegins | BatchRevoked | RegionRevoked | RegionFailed


def has_failures(event: SessionEvent) -> bool:
    """Whether the event says that the sessions of a viewer were not revoked."""
    match event:
        case RegionFailed():
            return True
        case RegionRevoked():
            return bool(event.failures)
        case _:
            return False


def revoke_sessions_of(
    viewers: Iterable[Viewer], clients: AwsClients, clock: Clock, *, clock_skew_seconds: int
) -> Iterator[SessionEvent]:
    """Revoke every session of the viewers up to now, region by region; yields each event.

    A region that fails does not stop the others.

    Args:
        viewers: the viewers, in order of region.
        clients: the AWS clients.
        clock: the time; it also waits between the calls.
        clock_skew_seconds: the largest difference between any two clocks.
    """
    for region, of_region in groupby(viewers, key=lambda viewer: viewer.channel_arn.region):
        try:
            yield from _revoke_in(
                region, tuple(of_region), clients, clock, clock_skew_seconds=clock_skew_seconds
            )
        except TokensvcError as exc:
            yield RegionFailed(region, exc)


def _revoke_in(
    region: Region,
    viewers: Sequence[Viewer],
    clients: AwsClients,
    clock: Clock,
    *,
    clock_skew_seconds: int,
) -> Iterator[SessionEvent]:
    # A worker whose clock runs ahead may just have signed: its token is of a later second.
    line = int(clock.now()) + clock_skew_seconds
    queue = RevocationQueue(Revocation(viewer, line) for viewer in viewers)
    total = len(queue)
    yield RegionBegins(region, total)
    revoked = 0
    failures: list[NotRevoked] = []
    for number, answer in enumerate(revoke_queued(queue, clients, region, clock), start=1):
        revoked += len(answer.revoked)
        failures += answer.refused
        yield BatchRevoked(region, number, total - len(queue), total, queue.left_seconds)
    failures += queue.failures_left
    yield RegionRevoked(region, revoked, tuple(failures), clock_skew_seconds)
