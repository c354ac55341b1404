"""What a moderator does with a viewer: kick, ban, lift. The backend has an API key for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from demo.service_client import ServiceClient
from demo.viewers import Viewer

BAN_SECONDS = 3_600


class Action(StrEnum):
    """What a moderator does."""

    KICK = "kick"
    BAN = "ban"
    LIFT = "lift"


def moderate(
    tokensvc: ServiceClient, action: Action, viewer: Viewer, *, channel: str, issuer_url: str
) -> Mapping[str, Any]:
    """Do it on the channel, and return what tokensvc answered.

    Args:
        tokensvc: calls tokensvc with an API key that has the scope `moderate`.
        action: what to do.
        viewer: with whom.
        channel: the channel's name in the settings of tokensvc.
        issuer_url: the identity provider.

    Raises:
        Refusal: tokensvc refused.
    """
    if action is Action.LIFT:
        bans = tokensvc.get("/v1/bans")["bans"]
        lifted = [
            tokensvc.delete(f"/v1/bans/{ban['ban_id']}")
            for ban in bans
            if (ban["note"], ban["kind"], ban["state"]) == (viewer.value, "ban", "active")
        ]
        return {"lifted": lifted}
    body = {
        "channel": channel,
        "note": viewer.value,  # By which the ban is found again, to lift it.
        "ban_seconds": BAN_SECONDS if action is Action.BAN else None,
        **viewer.members(issuer_url),
    }
    return tokensvc.post("/v1/viewer-session-revocations", body)
