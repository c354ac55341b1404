"""The channels of one region that are to be looked up. The caller holds a lock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tokensvc.arns import ChannelArn
from tokensvc.ivs.turns import Need


@dataclass(frozen=True, slots=True)
class Wanted:
    """A channel to look up.

    Attributes:
        arn: the channel.
        is_urgent: whether a request may wait for it, because no answer is known that may be used.
        known_since: when the known answer was sent for, in monotonic seconds.
    """

    arn: ChannelArn
    is_urgent: bool
    known_since: float = -math.inf


class Queue:
    """Channels in order, the urgent ones first."""

    def __init__(self) -> None:
        self._urgent: deque[Wanted] = deque()
        self._others: deque[Wanted] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    @property
    def has_urgent(self) -> bool:
        """Whether a request may wait for one of them."""
        return bool(self._urgent)

    def add(self, wanted: Iterable[Wanted]) -> None:
        """Add them at the end."""
        for each in wanted:
            (self._urgent if each.is_urgent else self._others).append(each)

    def put_back(self, wanted: Sequence[Wanted]) -> None:
        """Add them at the beginning, in this order."""
        for each in reversed(wanted):
            (self._urgent if each.is_urgent else self._others).appendleft(each)

    def take(self, count: int) -> Sequence[Wanted]:
        """Take the first ones, that many at most."""
        taken: list[Wanted] = []
        for queue in (self._urgent, self._others):
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
        """What a turn is needed for."""
        if self.unasked.has_urgent or self.singles.has_urgent:
            return Need.URGENT
        return Need.REFRESH if self.has_unasked else Need.NOTHING
