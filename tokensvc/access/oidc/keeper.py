"""Keeps the keys of one issuer in memory, and fetches them again and again.

1. The keys that the last successful fetch brought are used, and no others: a key that has left the
   set is not used any more.
2. A fetch that fails, or brings no usable key, changes nothing.
3. Keys that are older than the age limit are not used: an issuer may have removed one meanwhile.
4. A token whose key is unknown, or whose signature is not that of its key, causes a fetch, but not
   within `keys_min_interval_seconds` of the last one: a client that invents tokens must not make
   this service call the issuer each time.
5. Only the thread of the keeper fetches. A request may wait for it, never on the event loop.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from random import Random
from typing import Final, Protocol

from tokensvc.access.oidc.kept_keys import KeptKeys
from tokensvc.access.oidc.key_sets import KeySet
from tokensvc.access.oidc.terms import IssuerTerms
from tokensvc.clock import Clock, Moment
from tokensvc.errors import IssuerUnavailable, TokensvcError
from tokensvc.spans import CURRENT, Span
from tokensvc.waiting import may_wait

WAIT_SECONDS: Final = 3.0
"""How long after the begin of a fetch a request waits for it."""

_CLOSE_SECONDS: Final = 1.0
_EARLIEST_REFRESH: Final = 0.9
"""The part of the interval after which processes that started together may fetch again."""

_logger = logging.getLogger(__name__)


class Source(Protocol):
    """Where the keys are fetched from."""

    def fetch(self) -> KeySet:
        """The keys that the issuer publishes now.

        Raises:
            IssuerUnavailable: when they can't be fetched.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    keys: KeySet
    fetched: Moment


@dataclass(frozen=True, slots=True)
class _Flight:
    """A fetch that was requested or is running."""

    begun: float  # Monotonic seconds.
    done: Future[None]
    span: Span = field(default_factory=CURRENT.get)  # Of the request that needs it first, if any.


