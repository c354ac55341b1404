"""The revocations that one region of Amazon IVS still has to answer for, and when to call it next.

`RevocationQueue` decides and calls nothing; `revoke_queued` makes the calls. Three rules:

1. A call has at most 20 viewers, and there are at most two calls a second (IVS: service-quotas).
2. One revocation for each viewer of a channel: of several, the one with the highest version.
3. What fails for a moment goes to the end and is tried again, after a pause that doubles. After
   `MAX_CALLS_WITHOUT_PROGRESS` calls that revoked nothing, the rest is left for later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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

    def __init__(self, revocations: Iterable[Revocation]) -> None:
        self._versions: dict[Viewer, int] = {}
        for revocation in revocations:
            viewer, version = revocation.viewer, revocation.versions_up_to
            self._versions[viewer] = max(version, self._versions.get(viewer, version))
        self._failures: dict[Viewer, NotRevoked] = {}
        self._calls_with_failures = 0
        self._calls_without_progress = 0

    def __len__(self) -> int:
        """How many revocations are left."""
        return len(self._versions)

    @property
    def left(self) -> tuple[Revocation, ...]:
        """The revocations that IVS has neither accepted nor refused."""
        return tuple(Revocation(*item) for item in self._versions.items())

    @property
    def failures_left(self) -> tuple[NotRevoked, ...]:
        """The latest failures of those that are left and have failed."""
        return tuple(self._failures.values())

    @property
    def is_stuck(self) -> bool:
        """Whether the latest calls all failed, so that the rest is left for later."""
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
        items = islice(self._versions.items(), MAX_VIEWERS_PER_CALL)
        return tuple(Revocation(*item) for item in items)

    def answered(self, batch: Sequence[Revocation], failures: Iterable[NotRevoked]) -> Answer:
        """Note IVS's answer to the call with that batch."""
        failed = {failure.viewer: failure for failure in failures}
        again = [
            revocation
            for revocation in batch
            if revocation.viewer in failed and failed[revocation.viewer].is_temporary
        ]
        for revocation in batch:
            del self._versions[revocation.viewer]
            self._failures.pop(revocation.viewer, None)
        for revocation in again:
            self._versions[revocation.viewer] = revocation.versions_up_to
            self._failures[revocation.viewer] = failed[revocation.viewer]
        self._calls_with_failures = self._calls_with_failures + 1 if again else 0
        is_progress = len(again) < len(batch)
        self._calls_without_progress = 0 if is_progress else self._calls_without_progress + 1
        return Answer(
            tuple(revocation for revocation in batch if revocation.viewer not in failed),
            tuple(
                failed[revocation.viewer]
                for revocation in batch
                if revocation.viewer in failed and not failed[revocation.viewer].is_temporary
            ),
        )

    def throttled(self) -> None:
        """Note that IVS has refused a whole call because there were too many."""
        self._calls_with_failures += 1
        self._calls_without_progress += 1


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
            queue.throttled()
            if queue.is_stuck:
                raise
            continue
        yield queue.answered(batch, failures)
