"""What a client that asks for a banned viewer gets: a part of the table of problems."""

from __future__ import annotations

import dataclasses

from tests.web import provoking
from tests.web.problem_shape import Text, problem
from tests.web.provoking import Provoke
from tokensvc.access.bans.model import Ban
from tokensvc.arns import ChannelArn

BANNED_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/banned"
CLOSED_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/closed"
FAR_AHEAD = 4_102_444_800


def ban(viewer_ids: tuple[str, ...], channel_arn: ChannelArn | None) -> Ban:
    """A ban that lasts, made in the year 2100."""
    return Ban(
        ban_id=" ".join(viewer_ids) or "closed",
        viewer_ids=viewer_ids,
        channel_arn=channel_arn,
        made_at=FAR_AHEAD,
        made_by="mod",
        note="",
        banned_until=FAR_AHEAD + 3_600,
        line=FAR_AHEAD,
        unconfirmed=False,
    )


KICK = dataclasses.replace(ban(("kicked",), None), ban_id="kick", banned_until=None)
BANS: list[tuple[Provoke, Text]] = [
    (
        provoking.post_when_banned(ban(("banned",), None), channel=BANNED_ARN, viewer_id="banned"),
        problem(
            "viewer_banned",
            "The viewer is banned on all channels.",
            "An operator or a moderator can lift the ban.",
            ("viewer_id", "viewer_banned", "The viewer is banned on all channels."),
        ),
    ),
    (
        provoking.post_when_banned(
            ban(("banned-here",), ChannelArn.parse(BANNED_ARN)),
            channel=BANNED_ARN,
            viewer_id="banned-here",
        ),
        problem(
            "viewer_banned",
            "The viewer is banned on this channel.",
            "An operator or a moderator can lift the ban.",
            ("viewer_id", "viewer_banned", "The viewer is banned on this channel."),
        ),
    ),
    (
        provoking.post_when_banned(
            ban((), ChannelArn.parse(CLOSED_ARN)), channel=CLOSED_ARN, viewer_id="anyone"
        ),
        problem(
            "viewer_banned",
            "The channel is closed for everyone.",
            "An operator or a moderator can open it.",
            ("channel", "channel_closed", "The channel is closed for everyone."),
        ),
    ),
    (
        provoking.post_when_banned(KICK, channel=BANNED_ARN, viewer_id="kicked"),
        problem(
            "viewer_revoked",
            "The sessions of this viewer were revoked a moment ago.",
            "Try again after `retry_after_seconds`, which begins a new session.",
            (
                "viewer_id",
                "viewer_revoked",
                "The sessions of this viewer were revoked a moment ago.",
            ),
        ),
    ),
]
