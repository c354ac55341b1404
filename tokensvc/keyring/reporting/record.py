"""The record of the reconcile runs in the state: when they succeeded last, and what to send.

One document for all regions. `keys reconcile` writes it, web workers and `keys doctor` read it. It
is an outbox too: a notification is saved in it, in one save with what it is about, before it is
sent, and removed after the receiver has accepted it. So a crash loses none, and may send one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from tokensvc.arns import Region
from tokensvc.clock import rfc3339
from tokensvc.errors import StateConflict
from tokensvc.state.base import NEW, Document, State
from tokensvc.state.schema import CURRENT, members_of

DOCUMENT_NAME: Final = "reconcile"
MAX_PENDING: Final = 100
"""How many notifications wait for a receiver that does not accept them. The oldest are dropped."""

_MAX_CONFLICTS = 10


class _Part(BaseModel):
    """A part of the document. A newer release may add members."""

    model_config = ConfigDict(frozen=True, strict=True)


class Notification(_Part):
    """One event, as it is sent to the receiver. It has no secret.

    Attributes:
        message_id: identifies it: the receiver may get it more than once.
        type: the kind of event; the values are the identifiers that programs see.
        at: when it happened, Unix seconds.
        region: the region; empty for a test.
        key_id: the key pair that it is about; empty if it is not about one.
        previous_key_id: the key pair that signed before; empty if none did, or nothing changed.
        code: the stable code of the reason why something is not done; empty otherwise.
        reason: why it was done, as `tokensvc keys history` prints it; empty otherwise.
        detail: what happened, for people.
        hint: what to run or change; empty if nothing.
        until: until when the ring waits, Unix seconds.
        by: who did it, or who noticed it: the operator or job, and its host.
    """

    message_id: str
    type: str
    at: float
    region: str
    key_id: str = ""
    previous_key_id: str = ""
    code: str = ""
    reason: str = ""
    detail: str
    hint: str = ""
    until: float | None = None
    by: str

    def data(self) -> dict[str, str | None]:
        """The members that programs see, with null for what is empty."""
        texts = {
            "region": self.region,
            "key_id": self.key_id,
            "previous_key_id": self.previous_key_id,
            "code": self.code,
            "reason": self.reason,
            "detail": self.detail,
            "hint": self.hint,
            "until": "" if self.until is None else rfc3339(self.until),
            "by": self.by,
        }
        return {name: text or None for name, text in texts.items()}


class Announced(_Part):
    """What was reported last about a region that waits or fails, so that it is not repeated."""

    type: str
    code: str
    key_id: str
    at: float


class Mark(_Part):
    """The latest transition in the history of a ring that was reported, by its message ID."""

    message_id: str
    at: float


class RegionRecord(_Part):
    """The record of one region.

    Attributes:
        attempted_at: when the last run ended, Unix seconds.
        by: who ran it, and on which host.
        code: the code of its error; empty if it succeeded.
        succeeded_at: when the last run ended that did every step that was due.
        scheduled_since: when the first scheduled run ended; None when there was none.
        announced: what was reported last, while the region waits or fails.
        mark: up to where the history of the ring was reported.
    """

    attempted_at: float
    by: str
    code: str
    succeeded_at: float | None = None
    scheduled_since: float | None = None
    announced: Announced | None = None
    mark: Mark | None = None

    def overdue_seconds(self, now: float, allowed_seconds: float) -> float | None:
        """For how long no run has succeeded, if that is too long and a schedule was ever used.

        A time in the future is of a clock that was wrong, and says as little as an old one.

        Args:
            now: Unix seconds.
            allowed_seconds: how long no run need succeed; 0 for any time.
        """
        if self.scheduled_since is None or not allowed_seconds:
            return None
        since = self.scheduled_since if self.succeeded_at is None else self.succeeded_at
        age_seconds = abs(now - since)
        return age_seconds if age_seconds > allowed_seconds else None


class DeliveryFailure(_Part):
    """The receiver does not accept notifications.

    Attributes:
        since: when that began, Unix seconds.
        at: when sending failed last.
        detail: why, as a sentence.
        hint: what to change.
    """

    since: float
    at: float
    detail: str
    hint: str


class ReconcileRecord(_Part):
    """The document.

    Attributes:
        regions: the record of each region.
        pending: the notifications that the receiver has not accepted yet, oldest first.
        delivery_failure: why that is so, if sending has failed.
    """

    regions: Mapping[str, RegionRecord] = {}
    pending: tuple[Notification, ...] = ()
    delivery_failure: DeliveryFailure | None = None

    def region(self, region: Region) -> RegionRecord | None:
        """The record of that region; None when no run has ended yet."""
        return self.regions.get(region)

    def with_region(
        self, region: Region, of_region: RegionRecord, pending: Collection[Notification]
    ) -> ReconcileRecord:
        """The record with that region's, and with further notifications to send."""
        return self.model_copy(
            update={
                "regions": {**self.regions, region: of_region},
                "pending": (*self.pending, *pending)[-MAX_PENDING:],
            }
        )

    def without(self, message_ids: Collection[str]) -> ReconcileRecord:
        """The record without those notifications."""
        left = tuple(one for one in self.pending if one.message_id not in message_ids)
        return self.model_copy(update={"pending": left})

    def with_nothing_to_send(self) -> ReconcileRecord:
        """The record of a deployment without a receiver."""
        return self.model_copy(update={"pending": (), "delivery_failure": None})

    def with_delivery_failure(self, failure: DeliveryFailure | None) -> ReconcileRecord:
        """The record with the newest failure; one that goes on keeps the time when it began."""
        if failure is not None and self.delivery_failure is not None:
            failure = failure.model_copy(update={"since": self.delivery_failure.since})
        return self.model_copy(update={"delivery_failure": failure})

    def encode(self) -> str:
        """The JSON text of the document."""
        return _Stored(schema_version=CURRENT, **dict(self)).model_dump_json(exclude_defaults=True)

    @staticmethod
    def decode(document: Document | None) -> ReconcileRecord:
        """The record in that document; an empty one when it was never saved.

        Raises:
            StateDamaged: when the document is not valid.
            SchemaUnsupported: when a newer release wrote it.
        """
        if document is None:
            return ReconcileRecord()
        return members_of(document, ReconcileRecord, name=DOCUMENT_NAME)


class _Stored(ReconcileRecord):
    schema_version: int


class RecordStore:
    """Loads the record, and changes it by compare-and-set."""

    def __init__(self, state: State) -> None:
        self._state = state

    def load(self) -> ReconcileRecord:
        """The record.

        Raises:
            StateUnavailable, StateDamaged: when it can't be read.
        """
        return ReconcileRecord.decode(self._state.load(DOCUMENT_NAME))

    def update(self, change: Callable[[ReconcileRecord], ReconcileRecord]) -> ReconcileRecord:
        """The record after that change, which is repeated when another process saves first.

        Raises:
            StateUnavailable, StateDamaged: when it can't be read or written.
            StateConflict: when other processes save first again and again.
        """
        for _ in range(_MAX_CONFLICTS):
            document = self._state.load(DOCUMENT_NAME)
            before = ReconcileRecord.decode(document)
            after = change(before)
            if after == before:
                return after
            try:
                version = NEW if document is None else document.version
                self._state.save(DOCUMENT_NAME, after.encode(), replacing=version)
            except StateConflict:
                continue
            return after
        raise StateConflict(
            f"Other processes save the document `{DOCUMENT_NAME}` again and again.",
            hint="Run the same command again.",
        )
