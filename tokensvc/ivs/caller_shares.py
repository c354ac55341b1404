"""Leaves the rate of IVS to all callers: one with many unknown channels gets its share.

IVS allows an account few calls a second in a region (see `shared_turns`). A caller whose grants
cover every channel could use them up with channels that do not exist. So each lookup of an unknown
channel counts for the caller that requested it, unless its answer was stored already.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tokensvc.clock import Clock
from tokensvc.errors import RateLimited
from tokensvc.ivs.turns import Need
from tokensvc.rates import Fleet, Rate, RateLimiter

BURST: Final = 200
"""How many lookups each process allows one caller at once: those of two batches. It does not depend
on the number of processes, because a batch is served by one."""

LIMIT: Final = "new_channels"
"""The identifier of this limit."""

FEW: Final = 20
"""So many lookups of a caller come before those of callers that have more, in the whole fleet."""


@dataclass(frozen=True, slots=True)
class CallerShares:
    """The shares of all callers, for all threads of a process."""

    limiter: RateLimiter
    clock: Clock

    @classmethod
    def of(cls, new_channels_per_second: int, fleet: Fleet, clock: Clock) -> CallerShares:
        """Shares of that many channels a second for each caller, in the whole fleet."""
        rate = Rate(LIMIT, new_channels_per_second, 1, BURST, least_burst=BURST)
        return cls(RateLimiter(rate, fleet), clock)

    def take(self, caller_id: str) -> Need:
        """Count a lookup for that caller, and return its need.

        Raises:
            RateLimited: the caller has used up its share.
        """
        standing = self.limiter.take(caller_id, self.clock.monotonic())
        if not standing.is_allowed:
            raise RateLimited(
                "This caller requests too many channels that the service does not know yet.",
                hint="Request only channels that exist, and try again after"
                " `retry_after_seconds`. An operator can raise limits.new_channels_per_second.",
                retry_after_seconds=math.ceil(standing.retry_seconds),
                audit_rule=LIMIT,
            )
        return Need.URGENT if standing.left >= BURST - FEW else Need.ONE_OF_MANY

    def give_back(self, caller_id: str) -> None:
        """Undo the count of a lookup that did not need IVS."""
        self.limiter.give_back(caller_id)
