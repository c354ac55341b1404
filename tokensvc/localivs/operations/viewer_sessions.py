"""Revocation of viewer sessions: StartViewerSessionRevocation and its batch.

A revocation is a line for a viewer of a channel: sessions of that version or below stop and can't
start again (IVS: private-channels-start-session-revocation). Without a version the line is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokensvc.localivs.errors import ApiError
from tokensvc.localivs.operations.lookup import find_channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokensvc.localivs.calls import Call

DEFAULT_VERSION = 0  # botocore model: StartViewerSessionRevocationRequest


def start_revocation(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """StartViewerSessionRevocation; Local IVS completes it at once."""
    channel_arn = find_channel(call, request["channelArn"])["arn"]
    version = request.get("viewerSessionVersionsLessThanOrEqualTo", DEFAULT_VERSION)
    # The edge's own table. A line once drawn isn't drawn back: the higher version stands.
    call.connection.execute(
        "INSERT INTO viewer_revocations (channel_arn, viewer_id, versions_up_to, revoked_at)"
        " VALUES (?, ?, ?, ?)"
        " ON CONFLICT (channel_arn, viewer_id) DO UPDATE SET"
        " versions_up_to = max(versions_up_to, excluded.versions_up_to),"
        " revoked_at = excluded.revoked_at",
        (channel_arn, request["viewerId"], version, call.now),
    )
    return {}


def batch_start_revocation(call: Call, request: Mapping[str, Any]) -> dict[str, Any]:
    """BatchStartViewerSessionRevocation: what can't be revoked is told in `errors`, on a 200."""
    errors: list[dict[str, str]] = []
    for viewer_session in request["viewerSessions"]:
        try:
            start_revocation(call, viewer_session)
        except ApiError as error:
            errors.append(
                {
                    "channelArn": viewer_session["channelArn"],
                    "viewerId": viewer_session["viewerId"],
                    "code": error.error_type,
                    "message": str(error),
                }
            )
    return {"errors": errors}
