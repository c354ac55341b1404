"""A state in memory: one store that all processes share, and a state object per process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fleet.links import Link
from tokensvc.errors import StateConflict, StateUnavailable
from tokensvc.state import schema
from tokensvc.state.base import NEW, Document, Record, Version


@dataclass(slots=True)
class MemoryStore:
    """The stored documents and records that all processes share."""

    documents: dict[str, Document] = field(
        default_factory=lambda: {
            schema.DOCUMENT_NAME: Document(schema.schema_document(schema.CURRENT), NEW.next())
        }
    )
    kinds: dict[str, dict[str, Record]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved."""
        return self.documents.get(name)

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved."""
        saved = self.documents.get(name)
        return NEW if saved is None else saved.version

    def save(self, name: str, document: Document, replacing: Version) -> Version:
        """Compare and set atomically; a retry of the same save succeeds."""
        with self.lock:
            stored = self.version(name)
            if stored == document.version:
                return stored
            if stored != replacing:
                raise StateConflict(f"{name!r} is at version {stored}.")
            self.documents[name] = document
            return document.version

    def change(self, kind: str, changes: Mapping[str, Record | None]) -> None:
        """Put the records, by ID, in one step; remove those IDs whose record is None."""
        with self.lock:
            merged = {**self.kinds.get(kind, {}), **changes}
            self.kinds[kind] = {
                record_id: record for record_id, record in merged.items() if record is not None
            }

    def put_if(self, kind: str, record: Record, replacing: Record | None) -> bool:
        """Store the record if the stored one is `replacing`."""
        with self.lock:
            records = self.kinds.setdefault(kind, {})
            if records.get(record.record_id) != replacing:
                return False
            records[record.record_id] = record
            return True


class MemoryState:
    """Implements `State` for one process."""

    def __init__(self, store: MemoryStore, link: Link | None = None) -> None:
        self._store = store
        self._link = link or Link()
        self._is_closed = False

    def create(self) -> None:
        """Do nothing: the store exists."""

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name."""
        self._require_open()
        with self._link.call(StateUnavailable):
            return {name: self._store.version(name) for name in sorted(self._store.documents)}

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved."""
        self._require_open()
        with self._link.call(StateUnavailable):
            return self._store.version(name)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved."""
        self._require_open()
        with self._link.call(StateUnavailable):
            return self._store.load(name)

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """The new version. After a lost answer, the retry recognizes its first try (rule 7)."""
        self._require_open()
        document = Document(body, replacing.next())
        try:
            return self._saved(name, document, replacing)
        except StateUnavailable:
            return self._saved(name, document, replacing)

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records."""
        self._require_open()
        with self._link.call(StateUnavailable):
            self._store.change(kind, {record.record_id: record for record in records})

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records that there are."""
        self._require_open()
        with self._link.call(StateUnavailable):
            self._store.change(kind, dict.fromkeys(record_ids))

    def record(self, kind: str, record_id: str) -> Record | None:
        """That record, or None when there is none."""
        self._require_open()
        with self._link.call(StateUnavailable):
            return self._store.kinds.get(kind, {}).get(record_id)

    def read_many(self, kind: str, record_ids: Collection[str]) -> Sequence[Record]:
        """Those of the records that there are."""
        self._require_open()
        with self._link.call(StateUnavailable):
            stored = self._store.kinds.get(kind, {})
            return [stored[each] for each in dict.fromkeys(record_ids) if each in stored]

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Store the record if the stored one is `replacing`."""
        self._require_open()
        with self._link.call(StateUnavailable):
            return self._store.put_if(kind, record, replacing)

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID."""
        self._require_open()
        with self._link.call(StateUnavailable):
            return [record for _, record in sorted(self._store.kinds.get(kind, {}).items())]

    def close(self) -> None:
        """Refuse all later calls."""
        self._is_closed = True

    def _saved(self, name: str, document: Document, replacing: Version) -> Version:
        with self._link.call(StateUnavailable):
            return self._store.save(name, document, replacing)

    def _require_open(self) -> None:
        if self._is_closed:
            raise StateUnavailable("This state is closed.")