class KeyKeeper:
    """The keys of one issuer, for all threads of a process.

    Start it in the process that uses it, after any fork.
    """

    def __init__(self, terms: IssuerTerms, source: Source, kept: KeptKeys, clock: Clock) -> None:
        """A keeper without keys; nothing is fetched before it is started.

        Args:
            terms: the age limit and the intervals.
            source: where the keys are fetched from.
            kept: where the last good keys are kept for the next start.
            clock: the time.
        """
        self._terms = terms
        self._source = source
        self._kept = kept
        self._clock = clock
        self._held: _Held | None = None
        self._failure: IssuerUnavailable | None = None
        self._attempted_at = float("-inf")  # Monotonic seconds.
        self._flight: _Flight | None = None
        self._lock = threading.Lock()  # Held only while a flight begins or ends.
        self._fetching = threading.Lock()  # So that no earlier fetch ends after a later one.
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Use the kept keys, fetch new ones at once in a thread, and go on until `close`."""
        self._load_kept()
        self._thread = threading.Thread(
            target=self._run, name=f"keep keys of {self._terms.name}", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop fetching. A fetch that hangs is not waited for."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    @property
    def failure(self) -> IssuerUnavailable | None:
        """Why the last fetch failed; None if it succeeded, or there was none yet."""
        return self._failure

    def age_seconds(self, moment: Moment) -> float | None:
        """The age of the keys at that moment; None if there are none."""
        held = self._held
        return None if held is None else moment.seconds_since(held.fetched)

    def usable(self, moment: Moment) -> KeySet | None:
        """The keys, if there are any that are not too old at that moment. Waits for nothing."""
        held = self._held
        if held is None or moment.seconds_since(held.fetched) > self._terms.keys_max_age_seconds:
            return None
        return held.keys

    def current(self, moment: Moment) -> KeySet:
        """The keys. If there are none, or they are too old, a fetch is waited for.

        Raises:
            IssuerUnavailable: when none can be fetched in time.
            MustWait: when this would have to wait, and must not.
        """
        if (keys := self.usable(moment)) is not None:
            return keys
        self._wait_for_fetch(moment)
        if (keys := self.usable(moment)) is not None:
            return keys
        raise self._unavailable()

    def with_unknown_key(self, moment: Moment) -> KeySet:
        """The keys, after a token had none that is among them. A fetch may be waited for.

        Raises:
            IssuerUnavailable: when the last fetch failed: the key may be a new one.
            MustWait: when this would have to wait, and must not.
        """
        self._wait_for_fetch(moment)
        keys = self.usable(moment)
        if keys is None or self._failure is not None:
            raise self._unavailable()
        return keys

    def fetch_soon(self) -> None:
        """Fetch in the thread of the keeper, whenever the last fetch was. Waits for nothing."""
        self._wake.set()

    def fetch(self) -> None:
        """Fetch in this thread."""
        may_wait()
        with self._fetching:
            self._fetch()

    def _fetch(self) -> None:
        flight = self._begin()
        sent = Moment.of(self._clock)
        try:
            keys = self._source.fetch()
        except IssuerUnavailable as exc:
            self._note_failure(exc, sent)
        except Exception:  # A bug. Without further fetches the keys would become too old.
            _logger.exception("Fetching the keys of the issuer %s failed", self._terms.name)
            self._failure = self._unavailable()
        else:
            self._note_keys(keys, sent)
        finally:
            with self._lock:
                self._attempted_at = sent.monotonic
                self._flight = None
            seconds = self._clock.monotonic() - sent.monotonic
            error = "" if self._failure is None else self._failure.code
            about = {"tokensvc.issuer": self._terms.name}
            flight.span.note("fetch issuer keys", seconds, about, error=error)
            flight.done.set_result(None)

    def _begin(self) -> _Flight:
        with self._lock:
            if self._flight is None:
                self._flight = self._new_flight()
            return self._flight

    def _new_flight(self) -> _Flight:
        flight = _Flight(self._clock.monotonic(), Future())
        flight.done.set_running_or_notify_cancel()  # A loop that waits for it can't cancel it.
        return flight

    def _wait_for_fetch(self, moment: Moment) -> None:
        """Return when a fetch has ended, or when none is allowed or none has ended in time."""
        with self._lock:
            flight = self._flight
            is_allowed = (
                moment.monotonic - self._attempted_at >= self._terms.keys_min_interval_seconds
            )
            if flight is None and is_allowed:
                flight = self._flight = self._new_flight()
                self._wake.set()
        if flight is None:
            return
        seconds = flight.begun + WAIT_SECONDS - self._clock.monotonic()
        if seconds > 0 and not flight.done.done():
            may_wait((flight.done,), seconds)
            wait((flight.done,), seconds)

    def _unavailable(self) -> IssuerUnavailable:
        return self._failure or IssuerUnavailable(
            f"The keys of the issuer {self._terms.name} were not fetched in time.",
            hint=f"Check the section [issuers.{self._terms.name}] of the settings, and the issuer.",
        )

    def _note_keys(self, keys: KeySet, sent: Moment) -> None:
        held = self._held
        if self._failure is not None:
            _logger.info("The keys of the issuer %s can be fetched again", self._terms.name)
        if held is None or held.keys.thumbprints != keys.thumbprints:
            _logger.info("The issuer %s publishes %d usable keys", self._terms.name, len(keys.keys))
            if keys.left_out:
                faults = ", ".join(f"{fault}: {count}" for fault, count in keys.left_out.items())
                _logger.warning("Keys of the issuer %s are left out: %s", self._terms.name, faults)
        self._held = _Held(keys, sent)
        self._failure = None
        self._kept.keep(keys, sent.now)

    def _note_failure(self, failure: IssuerUnavailable, sent: Moment) -> None:
        if self._failure is None:  # Each series of failures is logged once.
            _logger.warning("%s", failure)
        self._failure = failure
        self._kept.keep_failure(failure, sent.now)
        if self._held is None:
            self._load_kept()

    def _load_kept(self) -> None:
        try:
            kept = self._kept.load()
        except TokensvcError as exc:
            _logger.warning(
                "The kept keys of the issuer %s can't be read: %s", self._terms.name, exc
            )
            return
        if kept is None or not kept.keys.keys:
            return
        moment = Moment.of(self._clock)
        # A time in the future is of a clock that is ahead, and says as little as an old one.
        age_seconds = abs(moment.now - kept.fetched_at)
        self._held = _Held(
            kept.keys, Moment(moment.now - age_seconds, moment.monotonic - age_seconds)
        )

    def _run(self) -> None:
        # The processes of a fleet that start together don't go on fetching together.
        random = Random()  # noqa: S311 # Spreads fetches in time; nothing is secret.
        while not self._stop.is_set():
            self._wake.clear()
            self.fetch()
            interval = (
                self._terms.keys_refresh_seconds * random.uniform(_EARLIEST_REFRESH, 1.0)
                if self._failure is None
                else self._terms.keys_min_interval_seconds
            )
            self._wake.wait(interval)
