"""The first attempt to carry out kicks and bans: at once, and for a short time.

1. Amazon IVS is called for `PATIENCE_SECONDS`, and for at most `MAX_PAIRS` viewer IDs and channels.
2. What IVS has not confirmed by then stays pending. `tokensvc viewers end-due` carries it out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tokensvc.access.bans.model import Ban
from tokensvc.access.revocation_requests import MAX_PAIRS
from tokensvc.arns import ChannelArn, Region
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.ivs.errors import Throttled
from tokensvc.playback.revocation.loop import FRESH_BAN_SECONDS, ConfirmBan, Ivs
from tokensvc.playback.revocation.plan import RevocationPlan

PATIENCE_SECONDS: Final = 2.2
"""No call is made later. There is time for `MAX_PAIRS` in one region."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FirstAttempt:
    """Carries out kicks and bans that were just stored.

    Attributes:
        regions: the configured regions.
        ivs: the calls.
        writer: records what IVS has confirmed.
        clock: the time.
    """

    regions: Sequence[Region]
    ivs: Ivs
    writer: ConfirmBan
    clock: Clock

    def carry_out(self, bans: Iterable[Ban]) -> RevocationPlan:
        """Call IVS, and return what is pending afterwards. It raises nothing."""
        plan = RevocationPlan(self.regions)
        plan.set_bans((ban for ban in bans if ban.unconfirmed), self.clock.monotonic())
        before = plan.bans.keys()
        self._call_ivs(plan)
        pending = plan.bans.keys()
        # After the calls, which are more urgent.
        self._confirm(dict.fromkeys(before - pending, ()))
        self._confirm({ban_id: left for ban_id in pending if (left := plan.newly_left(ban_id))})
        return plan

    def expected_at(self, plan: RevocationPlan) -> float | None:
        """When another process is expected to have carried out the rest, Unix seconds.

        None if nothing is pending, or if it is not known how much.
        """
        if not plan.bans or plan.unlisted():
            return None
        longest = max((queue.left_seconds for queue in plan.queues.values()), default=0.0)
        return self.clock.now() + FRESH_BAN_SECONDS + longest

    def _call_ivs(self, plan: RevocationPlan) -> None:
        """Call IVS in each region, as long as there is time."""
        give_up_at = self.clock.monotonic() + PATIENCE_SECONDS
        left = MAX_PAIRS
        for region in dict.fromkeys((*plan.unlisted(), *plan.queues)):
            try:
                left -= self._call_region(plan, region, give_up_at, left)
            except TokensvcError as exc:
                _logger.warning("Kicks and bans in %s stay pending: %s", region, exc)

    def _call_region(
        self, plan: RevocationPlan, region: Region, give_up_at: float, max_pairs: int
    ) -> int:
        """How many pairs were sent to IVS."""
        clock, sent = self.clock, 0
        if region in plan.unlisted() and clock.monotonic() < give_up_at:
            plan.list_channels(region, self.ivs.channels(region), clock.monotonic())
        queue, pause_seconds = plan.queues[region], 0.0
        while batch := queue.next_batch()[: max_pairs - sent]:
            if clock.monotonic() + pause_seconds >= give_up_at:
                break
            clock.sleep(pause_seconds)
            try:
                failures = self.ivs.revoke(region, batch)
            except Throttled:
                queue.call_failed()
                pause_seconds = queue.pause_seconds
                continue
            sent += len(batch)
            plan.answered(region, batch, failures, clock.monotonic())
            pause_seconds = queue.pause_seconds
        return sent

    def _confirm(self, left: Mapping[str, tuple[ChannelArn, ...]]) -> None:
        """Record that each ban is confirmed but for the channels that are left.

        If that fails, it is carried out once more.
        """
        try:
            for ban_id, channels in left.items():
                self.writer.confirm(ban_id, channels)
        except TokensvcError as exc:
            _logger.warning("Can't record that IVS has revoked sessions: %s", exc)
