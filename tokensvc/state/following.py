"""One document of the state, watched: its latest value, and how old the knowledge is.

Requests are answered from here, so that none of them reads a store. What has become too old is the
business of whoever uses the value (rule 3).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tokensvc.clock import Clock, Moment
from tokensvc.errors import StateUnavailable, TokensvcError
from tokensvc.state.base import NEW, Document, State

T = TypeVar("T")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What was read: the decoded value, the document's version, and when the read was sent."""

    value: T
    version: int
    sent: Moment

    def age_seconds(self, moment: Moment) -> float:
        """How old the knowledge is at that moment, by the larger of both clocks (rule 3).

        A wall clock set back must not make old knowledge young, nor must a monotonic clock that
        stood still while a machine was frozen.
        """
        return moment.seconds_since(self.sent)


@dataclass(frozen=True, slots=True)
class _Attempt:
    began: float  # Seconds by the monotonic clock.
    error: TokensvcError | None


class Watched(Generic[T]):
    """Follows the document `name`; to be started in the process that uses it, after any fork.

    Args:
        state: where the document is.
        name: the document's name.
        decode: its value; given None for a document that was never saved.
        clock: tells ages.
        refresh_seconds: how long to wait between two looks at the version.
        on_change: told of every new value, the first included, by the thread that read it.
    """

    def __init__(
        self,
        state: State,
        name: str,
        decode: Callable[[Document | None], T],
        *,
        clock: Clock,
        refresh_seconds: float,
        on_change: Callable[[T], None] | None = None,
    ) -> None:
        self._state = state
        self._name = name
        self._decode = decode
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._on_change = on_change
        self._known: Reading[T] | None = None
        self._flight = threading.Lock()
        self._last_attempt = _Attempt(began=float("-inf"), error=None)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the document now, then watch it from a thread until `close`.

        Raises:
            StateUnavailable: when it can't be read now; no thread was started.
            StateDamaged: when what is stored can't be what was saved; no thread was started.
        """
        self.refresh()
        self._thread = threading.Thread(
            target=self._watch, name=f"following {self._name}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop watching; `latest` goes on to answer, with a growing age."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def latest(self) -> Reading[T]:
        """The last value that was read, and when that read was sent.

        Raises:
            StateUnavailable: when nothing has been read yet.
        """
        known = self._known
        if known is None:
            raise StateUnavailable(f"The document {self._name!r} has not been read yet.")
        return known

    def refresh(self) -> None:
        """Read now. Threads that ask while another one reads share the read after that.

        Raises:
            StateUnavailable: when the state can't be read now; the last value stays.
            StateDamaged: when what is stored can't be what was saved; the last value stays.
        """
        wanted = self._clock.monotonic()
        with self._flight:
            # A read that began after this call was made is as good as one of its own. Without this,
            # threads would queue up for as many time-outs as they are when the state is down.
            if self._last_attempt.began > wanted:
                if self._last_attempt.error is not None:
                    raise self._last_attempt.error
                return
            self._read()

    def _read(self) -> None:
        asked = Moment.of(self._clock)
        try:
            known = self._ask(asked)
        except TokensvcError as exc:
            self._last_attempt = _Attempt(asked.monotonic, exc)
            raise
        changed = self._known is None or known.version != self._known.version
        self._known = known
        self._last_attempt = _Attempt(asked.monotonic, None)
        if changed and self._on_change is not None:
            self._on_change(known.value)

    def _ask(self, asked: Moment) -> Reading[T]:
        # Versions are compared for equality, not order: a copy that was put back may be older.
        known = self._known
        if known is not None and self._state.version(self._name) == known.version:
            return Reading(known.value, known.version, asked)
        document = self._state.load(self._name)
        version = NEW if document is None else document.version
        return Reading(self._decode(document), version, asked)

    def _watch(self) -> None:
        failing = False
        while not self._stop.wait(self._refresh_seconds):
            try:
                self.refresh()
            except Exception as exc:
                # Whatever went wrong, the watch goes on: a value whose age no longer grew young
                # again would stop this process for good. Said once for each series of failures.
                if not failing:
                    _logger.exception("Can't follow %s: %s", self._name, type(exc).__name__)
                failing = True
            else:
                if failing:
                    _logger.info("Following %s again", self._name)
                failing = False
