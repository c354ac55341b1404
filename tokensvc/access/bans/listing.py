"""How bans are listed, for programs and in pages: the newest first."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

from tokensvc.access.bans.model import FOREVER, Ban, line_passes_at
from tokensvc.clock import rfc3339
from tokensvc.errors import InvalidRequest, Problem

_CURSOR: Final = re.compile(r"([0-9]{1,12})-([0-9a-f]{16})", re.ASCII)


Kind = Literal["kick", "ban", "closed_channel"]
State = Literal["active", "lifted", "ended"]


def kind_of(ban: Ban) -> Kind:
    """`kick`, `ban` or `closed_channel`."""
    if ban.is_kick:
        return "kick"
    return "closed_channel" if ban.is_of_channel else "ban"


def state_of(ban: Ban, now: float) -> State:
    """`active` while it refuses something, `lifted`, or `ended`."""
    if ban.lifted_at is not None:
        return "lifted"
    if ban.is_active(now) or (ban.is_kick and int(now) <= ban.line):
        return "active"
    return "ended"


def members_of(ban: Ban, now: float) -> dict[str, object]:
    """The members that programs see."""
    has_end = ban.banned_until is not None and ban.banned_until < FOREVER
    return {
        "ban_id": ban.ban_id,
        "kind": kind_of(ban),
        "state": state_of(ban, now),
        "viewer_ids": list(ban.viewer_ids),
        "channel_arn": None if ban.channel_arn is None else str(ban.channel_arn),
        "banned_until": rfc3339(ban.banned_until or 0) if has_end else None,
        "line_passes_at": rfc3339(line_passes_at(ban.line)) if ban.line else None,
        "is_pending_at_ivs": ban.unconfirmed,
        "channels_left": list(map(str, ban.channels_left)),
        "made_at": rfc3339(ban.made_at),
        "made_by": ban.made_by,
        "note": ban.note,
        "lifted_at": None if ban.lifted_at is None else rfc3339(ban.lifted_at),
        "lifted_by": ban.lifted_by or None,
    }


@dataclass(frozen=True, slots=True)
class Query:
    """Which bans are asked for.

    Attributes:
        viewer_id: only those of this viewer, if given.
        channel: only those on the channel with this ARN, and those on all channels, if given.
        include_ended: also those that refuse nothing any more, and that IVS has confirmed.
    """

    viewer_id: str | None = None
    channel: str | None = None
    include_ended: bool = False

    def matches(self, ban: Ban, now: float) -> bool:
        """Whether the ban is asked for."""
        return (
            (self.viewer_id is None or self.viewer_id in ban.viewer_ids)
            and (
                self.channel is None
                or ban.channel_arn is None
                or str(ban.channel_arn) == self.channel
            )
            and (self.include_ended or not ban.is_over(now))
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A page of bans, the newest first.

    Attributes:
        bans: the bans.
        next: the cursor of the next page; None if this is the last one.
    """

    bans: Sequence[Ban]
    next: str | None

    @classmethod
    def of(cls, bans: Iterable[Ban], *, limit: int, after: str | None) -> Self:
        """The first `limit` bans after that cursor. Bans that are made meanwhile shift nothing.

        Raises:
            InvalidRequest: when the cursor is not one that a page has given.
        """
        if after is not None:
            before = _position(after)
            bans = (ban for ban in bans if _order(ban) < before)
        listed = heapq.nlargest(limit + 1, bans, key=_order)
        page = listed[:limit]
        return cls(page, _cursor(page[-1]) if len(listed) > limit else None)


def newest_first(bans: Iterable[Ban]) -> Sequence[Ban]:
    """All these bans."""
    return sorted(bans, key=_order, reverse=True)


def _order(ban: Ban) -> tuple[int, str]:
    return ban.made_at, ban.ban_id


def _cursor(ban: Ban) -> str:
    return f"{ban.made_at}-{ban.ban_id}"


def _position(cursor: str) -> tuple[int, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        message = "after is not the `next` of a page."
        raise InvalidRequest(
            message,
            hint="Request the first page without `after`.",
            problems=(Problem("after", "cursor", message),),
        )
    return int(match[1]), match[2]
