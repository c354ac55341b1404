"""The bans in memory of a process, followed by the version of the document `bans`.

A poll reads the events that are new. Every `REREAD_SECONDS` everything is read, in a thread of its
own: this finds an event whose writer died before it was counted, and forgets what has expired.
"""

from __future__ import annotations

import logging
import threading
from random import Random
from typing import Final

from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.record import DOCUMENT_NAME
from tokensvc.clock import Clock, Moment
from tokensvc.errors import TokensvcError
from tokensvc.state.base import Document, State
from tokensvc.state.shared_versions import SharedVersions
from tokensvc.state.watch import Watched

REREAD_SECONDS: Final = 60.0

_logger = logging.getLogger(__name__)


class BanView:
    """Follows the bans. Start it in the process that uses them, after any fork.

    Args:
        state: the state that contains the bans.
        clock: the clock that measures ages.
        refresh_seconds: the interval between two reads of the version.
        versions: reads the version for all watchers of this process. Default: read by this one.

    Attributes:
        watched: watches the document `bans`; its value is in this object.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        *,
        refresh_seconds: float,
        versions: SharedVersions | None = None,
    ) -> None:
        self._log = BanLog(state, clock)
        self._book: BanBook | None = None
        self._book_lock = threading.Lock()
        self.watched: Watched[None] = Watched(
            state,
            DOCUMENT_NAME,
            self._follow,
            clock=clock,
            refresh_seconds=refresh_seconds,
            versions=versions,
        )
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the bans now, then follow them until `close`; go on trying if that fails."""
        self.watched.start()
        self._thread = threading.Thread(target=self._reread_often, name="reread bans", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following. What was read stays, with a growing age."""
        self._stop.set()
        self.watched.close()
        if self._thread is not None:
            self._thread.join()

    @property
    def failure(self) -> TokensvcError | None:
        """The error of the last attempt to read the bans; None when it succeeded."""
        return self.watched.failure

    def age_seconds(self, moment: Moment) -> float:
        """How old the bans are at that moment.

        Raises:
            TokensvcError: when they have not been read yet.
        """
        return self.watched.latest().age_seconds(moment)

    def within(self, max_age_seconds: float, moment: Moment) -> BanBook:
        """The bans, at that moment no older than `max_age_seconds`; older ones are read first.

        Raises:
            StateUnavailable: when they are older, or not read yet, and can't be read now.
            StateDamaged: the same, when what is stored is damaged.
        """
        self.watched.within(max_age_seconds, moment)
        # Read after it: what was read meanwhile is newer.
        return self._book or BanBook()

    def refresh(self) -> BanBook:
        """The bans, read now.

        Raises:
            StateUnavailable: when they can't be read now.
            StateDamaged: when what is stored is damaged.
        """
        self.watched.refresh()
        return self._book or BanBook()

    def reread(self) -> None:
        """Read everything that is stored.

        Raises:
            StateUnavailable: when it can't be read now.
            StateDamaged: when what is stored is damaged.
        """
        began = self._book
        if began is None:
            return
        stored = self._log.stored(began)
        with self._book_lock:
            # Without the lock during the read: a poll must not wait for it.
            if self._book is not None and self._book.epoch == began.epoch:
                self._book = self._book.reread(stored, began.number)

    def _follow(self, document: Document | None) -> None:
        with self._book_lock:
            self._book = self._log.follow(self._book, document)

    def _reread_often(self) -> None:
        # Workers that start together don't go on reading together.
        pause_seconds = Random().uniform(0.9, 1.0) * REREAD_SECONDS  # noqa: S311 # Not secret.
        while not self._stop.wait(pause_seconds):
            try:
                self.reread()
            except Exception as exc:  # noqa: BLE001 # As in `Watched`: go on after any error.
                _logger.warning("Can't read all bans again: %s", type(exc).__name__)
