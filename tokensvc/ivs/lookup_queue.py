"""The channels of one region that are to be looked up. The caller holds a lock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tokensvc.arns import ChannelArn
from tokensvc.ivs.turns import Need
from tokensvc.spans import CURRENT, Span

_ORDER: Final = (Need.URGENT, Need.ONE_OF_MANY, Need.REFRESH)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A channel to look up.

    Attributes:
        arn: the channel.
        need: whether a request may wait for it, because no answer is known that may be used, and
            whether its caller has many such channels.
        known_since: when the known answer was sent for, in monotonic seconds.
        caller_id: the caller for which it is counted, if any.
        span: of the request that wants it.
    """

    arn: ChannelArn
    need: Need
    known_since: float = -math.inf
    caller_id: str | None = None
    span: Span = field(default_factory=CURRENT.get, compare=False, repr=False)

    @property
    def is_urgent(self) -> bool:
        """Whether a request may wait for it."""
        return self.need is not Need.REFRESH


class Queue:
    """Channels in order: those of greater need first."""

    def __init__(self) -> None:
        self._by_need: dict[Need, deque[Wanted]] = {need: deque() for need in _ORDER}

    def __len__(self) -> int:
        return sum(map(len, self._by_need.values()))

    def has(self, need: Need) -> bool:
        """Whether there is one of that need."""
        return bool(self._by_need[need])

    def add(self, wanted: Iterable[Wanted]) -> None:
        """Add them at the end."""
        for each in wanted:
            self._by_need[each.need].append(each)

    def put_back(self, wanted: Sequence[Wanted]) -> None:
        """Add them at the beginning, in this order."""
        for each in reversed(wanted):
            self._by_need[each.need].appendleft(each)

    def take(self, count: int) -> Sequence[Wanted]:
        """Take the first ones, that many at most."""
        taken: list[Wanted] = []
        for queue in self._by_need.values():
            while queue and len(taken) < count:
                taken.append(queue.popleft())
        return taken


@dataclass(slots=True)
class RegionQueues:
    """What is to be done for one region.

    Attributes:
        unread: channels for which the stored answers have not been read.
        unasked: channels to ask IVS for.
        singles: channels to ask IVS for separately.
        waits_for_turn: whether a thread waits for the turn of the region.
        asking: how many threads wait for the turn or have it.
    """

    unread: Queue = field(default_factory=Queue)
    unasked: Queue = field(default_factory=Queue)
    singles: Queue = field(default_factory=Queue)
    waits_for_turn: bool = False
    asking: int = 0

    def __len__(self) -> int:
        return len(self.unread) + len(self.unasked) + len(self.singles)

    @property
    def has_unasked(self) -> bool:
        """Whether IVS is to be asked for a channel."""
        return bool(self.unasked) or bool(self.singles)

    def need(self) -> Need:
        """What a turn is needed for: the greatest need."""
        for need in _ORDER:
            if self.unasked.has(need) or self.singles.has(need):
                return need
        return Need.NOTHING
