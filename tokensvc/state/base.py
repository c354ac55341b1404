"""The interface of the state that all processes share.

Every implementation passes `tests/contract/state_contract.py`. The state stores two kinds of data.
A *document* has a name and a version and is replaced as a whole by compare-and-set: a ring, the API
keys. A *record* has a kind and an ID and expires: the last answer about a channel. Bodies are JSON
text, and only the package that owns a document or record interprets it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Version:
    """Which save of a document this is. Compare versions for equality only.

    After a restore from a backup the numbers begin again at an older one. Two saves with the same
    number then differ in the nonce, so that a process which read the document before the restore
    can't replace it, and a process which watches the document notices the change.

    Attributes:
        number: how many saves of the document there were.
        nonce: a random text that the save has drawn.
    """

    number: int
    nonce: str

    def next(self) -> Version:
        """The version of a new save that replaces this one."""
        return Version(self.number + 1, secrets.token_hex(16))


NEW = Version(0, "")
"""The version of a document before its first save."""

EXPIRED_RECORD_RETENTION_SECONDS = 3_600
"""How long an expired record is stored. Readers check expiry with clocks that differ."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read: its body, and the version to pass to `save` to replace it."""

    body: str
    version: Version


@dataclass(frozen=True, slots=True)
class Record:
    """A record of some kind. `expires_at` is Unix seconds; readers must check it themselves."""

    record_id: str
    body: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything in a state: the documents by their names, and the records, each with its kind."""

    documents: Mapping[str, Document]
    records: Sequence[tuple[str, Record]] = ()


class State(Protocol):
    """Shared documents and records. A read sees every write that was acknowledged before it."""

    def create(self) -> None:
        """Create the state, unless it exists: for commands that may begin a new deployment.

        What needs other permissions, such as a table, is not made here. Everything else raises
        StateMissing where there is no state, so that data which is lost, or not mounted, is never
        taken for a new deployment.

        Raises:
            StateMissing: when something is missing that is not made here.
            StateUnavailable: when the state can't be written now.
        """
        ...

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name, sorted. All are read at once, without bodies.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        ...

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved. Cheap enough for polling.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        ...

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged: when the stored document is damaged.
        """
        ...

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Durably replace version `replacing` with `body`, and return the new version.

        A save that is retried after a lost acknowledgement is recognized by its nonce and
        succeeds once (rule 7).

        Raises:
            StateConflict: when the stored version is another; nothing was written.
            StateUnavailable: when the state can't be written now. It is not certain that nothing
                was written: load the document again.
        """
        ...

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records durably. Each replaces the record with its kind and ID.

        Each record is stored by itself: while this runs, and after an error, a reader may see some
        of them. The last one counts if several have the same ID. Long-expired records of that kind
        may be deleted at the same time.

        Raises:
            StateUnavailable: when the state can't be written now. It is not certain that nothing
                was written: put the records again.
        """
        ...

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records, each by itself. An ID without a record is not an error.

        Raises:
            StateUnavailable: when the state can't be written now. It is not certain that nothing
                was removed: remove the records again.
        """
        ...

    def record(self, kind: str, record_id: str) -> Record | None:
        """The record, or None when there is none. It may have expired.

        A request may wait for it, so it takes at most about a second.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        ...

    def read_many(self, kind: str, record_ids: Collection[str]) -> Sequence[Record]:
        """Those of the records that there are, in any order. Some may have expired.

        Waits as `record` does.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        ...

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Durably store the record if the one with its ID is `replacing`, by its body.

        Waits as `record` does. Of several such writes that replace the same record, one wins. As
        with `put_many`, long-expired records may be deleted.

        Args:
            kind: the kind of the record.
            record: the record. Its body must be one that no other write has.
            replacing: the record to replace; None if there must be none.

        Returns:
            Whether it was stored.

        Raises:
            StateUnavailable: when the state can't be written now. It is not certain that nothing
                was written.
        """
        ...

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID. Some may have expired. For kinds with few records.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        ...

    def close(self) -> None:
        """Close what the state has open. It can't be used afterwards."""
        ...
