"""Watch one document of the state: keep its latest value in memory, together with its age.

Requests use this value, so that no request has to read the state. The user of the value states its
maximum age, and a value that is older is read again before it is used (rule 3).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tokensvc.clock import Clock, Moment
from tokensvc.errors import StateDamaged, StateMissing, StateUnavailable, TokensvcError
from tokensvc.state.base import NEW, Document, State, Version
from tokensvc.state.shared_versions import SHARED_PART, SharedVersions, VersionsRead
from tokensvc.waiting import may_wait

T = TypeVar("T")
_logger = logging.getLogger(__name__)


SOON_SECONDS = 0.5
"""The pause before the next read of a value that is about to change."""


def _nothing() -> None:
    """Do nothing after a read."""


def _never(_value: object) -> bool:
    """Expect no value to change soon."""
    return False


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """The result of a read: the decoded value, the document's version, and when it was sent."""

    value: T
    version: Version
    sent: Moment

    def age_seconds(self, moment: Moment) -> float:
        """The age of the value at that time, by the clock that shows more (rule 3).

        An old value must not appear young because the wall clock was set back, or because the
        monotonic clock stopped while the machine was frozen.
        """
        return moment.seconds_since(self.sent)


@dataclass(frozen=True, slots=True)
class _Attempt:
    sent_monotonic: float  # Seconds.
    error: TokensvcError | None


