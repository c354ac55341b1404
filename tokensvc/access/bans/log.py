"""The stored bans: a log of events, read from the state and written to it.

To write, an event is put under the next number, if nothing is stored there; if another writer took
it, that event is read, and the next number is tried. So each change is made to the last event of
its ban, and none is lost to another one. Then the document `bans` is raised to the number. Whoever
finds a number in the document finds all events up to it:

1. A writer that dies between the two leaves an event that is not counted. The next writer finds the
   number taken, and a read of everything finds the event too.
2. An event that a later one of the same ban replaces is removed, after the later one was counted.
   So a reader that misses an event reads the document again, which counts the later one by then.
3. If the document was raised to the number by another writer, readers may have passed the number
   before the event was put there. So the event is written once more, under a later number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tokensvc.access.bans.book import BanBook, book_of
from tokensvc.access.bans.model import Ban
from tokensvc.access.bans.record import DOCUMENT_NAME, KIND, Counter, Event, new_nonce, record_id
from tokensvc.clock import Clock
from tokensvc.errors import InvalidRequest, StateConflict, StateUnavailable
from tokensvc.state.base import (
    EXPIRED_RECORD_RETENTION_SECONDS,
    NEW,
    Document,
    Record,
    State,
    Version,
)
from tokensvc.state.schema import CURRENT, written_schema

MAX_READ_AT_ONCE: Final = 100
"""How many events one read of the state gets: a request may wait for it."""

MAX_READ_BY_NUMBER: Final = 5_000
"""If more events are new than these, everything is read: that is faster."""

MAX_ATTEMPTS: Final = 200
"""How often a write is tried while others write. More is a fault."""

MAX_REPLACED: Final = 100
"""How many earlier events of its ban an event names. A ban that was changed more often is kept
until the first of them expires."""

_MAX_REMOVED: Final = 100
_logger = logging.getLogger(__name__)


class BanLog:
    """Reads and writes the events in that state."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def read(self) -> BanBook:
        """The book of everything that is stored.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged: when the document or an event is damaged.
        """
        return self._read_from(self._state.load(DOCUMENT_NAME))

    def follow(self, book: BanBook | None, document: Document | None) -> BanBook:
        """The book with every event that is counted in the document, or in a later one.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged: when the document or an event is damaged.
        """
        if book is None:
            return self._read_from(document)
        counter = Counter.decode(document)
        while True:
            numbers = range(book.number + 1, counter.number + 1)
            if counter.epoch != book.epoch or len(numbers) > MAX_READ_BY_NUMBER:
                return self._read_from(document)
            found = self._events(numbers)
            book = book.with_events(found, max(book.number, counter.number))
            if len(found) == len(numbers):
                return book
            # A later event has replaced the one that is missing, or it has expired.
            document = self._state.load(DOCUMENT_NAME)
            latest = Counter.decode(document)
            if latest == counter:
                return book
            counter = latest

    def stored(self, known: BanBook) -> Sequence[Event]:
        """Every event that is stored, also one that is not counted.

        Those that `known` has are not parsed again: an event is never changed, but it may expire
        earlier.
        """
        events = {record_id(event.number): event for event in known.events.values()}
        stored = []
        for record in self._state.records(KIND):
            event = events.get(record.record_id)
            is_known = event is not None and event.expires_at == record.expires_at
            stored.append(event if event is not None and is_known else Event.of(record))
        return stored

    def append(self, book: BanBook, change: Callable[[BanBook], Ban]) -> tuple[BanBook, Ban]:
        """Store a change durably, and return the book with it, and the ban as it was stored.

        Args:
            book: what is known of the log.
            change: gives the ban as it shall be, from the book with every event so far. It is
                called again if others write meanwhile, and then may find its own change.

        Raises:
            InvalidRequest: when processes of the previous release would ignore the ban.
            StateUnavailable: when the state can't be written now. It is not certain that nothing
                was written: make the change again.
            TokensvcError: an error that `change` raises at first. Nothing was written.
        """
        document = self._state.load(DOCUMENT_NAME)
        self._require_current_schema()
        book = self.follow(book, document)
        if (stored := _unchanged(book, change)) is not None:
            return book, stored
        put: list[int] = []
        for _ in range(MAX_ATTEMPTS):
            event = _next_event(book, change, put)
            if not self._put(event):
                book = book.with_events(self._events([event.number]), event.number)
                continue
            put.append(event.number)
            book = book.with_events([event], event.number)
            if self._count(event.number, document):
                self._forget(event, book)
                return book, event.ban
            document = self._state.load(DOCUMENT_NAME)
            book = self.follow(book, document)
        raise StateUnavailable("Too many other processes write bans.")

    def _read_from(self, document: Document | None) -> BanBook:
        """The book of everything that is stored. The document was read before."""
        counter = Counter.decode(document)
        return book_of(self.stored(BanBook()), epoch=counter.epoch, number=counter.number)

    def _require_current_schema(self) -> None:
        if written_schema(self._state) < CURRENT:
            raise InvalidRequest(
                "A ban can't be made while processes of the previous release may sign, because"
                " they ignore bans. Nothing was written.",
                hint="Upgrade every process, then run `tokensvc state upgrade`.",
            )

    def _events(self, numbers: Sequence[int]) -> Sequence[Event]:
        """Those of the events that there are."""
        chunks = [
            numbers[start : start + MAX_READ_AT_ONCE]
            for start in range(0, len(numbers), MAX_READ_AT_ONCE)
        ]
        return [
            Event.of(record)
            for chunk in chunks
            for record in self._state.read_many(KIND, [record_id(number) for number in chunk])
        ]

    def _put(self, event: Event) -> bool:
        """Store the event under its number; False if another one is there."""
        record = event.record(new_nonce())
        try:
            return self._state.put_if(KIND, record, replacing=None)
        except StateUnavailable:
            if self._is_stored(record):
                return True
            raise

    def _is_stored(self, record: Record) -> bool:
        """Whether a write whose answer was lost was carried out."""
        stored = self._state.read_many(KIND, [record.record_id])
        return [each.body for each in stored] == [record.body]

    def _count(self, number: int, document: Document | None) -> bool:
        """Raise the document to the number. False if it has this number already, or a later one.

        `document` was read before the event was put.
        """
        counter = began = Counter.decode(document)
        for _ in range(MAX_ATTEMPTS):
            version: Version = NEW if document is None else document.version
            raised = Counter(number, counter.epoch or new_nonce())
            try:
                self._state.save(DOCUMENT_NAME, raised.encode(), replacing=version)
            except StateConflict:
                document = self._state.load(DOCUMENT_NAME)
                counter = Counter.decode(document)
                if counter.number >= number or counter.epoch != began.epoch:
                    return False
            else:
                return True
        raise StateUnavailable("Too many other processes write bans.")

    def _forget(self, event: Event, book: BanBook) -> None:
        """Remove the events that this one replaces, and some others that are not used any more.

        The event may then expire when it is over. If that fails, all stay until they expire.
        """
        long_expired = self._clock.now() - EXPIRED_RECORD_RETENTION_SECONDS
        expired = [each.number for each in book.events.values() if each.expires_at < long_expired]
        unused = [*event.replaces, *[*book.superseded, *expired][:_MAX_REMOVED]]
        try:
            self._state.remove_many(KIND, [record_id(number) for number in unused])
            if event.ban.expires_at < event.expires_at and len(event.replaces) < MAX_REPLACED:
                self._expire_earlier(event)
        except StateUnavailable as exc:
            _logger.info(
                "Events of bans that are not used any more stay until they expire: %s", exc
            )

    def _expire_earlier(self, event: Event) -> None:
        for record in self._state.read_many(KIND, [record_id(event.number)]):
            earlier = replace(record, expires_at=event.ban.expires_at)
            # Only if it is still there: a later event may have replaced it.
            self._state.put_if(KIND, earlier, replacing=record)


def _unchanged(book: BanBook, change: Callable[[BanBook], Ban]) -> Ban | None:
    """The ban if the change has been made, and counted; None if it must be stored."""
    ban = change(book)
    stored = book.events.get(ban.ban_id)
    is_stored = stored is not None and stored.ban == ban and stored.number <= book.number
    return ban if is_stored else None


def _next_event(book: BanBook, change: Callable[[BanBook], Ban], put: Sequence[int]) -> Event:
    """The event to put after those of the book. This writer has put its change as `put` before."""
    ban = change(book)
    replaced = book.events.get(ban.ban_id)
    if replaced is None:
        return Event(book.number + 1, ban, ban.expires_at)
    replaces = sorted({*replaced.replaces, replaced.number, *put})
    expires_at = max(replaced.expires_at, ban.expires_at)
    return Event(book.number + 1, ban, expires_at, tuple(replaces[-MAX_REPLACED:]))
