"""Revoke viewer sessions in IVS: playback stops, and the same token can't start it again.

IVS: private-channels-start-session-revocation. Only sessions whose token has a viewer ID can be
revoked. IVS has no operation that lists sessions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tokensvc.arns import ChannelArn, Region
from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.ivs.limits import MAX_VIEWERS_PER_CALL, REVOCATION_CALLS_PER_SECOND
from tokensvc.ivs.translation import translate_errors

_PAUSE_SECONDS = 1 / REVOCATION_CALLS_PER_SECOND


@dataclass(frozen=True, slots=True, order=True)
class Viewer:
    """A viewer of a channel: the viewer ID and the channel ARN of the token."""

    channel_arn: ChannelArn
    viewer_id: str


@dataclass(frozen=True, slots=True)
class NotRevoked:
    """A viewer whose sessions IVS did not revoke, and IVS's error code."""

    viewer: Viewer
    aws_code: str


@dataclass(frozen=True, slots=True)
class RevokedBatch:
    """The result of one call: the number of viewers in it, and those that IVS did not revoke."""

    viewers: int
    failures: tuple[NotRevoked, ...]


def revoke_sessions(
    clients: AwsClients,
    region: Region,
    viewers: Iterable[Viewer],
    clock: Clock,
    *,
    versions_up_to: int,
) -> Iterator[RevokedBatch]:
    """Revoke the sessions of the viewers, at the rate that IVS allows; yields one item per call.

    The calls are idempotent: after an error, run it again for all viewers.

    Args:
        clients: the AWS clients.
        region: the region of the viewers' channels.
        viewers: the viewers to revoke.
        clock: waits between the calls.
        versions_up_to: sessions of this version and below are revoked. IVS's default is 0, which
            revokes no session of tokensvc: their version is their token's time in unix seconds.

    Raises:
        IvsUnavailable, IvsRefused: when a whole call fails; the earlier calls have succeeded.
    """
    remaining = iter(viewers)
    client = clients.ivs(region)
    for number in itertools.count():
        batch = tuple(itertools.islice(remaining, MAX_VIEWERS_PER_CALL))
        if not batch:
            return
        if number:
            clock.sleep(_PAUSE_SECONDS)
        with translate_errors("BatchStartViewerSessionRevocation", region):
            answer = client.batch_start_viewer_session_revocation(
                viewerSessions=[
                    {
                        "channelArn": str(viewer.channel_arn),
                        "viewerId": viewer.viewer_id,
                        "viewerSessionVersionsLessThanOrEqualTo": versions_up_to,
                    }
                    for viewer in batch
                ]
            )
            # IVS answers HTTP 200 even when every part of the call has failed.
            errors = [(e["channelArn"], e["viewerId"], e.get("code", "")) for e in answer["errors"]]
        yield RevokedBatch(len(batch), _failures(errors))


def _failures(errors: Sequence[tuple[str, str, str]]) -> tuple[NotRevoked, ...]:
    return tuple(
        NotRevoked(Viewer(ChannelArn.parse(arn), viewer_id), code)
        for arn, viewer_id, code in errors
    )
