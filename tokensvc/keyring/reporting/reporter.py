"""Record how the runs of `keys reconcile` ended, and send what is to be notified.

Nothing here fails a run: a record that can't be saved and a notification that can't be sent are
logged. After each run, sending takes at most `SENDING_SECONDS` and the attempts of one
notification; what is left is sent after the next run, for three days.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from tokensvc.arns import Region
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.lookup import ReadRing
from tokensvc.keyring.model import Ring
from tokensvc.keyring.reporting.notifications import RegionEnd, of_end, of_history
from tokensvc.keyring.reporting.record import (
    MAX_PENDING,
    DeliveryFailure,
    Notification,
    ReconcileRecord,
    RecordStore,
    RegionRecord,
)

SENDING_SECONDS: Final = 10.0
"""No notification is begun later than that after the first one of a run."""

KEPT_SECONDS: Final = 3 * 86_400
"""For how long a notification is sent again that the receiver does not accept."""

_logger = logging.getLogger(__name__)


class Receives(Protocol):
    """Accepts notifications, such as `tokensvc.webhooks.Receiver`."""

    def send(self, message_id: str, content: Mapping[str, object]) -> None:
        """Return when the message is accepted. Raises NotificationFailed."""
        ...


def content_of(notification: Notification) -> Mapping[str, object]:
    """The body of the message: the members that Standard Webhooks recommends."""
    return {
        "type": notification.type,
        "timestamp": rfc3339(notification.at),
        "data": notification.data(),
    }


OnState = Callable[[Notification], None]
"""Gets a notification that a region waits or fails, or that this is over."""


def ignore_notification(_: Notification) -> None:
    """For a caller that needs no audit."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """Reports the runs of one command or job.

    Attributes:
        store: the record in the state.
        read_ring: returns a region's stored ring; raises TokensvcError.
        clock: the time.
        by: who runs it, and on which host.
        is_scheduled: whether it is a schedule, whose absence is to be noticed.
        open_receiver: returns the receiver; raises SettingsInvalid. None without a receiver.
        on_state: gets each notification that a region waits or fails, or that this is over.
    """

    store: RecordStore
    read_ring: ReadRing
    clock: Clock
    by: str
    is_scheduled: bool
    open_receiver: Callable[[], Receives] | None = None
    on_state: OnState = ignore_notification

    def report(self, ends: Sequence[RegionEnd]) -> None:
        """Record how a run ended in each region, and send the notifications."""
        try:
            rings = {end.region: self._ring(end.region) for end in ends}
            pending = self._record(ends, rings)
            if self.open_receiver is not None and pending:
                self._send(pending, self.open_receiver)
        except TokensvcError as exc:
            _logger.warning("This run is not recorded, and nothing is notified: %s", exc.detail)

    def _ring(self, region: Region) -> Ring | None:
        with suppress(TokensvcError):  # The run has reported that the ring can't be read.
            return self.read_ring(region)
        return None

    def _record(
        self, ends: Sequence[RegionEnd], rings: Mapping[Region, Ring | None]
    ) -> Sequence[Notification]:
        """Save the record. Returns every notification that is to be sent."""
        now = self.clock.now()
        states: list[Notification] = []

        def with_ends(record: ReconcileRecord) -> ReconcileRecord:
            states.clear()
            for end in ends:
                record = self._with_end(record, end, rings[end.region], now, states)
            return record if self.open_receiver else record.with_nothing_to_send()

        record = self.store.update(with_ends)
        for notification in states:
            self.on_state(notification)
        if len(record.pending) == MAX_PENDING:
            _logger.warning("%d notifications wait. Each new one replaces the oldest.", MAX_PENDING)
        return record.pending

    def _with_end(
        self,
        record: ReconcileRecord,
        end: RegionEnd,
        ring: Ring | None,
        now: float,
        states: list[Notification],
    ) -> ReconcileRecord:
        code = "" if end.error is None else end.error.code
        before = record.region(end.region) or RegionRecord(attempted_at=now, by=self.by, code=code)
        changes, mark = ((), before.mark) if ring is None else of_history(ring, before.mark, now)
        of_state, announced = of_end(end, before.announced, now, self.by)
        states += of_state
        since = before.scheduled_since
        after = before.model_copy(
            update={
                "attempted_at": now,
                "by": self.by,
                "code": code,
                "succeeded_at": now if end.error is None else before.succeeded_at,
                "scheduled_since": now if since is None and self.is_scheduled else since,
                "announced": announced,
                "mark": mark,
            }
        )
        return record.with_region(end.region, after, [*changes, *of_state])

    def _send(self, pending: Sequence[Notification], open_receiver: Callable[[], Receives]) -> None:
        """Send in order, until one is not accepted or the time is over, and save what was sent."""
        began, now = self.clock.monotonic(), self.clock.now()
        done: set[str] = set()
        failure: DeliveryFailure | None = None
        try:
            receiver = open_receiver()
            for notification in pending:
                if self.clock.monotonic() - began > SENDING_SECONDS:
                    break
                receiver.send(notification.message_id, content_of(notification))
                done.add(notification.message_id)
        except TokensvcError as exc:
            _logger.warning("Notifications wait: %d. %s", len(pending) - len(done), exc)
            failure = DeliveryFailure(since=now, at=now, detail=exc.detail, hint=exc.hint)
        for notification in pending:
            if notification.message_id not in done and now - notification.at > KEPT_SECONDS:
                _logger.error(
                    "The notification %s (%s of %s) was not accepted for 3 days, and is given up.",
                    notification.message_id,
                    notification.type,
                    rfc3339(notification.at),
                )
                done.add(notification.message_id)
        self.store.update(lambda record: record.without(done).with_delivery_failure(failure))
