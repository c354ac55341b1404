"""Counts the revocations of viewers' sessions that are overdue, for `tokensvc keys doctor`."""

from __future__ import annotations

from tokensvc.access.bans.log import BanLog
from tokensvc.clock import Clock
from tokensvc.keyring.checks.checks_of_revocations import OVERDUE_SECONDS, OverdueRevocations
from tokensvc.playback.revocation.due_ends import DueEnds, due
from tokensvc.playback.revocation.lease import holder
from tokensvc.playback.revocation.watching import is_running
from tokensvc.state.base import State


def overdue_revocations(state: State, clock: Clock) -> OverdueRevocations:
    """What has waited for longer than `OVERDUE_SECONDS`.

    Raises:
        StateUnavailable, StateDamaged: when the state can't be read.
    """
    before = clock.now() - OVERDUE_SECONDS
    pending = [
        ban
        for ban in BanLog(state, clock).read().bans
        if ban.unconfirmed and ban.lifted_at is None and ban.made_at <= before
    ]
    ends = due(DueEnds(state).all(), before)
    return OverdueRevocations(len(pending), len(ends), is_running(holder(state), clock.now()))
