"""Which events are notified: the transitions of a ring, and what a run could not do. Pure.

A transition is notified once, whoever made it: the notifications are derived from the ring's own
history, up to a mark, so that a crash between a step and its report loses none. A ring that waits
or fails is notified when that begins or its reason changes, again every day, and when it is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tokensvc.arns import Region
from tokensvc.errors import IvsUnavailable, RotationRefused, StateConflict, TokensvcError
from tokensvc.keyring.model import KeyState, Ring, Transition
from tokensvc.keyring.reporting.record import Announced, Mark, Notification
from tokensvc.keyring.rotation_requests import RotationPause
from tokensvc.keyring.steps import Done, WaitUntil

REPEAT_SECONDS: Final = 86_400
"""The interval at which it is notified again that a region waits or fails."""

FIRST_REPORT_SECONDS: Final = 86_400
"""How far back the history is reported when none of it was reported before."""


class NotificationType(StrEnum):
    """The kinds of event; the values are the identifiers that programs see."""

    KEY_ROTATED = "key_rotated"
    KEY_REMOVED = "key_removed"
    KEY_COMPROMISED = "key_compromised"
    COMPROMISED_KEY_REMOVED = "compromised_key_removed"
    ROTATION_WAITING = "rotation_waiting"
    ROTATION_PAUSED = "rotation_paused"
    ROTATION_REFUSED = "rotation_refused"
    REGION_UNREACHABLE = "region_unreachable"
    RECONCILE_FAILED = "reconcile_failed"
    RECONCILE_RECOVERED = "reconcile_recovered"
    TEST = "test"


_REMOVED = NotificationType.COMPROMISED_KEY_REMOVED
_FAILURES = frozenset(
    {
        NotificationType.ROTATION_REFUSED,
        NotificationType.REGION_UNREACHABLE,
        NotificationType.RECONCILE_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class RegionEnd:
    """How a run ended in one region: `error`, or `upcoming`.

    Attributes:
        region: the region.
        upcoming: until when nothing is due; None after an error.
        error: why a step could not be done; None if every step that was due was done.
        pause: the pause of scheduled rotation, if a scheduled rotation would be due without it.
    """

    region: Region
    upcoming: WaitUntil | Done | None = None
    error: TokensvcError | None = None
    pause: RotationPause | None = None


def of_history(
    ring: Ring, mark: Mark | None, now: float
) -> tuple[Sequence[Notification], Mark | None]:
    """The notifications about what is new in the history of the ring, and the mark after it.

    Args:
        ring: the ring.
        mark: up to where its history was reported; None if it never was.
        now: Unix seconds.
    """
    history = ring.history
    if not history:
        return (), mark
    ids = [_id_of_transition(ring, line) for line in history]
    if mark is not None and mark.message_id in ids:
        new = list(range(ids.index(mark.message_id) + 1, len(history)))
    else:
        # The marked line was dropped from a long history, or it is not in a restored one.
        after = now - FIRST_REPORT_SECONDS if mark is None else mark.at
        new = [number for number, line in enumerate(history) if line.at > after]
    found = (_of_transition(ring, history, number, ids[number]) for number in new)
    latest = Mark(message_id=ids[-1], at=history[-1].at)
    return [notification for notification in found if notification is not None], latest


def of_end(
    end: RegionEnd, announced: Announced | None, now: float, by: str
) -> tuple[Sequence[Notification], Announced | None]:
    """The notifications about how a run ended, and what is then reported about the region.

    Args:
        end: how it ended.
        announced: what was reported last, while the region waits or fails.
        now: Unix seconds.
        by: who ran it, and on which host.
    """
    if isinstance(end.error, StateConflict):
        return (), announced  # Another rotator did the step; its run reports how it ended.
    notifications = []
    if announced is not None and announced.type in _FAILURES and end.error is None:
        notifications.append(_recovered(end.region, announced, now, by))
    current = _state_of(end, now, by)
    if current is None:
        return notifications, None
    latest = Announced(type=current.type, code=current.code, key_id=current.key_id, at=now)
    if announced is not None and _is_repetition(latest, announced):
        return notifications, announced
    return [*notifications, current], latest


def for_testing(now: float, by: str) -> Notification:
    """A notification about nothing, to test the receiver."""
    detail = "This is a test. Nothing has happened."
    return _notification(NotificationType.TEST, "", now, by, detail=detail)


def _of_transition(
    ring: Ring, history: Sequence[Transition], number: int, message_id: str
) -> Notification | None:
    line = history[number]
    key_id, previous_key_id, hint = line.key_id, "", ""
    compromised = {pair.key_id for pair in ring.pairs if pair.is_compromised}
    if line.from_state is line.to_state:
        kind = NotificationType.KEY_COMPROMISED
        detail = f"{key_id} was marked as compromised."
        hint = (
            f"IVS accepts its tokens until it is removed. If `{_REMOVED}` does not follow, run"
            f" `tokensvc keys reconcile --region {ring.region}`."
        )
    elif line.to_state is KeyState.ACTIVE:
        kind = NotificationType.KEY_ROTATED
        detail = f"{key_id} signs now."
        if previous_key_id := _predecessor(history, number):
            detail = f"{key_id} signs now, in place of {previous_key_id}."
            if previous_key_id not in compromised:
                hint = "If it is bad, run `tokensvc keys rollback` while the other one drains."
    elif line.to_state is KeyState.RETIRED:
        kind = NotificationType.KEY_REMOVED
        detail = f"IVS no longer holds {key_id}."
        if key_id in compromised:
            kind = _REMOVED
            detail = f"IVS no longer holds {key_id}, which is compromised: it refuses its tokens."
    else:
        return None
    return Notification(
        message_id=message_id,
        type=kind.value,
        at=line.at,
        region=ring.region,
        key_id=key_id,
        previous_key_id=previous_key_id,
        reason=line.why,
        detail=detail,
        hint=hint,
        by=line.by,
    )


def _predecessor(history: Sequence[Transition], number: int) -> str:
    """The key pair that the same switch made retiring: a switch records it in the next line."""
    line = history[number]
    for other in history[number + 1 : number + 2]:
        if other.from_state is KeyState.ACTIVE and other.at == line.at:
            return other.key_id
    return ""


def _state_of(end: RegionEnd, now: float, by: str) -> Notification | None:
    """The notification that the region waits or fails; None if nothing is left to do."""
    region = end.region
    match end:
        case RegionEnd(error=TokensvcError() as error):
            return _notification(
                _type_of(error),
                region,
                now,
                by,
                code=error.code,
                detail=error.detail,
                hint=error.hint,
            )
        case RegionEnd(pause=RotationPause() as pause):
            kind = NotificationType.ROTATION_PAUSED
            return _notification(
                kind,
                region,
                now,
                by,
                code=kind.value,
                reason=pause.reason,
                detail="A scheduled rotation is due, and is paused since a rollback by"
                f" {pause.by}.",
                hint=f"Run `tokensvc keys rotate --region {region}` to rotate and end the pause.",
            )
        case RegionEnd(upcoming=WaitUntil() as wait):
            return _notification(
                NotificationType.ROTATION_WAITING,
                region,
                now,
                by,
                key_id=wait.key_id,
                code=wait.reason.value,
                detail=f"The next step waits: {wait.why}.",
                hint=f"`tokensvc keys reconcile --region {region}` does it after that time.",
                until=wait.at,
            )
    return None


def _type_of(error: TokensvcError) -> NotificationType:
    match error:
        case RotationRefused():
            return NotificationType.ROTATION_REFUSED
        case IvsUnavailable():
            return NotificationType.REGION_UNREACHABLE
        case _:
            return NotificationType.RECONCILE_FAILED


def _recovered(region: Region, announced: Announced, now: float, by: str) -> Notification:
    return _notification(
        NotificationType.RECONCILE_RECOVERED,
        region,
        now,
        by,
        code=announced.code,
        detail="Every step that is due is done again, after an error with that code.",
    )


def _notification(
    kind: NotificationType, region: str, now: float, by: str, **members: Any
) -> Notification:
    message_id = _message_id(region, kind, repr(now), by)
    return Notification(
        message_id=message_id, type=kind.value, at=now, region=region, by=by, **members
    )


def _is_repetition(latest: Announced, earlier: Announced) -> bool:
    is_same = latest.model_copy(update={"at": earlier.at}) == earlier
    return is_same and abs(latest.at - earlier.at) < REPEAT_SECONDS


def _message_id(*identity: str) -> str:
    """The same ID for the same event, so that a receiver recognizes what it gets twice."""
    text = "\0".join(identity)
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _id_of_transition(ring: Ring, line: Transition) -> str:
    before = line.from_state or ""
    return _message_id(ring.deployment, repr(line.at), line.key_id, before, line.to_state)
