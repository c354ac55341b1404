"""The audit line of each change of a ban."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tokensvc.access.bans.model import FOREVER, Ban
from tokensvc.audit import AuditEvent
from tokensvc.token.rules import VIEWER_ID, broken_rules


def event_of(
    decision: Literal["kicked", "banned", "closed", "lifted"],
    ban: Ban,
    *,
    at: float,
    by: str,
    request_id: str | None = None,
) -> AuditEvent:
    """The line of what `by` has done at that time, in Unix seconds."""
    has_end = ban.banned_until is not None and ban.banned_until < FOREVER
    return AuditEvent(
        at=at,
        decision=decision,
        caller_id=by,
        channel_arn=None if ban.channel_arn is None else str(ban.channel_arn),
        viewer_id=_audited(ban.viewer_ids),
        session_version=ban.line or None,
        expires_at=ban.banned_until if has_end else None,
        ban_id=ban.ban_id,
        request_id=request_id,
    )


def made(ban: Ban, *, at: float, by: str, request_id: str | None = None) -> AuditEvent:
    """The line of a new kick, ban or closed channel."""
    if ban.is_kick:
        return event_of("kicked", ban, at=at, by=by, request_id=request_id)
    decision: Literal["banned", "closed"] = "closed" if ban.is_of_channel else "banned"
    return event_of(decision, ban, at=at, by=by, request_id=request_id)


def lifted(ban: Ban, *, at: float, by: str, request_id: str | None = None) -> AuditEvent:
    """The line of a ban that was lifted."""
    return event_of("lifted", ban, at=at, by=by, request_id=request_id)


def _audited(viewer_ids: Sequence[str]) -> str | None:
    """The current viewer ID. One that breaks a rule may be personal data."""
    if not viewer_ids:
        return None
    broken = broken_rules({VIEWER_ID: viewer_ids[0]}, now=0.0)
    return None if any(rule.claim == VIEWER_ID for rule in broken) else viewer_ids[0]