class Watched(Generic[T]):
    """Watches the document `name`. Start it in the process that uses the value, after any fork.

    Args:
        state: the state that contains the document.
        name: the name of the document.
        decode: converts the document to its value; gets None if it was never saved.
        clock: the clock that measures ages.
        refresh_seconds: the interval between two reads of the version.
        on_change: called with every new value, including the first, in the thread that read it.
        on_pass: called in the watching thread after each read, whether or not it succeeded.
        changes_soon: whether a value is about to change. It is then read again after at most
            `SOON_SECONDS`.
        versions: reads the version for all watchers of this process. Default: read by this one.
    """

    def __init__(  # noqa: PLR0913 # The last four are rarely needed, and have defaults.
        self,
        state: State,
        name: str,
        decode: Callable[[Document | None], T],
        *,
        clock: Clock,
        refresh_seconds: float,
        on_change: Callable[[T], None] | None = None,
        on_pass: Callable[[], None] = _nothing,
        changes_soon: Callable[[T], bool] = _never,
        versions: SharedVersions | None = None,
    ) -> None:
        self._state = state
        self._name = name
        self._decode = decode
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._on_change = on_change
        self._on_pass = on_pass
        self._changes_soon = changes_soon
        self._versions = versions
        self._latest: Reading[T] | None = None
        self._refresh_lock = threading.Lock()
        self._last_attempt = _Attempt(sent_monotonic=float("-inf"), error=None)
        self._stop = threading.Event()
        self._is_failing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the document now, then watch it from a thread until `close`.

        If it can't be read now, the thread goes on trying: a worker may start before its state.
        """
        self._try_to_refresh()
        self._thread = threading.Thread(target=self._watch, name=f"watch {self._name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching. `latest` still returns the last value, with a growing age."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def latest(self) -> Reading[T]:
        """The value that was read last, with the time when that read was sent.

        Raises:
            StateUnavailable: when nothing has been read yet.
            TokensvcError: the error of the last read, when all have failed so far.
        """
        latest = self._latest
        if latest is None:
            raise self.failure or StateUnavailable(
                f"The document {self._name!r} has not been read yet."
            )
        return latest

    @property
    def failure(self) -> TokensvcError | None:
        """The error of the last attempt to read the document; None when it succeeded."""
        return self._last_attempt.error

    def within(self, max_age_seconds: float, moment: Moment) -> T:
        """The value, at that moment no older than `max_age_seconds` (rule 3).

        A value that is too old is read again first: the refresh may be late, or the state may have
        been unavailable. The caller keeps its `moment` from before that read, so that nothing that
        it signs is based on a later time.

        Raises:
            StateUnavailable: when nothing has been read yet, or when the value is too old and the
                state can't be read now.
            StateDamaged: when the value is too old, and the stored document is damaged.
        """
        latest = self._latest or self.latest()
        if moment.seconds_since(latest.sent) > max_age_seconds:
            self.refresh()
            latest = self.latest()
        return latest.value

    def refresh(self) -> None:
        """Read the document now. Threads that call this during a read share the next read.

        Raises:
            StateUnavailable: when the state can't be read now; the last value stays.
            StateDamaged: when the stored document is damaged; the last value stays.
        """
        self._refresh(shared_seconds=0.0)

    def _refresh(self, *, shared_seconds: float) -> None:
        """Read the document by a read of its version that was sent so many seconds ago at most."""
        may_wait()
        called_monotonic = self._clock.monotonic()
        with self._refresh_lock:
            # A read that was sent after this call is as good as another one. Without this check,
            # each thread would wait for a time-out of its own, one after another, when the state
            # is down.
            if self._last_attempt.sent_monotonic > called_monotonic:
                if self._last_attempt.error is not None:
                    raise self._last_attempt.error
                return
            self._read(sent_after=called_monotonic - shared_seconds)

    def _read(self, *, sent_after: float) -> None:
        shared = self._shared_read(sent_after)
        sent = Moment.of(self._clock) if shared is None else shared.sent
        try:
            reading = self._fetch(sent, shared)
        except TokensvcError as exc:
            self._last_attempt = _Attempt(sent.monotonic, exc)
            raise
        changed = self._latest is None or reading.version != self._latest.version
        self._latest = reading
        self._last_attempt = _Attempt(sent.monotonic, None)
        if changed and self._on_change is not None:
            self._on_change(reading.value)

    def _shared_read(self, sent_after: float) -> VersionsRead | None:
        """The read of all versions; None if this document is read alone."""
        if self._versions is None or self._latest is None:
            return None
        read = self._versions.read(sent_after=sent_after)
        # One damaged document must not stop those who watch another.
        return None if isinstance(read.error, StateDamaged) else read

    def _fetch(self, sent: Moment, shared: VersionsRead | None) -> Reading[T]:
        latest = self._latest
        if latest is not None:
            read = self._state.version if shared is None else shared.version
            # Compared for equality: after a restore from a backup the number is an older one.
            if read(self._name) == latest.version:
                return Reading(latest.value, latest.version, sent)
        document = self._state.load(self._name)
        if document is None and latest is not None and latest.version != NEW:
            raise StateMissing(
                f"The document {self._name!r} is no longer in the state, where this process has"
                " read it before.",
                hint="Check that state.url and its folder are still those of this deployment. After"
                " a deliberate start from nothing, restart the service.",
            )
        version = NEW if document is None else document.version
        return Reading(self._decode(document), version, sent)

    def _watch(self) -> None:
        while not self._stop.wait(self._pause_seconds()):
            self._try_to_refresh(shared_seconds=SHARED_PART * self._interval_seconds())
            self._on_pass()

    def _interval_seconds(self) -> float:
        latest = self._latest
        if latest is not None and self._changes_soon(latest.value):
            return min(SOON_SECONDS, self._refresh_seconds)
        return self._refresh_seconds

    def _pause_seconds(self) -> float:
        interval = self._interval_seconds()
        # At the same times as every other watcher of this process, so that they share each read.
        return interval if self._versions is None else interval - self._clock.monotonic() % interval

    def _try_to_refresh(self, *, shared_seconds: float = 0.0) -> None:
        try:
            self._refresh(shared_seconds=shared_seconds)
        except Exception as exc:
            # Continue after any error: without further refreshes the value would become too old,
            # and this process would stop serving. Each series of failures is logged once.
            if not self._is_failing:
                # One of our errors says what happened and what to do; any other needs its place.
                is_ours = isinstance(exc, TokensvcError)
                reason = str(exc) if is_ours else type(exc).__name__
                message = "Can't read the document %s: %s"
                _logger.exception(message, self._name, reason, exc_info=None if is_ours else exc)
            self._is_failing = True
        else:
            if self._is_failing:
                _logger.info("The document %s can be read again", self._name)
            self._is_failing = False
