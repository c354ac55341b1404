"""Who may be named in a request to revoke viewers' sessions."""

from __future__ import annotations

from collections.abc import Iterable

from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.model import Ban, Target
from tokensvc.errors import InvalidRequest, Problem
from tokensvc.token.rules import VIEWER_ID, broken_rules


def require_viewer_id(viewer_id: str) -> str:
    """The viewer ID, which IVS accepts. One that no new token may have can be revoked too.

    Raises:
        InvalidRequest: when no token can have it.
    """
    problems = tuple(
        Problem("viewer_id", broken.rule, broken.message)
        for broken in broken_rules({VIEWER_ID: viewer_id}, now=0.0)
        if broken.claim == VIEWER_ID and broken.enforced_by_ivs
    )
    if problems:
        raise InvalidRequest(problems[0].message, problems=problems)
    return viewer_id


class PendingBans:
    """Finds a pending kick or ban, to go on with it instead of making another one."""

    def __init__(self, book: BanBook, now: float) -> None:
        self._bans = {
            _key(ban.viewer_ids, ban): ban
            for ban in book.bans
            if ban.unconfirmed and ban.lifted_at is None and (ban.is_kick or ban.is_active(now))
        }

    def find(self, target: Target, *, is_kick: bool) -> Ban | None:
        """The pending kick, or the pending ban, of exactly that target."""
        return self._bans.get((frozenset(target.viewer_ids), target.channel_arn, is_kick))


def _key(viewer_ids: Iterable[str], ban: Ban) -> tuple[frozenset[str], object, bool]:
    return frozenset(viewer_ids), ban.channel_arn, ban.is_kick
