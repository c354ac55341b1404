"""The revocations that one region of Amazon IVS still has to answer for, and when to call it next.

`RevocationQueue` decides and calls nothing; `revoke_queued` makes the calls. Its rules:

1. A call has at most 20 viewers, and there are at most two calls a second (IVS: service-quotas).
2. Urgent revocations, which are kicks and bans, go before all others. But a fifth of each call is
   for the others, so that a moderator who bans very many does not keep them waiting without end.
3. One revocation for each viewer of a channel: of several, the one with the highest version.
4. What fails for a moment goes to the end and is tried again, after a pause that doubles. After
   `MAX_CALLS_WITHOUT_PROGRESS` calls that revoked nothing, the queue is stuck.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from tokensvc.arns import Region
from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.ivs.errors import Throttled
from tokensvc.ivs.limits import MAX_VIEWERS_PER_CALL, REVOCATION_CALLS_PER_SECOND
from tokensvc.ivs.viewer_sessions import NotRevoked, Revocation, Viewer, start_revocations

PAUSE_SECONDS: Final = 1 / REVOCATION_CALLS_PER_SECOND
LONGEST_PAUSE_SECONDS: Final = 8.0
MAX_CALLS_WITHOUT_PROGRESS: Final = 6
VIEWERS_FOR_OTHERS: Final = MAX_VIEWERS_PER_CALL // 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What IVS has answered to one call.

    Attributes:
        revoked: the revocations that IVS has accepted.
        refused: the viewers whose sessions IVS does not revoke; another attempt would not help.
    """

    revoked: tuple[Revocation, ...]
    refused: tuple[NotRevoked, ...]


class RevocationQueue:
    """Revocations of one region, in the order in which they are sent."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        # The versions by viewer. A dict would be slow here: it skips every item removed in front.
        self._urgent: OrderedDict[Viewer, int] = OrderedDict()
        self._others: OrderedDict[Viewer, int] = OrderedDict()
        self._failures: dict[Viewer, NotRevoked] = {}
        self._calls_with_failures = 0
        self._calls_without_progress = 0
        self.replace(revocations)

    def replace(self, urgent: Iterable[Revocation], others: Iterable[Revocation] = ()) -> None:
        """Have these revocations instead. The pauses go on."""
        self._urgent.clear()
        self._others.clear()
        self._failures.clear()
        for revocation in urgent:
            _add(self._urgent, revocation)
        for revocation in others:
            _add(self._urgent if revocation.viewer in self._urgent else self._others, revocation)

    def __len__(self) -> int:
        """How many revocations are left."""
        return len(self._urgent) + len(self._others)

    @property
    def left(self) -> tuple[Revocation, ...]:
        """The revocations that IVS has neither accepted nor refused."""
        return tuple(self._in_order())

    @property
    def failures_left(self) -> tuple[NotRevoked, ...]:
        """The latest failures of those that are left and have failed."""
        return tuple(self._failures.values())

    @property
    def is_stuck(self) -> bool:
        """Whether the latest calls all failed."""
        return self._calls_without_progress >= MAX_CALLS_WITHOUT_PROGRESS

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next call."""
        return min(PAUSE_SECONDS * 2.0**self._calls_with_failures, LONGEST_PAUSE_SECONDS)

    @property
    def left_seconds(self) -> float:
        """How long the rest takes at IVS's rate, if nothing fails."""
        return math.ceil(len(self) / MAX_VIEWERS_PER_CALL) * PAUSE_SECONDS

    def next_batch(self) -> tuple[Revocation, ...]:
        """The revocations of the next call; none when nothing is left."""
        urgent = MAX_VIEWERS_PER_CALL - min(len(self._others), VIEWERS_FOR_OTHERS)
        items = chain(islice(self._urgent.items(), urgent), self._others.items())
        return tuple(
            Revocation(viewer, version) for viewer, version in islice(items, MAX_VIEWERS_PER_CALL)
        )

    def answered(self, batch: Sequence[Revocation], failures: Iterable[NotRevoked]) -> Answer:
        """Note IVS's answer to the call with that batch."""
        failed = {failure.viewer: failure for failure in failures}
        again = 0
        for revocation in batch:
            failure = failed.get(revocation.viewer)
            if failure is not None and failure.is_temporary:
                again += 1
                self._put_last(revocation, failure)
            else:
                self._remove(revocation)
        self._note_call(has_failed=again > 0, is_progress=again < len(batch))
        return Answer(
            tuple(one for one in batch if one.viewer not in failed),
            tuple(one for one in failed.values() if not one.is_temporary),
        )

    def call_failed(self) -> None:
        """Note that a whole call has failed."""
        self._note_call(has_failed=True, is_progress=False)

    def _note_call(self, *, has_failed: bool, is_progress: bool) -> None:
        # Not counted further: a region may be away for days.
        failures = min(self._calls_with_failures + 1, MAX_CALLS_WITHOUT_PROGRESS)
        self._calls_with_failures = failures if has_failed else 0
        self._calls_without_progress = 0 if is_progress else self._calls_without_progress + 1

    def _in_order(self) -> Iterator[Revocation]:
        items = chain(self._urgent.items(), self._others.items())
        return (Revocation(viewer, version) for viewer, version in items)

    def _level_of(self, viewer: Viewer) -> OrderedDict[Viewer, int]:
        return self._urgent if viewer in self._urgent else self._others

    def _remove(self, sent: Revocation) -> None:
        """Remove it, unless a higher version was asked for while the call was made."""
        level = self._level_of(sent.viewer)
        if level.get(sent.viewer, math.inf) <= sent.versions_up_to:
            del level[sent.viewer]
        self._failures.pop(sent.viewer, None)

    def _put_last(self, sent: Revocation, failure: NotRevoked) -> None:
        level = self._level_of(sent.viewer)
        if sent.viewer in level:  # Otherwise it was taken back while the call was made.
            level.move_to_end(sent.viewer)
            self._failures[sent.viewer] = failure


def revoke_queued(
    queue: RevocationQueue,
    clients: AwsClients,
    region: Region,
    clock: Clock,
    *,
    give_up_at: float = math.inf,
) -> Iterator[Answer]:
    """Call IVS until nothing is left, and yield each answer. What is left at the end is pending.

    Args:
        queue: the revocations. Each answer is noted there before it is yielded.
        clients: the AWS clients.
        region: the region of all the channels.
        clock: waits between the calls.
        give_up_at: no call is made from that time on, in monotonic seconds.

    Raises:
        IvsUnavailable, IvsRefused: when a whole call fails; what was answered stays noted.
    """
    is_first = True
    while (batch := queue.next_batch()) and not queue.is_stuck:
        pause_seconds = 0.0 if is_first else queue.pause_seconds
        if clock.monotonic() + pause_seconds >= give_up_at:
            return
        if not is_first:
            clock.sleep(pause_seconds)
        is_first = False
        try:
            failures = start_revocations(clients, region, batch)
        except Throttled:
            queue.call_failed()
            if queue.is_stuck:
                raise
            continue
        yield queue.answered(batch, failures)


def _add(level: OrderedDict[Viewer, int], revocation: Revocation) -> None:
    version = revocation.versions_up_to
    level[revocation.viewer] = max(version, level.get(revocation.viewer, version))
