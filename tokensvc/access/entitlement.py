"""The entitlement hook: a service of the operator that may refuse or limit what a grant allows.

1. The hook is asked in threads of its own, few of them, and never on the event loop. A request
   waits for its answer as for a lookup of a channel.
2. While the same question is asked, another request with it waits for the same answer.
3. An answer is used again for as long as it says (`cache_seconds`), else only by the requests that
   waited for it.
4. Without a valid answer in time, nothing is granted. While the hook fails or hangs, only one
   question is asked from time to time, and the other requests are refused at once.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Final, Protocol

from cachetools import LRUCache

from tokensvc.access.entitlement_answer import (
    MAX_CACHE_SECONDS,
    Answer,
    InvalidAnswer,
    read_answer,
)
from tokensvc.access.entitlement_client import MAX_ASKED_AT_ONCE, NoAnswer
from tokensvc.access.entitlement_question import Question
from tokensvc.breaker import FAILURES_TO_OPEN, OPEN_SECONDS, Breaker
from tokensvc.clock import Clock
from tokensvc.errors import EntitlementUnavailable
from tokensvc.meter import HookOutcome, Meter
from tokensvc.spans import CURRENT, Span
from tokensvc.waiting import MustWait, may_wait

MAX_QUEUED: Final = 1_000
"""How many questions may wait for a thread."""

MAX_QUEUED_SECONDS: Final = 2.0
"""How long a question may wait for a thread."""

HAND_OVER_SECONDS: Final = 2.0
"""How long an answer is kept for the requests that waited for it, which run again."""

MAX_ANSWERED: Final = 10_000
"""How many answers are kept for them."""

_MARGIN_SECONDS: Final = 0.25
"""A request waits longer than the time-out by this, to get the reason."""

_THREAD_NAME: Final = "ask entitlement hook"
_TOO_SLOW: Final = "it did not answer in time"
_NOT_POSSIBLE: Final = (
    f"it failed or did not answer, so it is asked once in {OPEN_SECONDS:g} s, or too many questions"
    " are waiting"
)

_log = logging.getLogger(__name__)


class Client(Protocol):
    """Asks the hook, within a bounded time."""

    @property
    def host(self) -> str:
        """The host of the hook, for people."""
        ...

    def ask(self, body: str, header_fields: Mapping[str, str]) -> bytes:
        """The body of the answer. Raises NoAnswer."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True)
class _Failed:
    reason: str
    outcome: HookOutcome = "no_answer"


_Outcome = Answer | _Failed


@dataclass(slots=True, eq=False)
class Asked:
    """A question that is asked. Only the hook changes it.

    Attributes:
        question: the question.
        span: of the request that asks it first.
        send_by: when it is not asked any more, in monotonic seconds.
        give_up_at: when requests stop waiting for its answer, in monotonic seconds.
        waiting: the number of requests that wait for the answer.
        sent_at: when it was asked, in monotonic seconds.
        hand_over_until: when the answer is not given any more to a request that waited for it.
        outcome: the answer.
    """

    question: Question
    send_by: float
    give_up_at: float
    span: Span = field(default_factory=CURRENT.get)
    waiting: int = 0
    sent_at: float = 0.0
    hand_over_until: float = 0.0
    outcome: Future[_Outcome] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Cached:
    answer: Answer
    until: float


class EntitlementHook:
    """The hook, for all threads of a process. It has no thread before the first question."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        meter: Meter,
        *,
        timeout_seconds: float,
        cache_capacity: int,
    ) -> None:
        """A hook that was asked nothing.

        Args:
            client: asks the hook.
            clock: the clock.
            meter: measures the questions.
            timeout_seconds: how long the client takes at most.
            cache_capacity: how many answers are cached.
        """
        self._client = client
        self._clock = clock
        self._meter = meter
        self._timeout_seconds = timeout_seconds
        self._cache: LRUCache[bytes, _Cached] = LRUCache(cache_capacity)
        self._in_flight: dict[bytes, Asked] = {}
        self._answered: LRUCache[bytes, Asked] = LRUCache(MAX_ANSWERED)
        self._queue: deque[Asked] = deque()
        self._threads = 0
        self._failures = 0  # Questions in a row without a valid answer.
        self._is_closed = False
        self._breaker = Breaker(f"The entitlement hook at {client.host}")
        self._lock = threading.Lock()

    @property
    def is_failing(self) -> bool:
        """Whether the last questions got no valid answer, or are not asked for that reason."""
        with self._lock:
            is_open = self._breaker.is_open(self._clock.monotonic())
            return is_open or self._failures >= FAILURES_TO_OPEN

    def close(self) -> None:
        """Ask nothing from now on; does not wait for answers."""
        with self._lock:
            self._is_closed = True
            queued = [*self._queue]
            self._queue.clear()
        for asked in queued:
            self._finish(asked, _Failed("this process is stopping"))
        self._client.close()

    def ask(self, question: Question) -> Answer:
        """The answer to the question.

        Raises:
            EntitlementUnavailable: when there is no valid answer in time.
        """
        key, now = question.key, self._clock.monotonic()
        with self._lock:
            outcome = self._known(key, now)
            asked = self._join(question, now) if outcome is None else None
        if outcome is None:
            outcome = _Failed(_NOT_POSSIBLE) if asked is None else self._wait_for_one(asked)
        if isinstance(outcome, _Failed):
            raise EntitlementUnavailable(
                f"The entitlement hook at {self._client.host} gave no valid answer:"
                f" {outcome.reason}.",
                hint="Check entitlement.url, entitlement.secret_file and the hook.",
            )
        return outcome

    def require_waiting(self, question: Question, answer: Answer) -> None:
        """Return if this code may wait, after `ask` and for something else.

        Raises:
            MustWait: the request runs again, and then `ask` returns this answer once more.
        """
        try:
            may_wait()
        except MustWait:
            self._hand_back(question, answer)
            raise

    def begin(self, question: Question) -> Asked | None:
        """Ask for a call of `ask` that follows, and do not wait.

        Returns None if the answer is known, or if the hook can't be asked now.
        """
        key, now = question.key, self._clock.monotonic()
        with self._lock:
            return None if self._is_known(key, now) else self._join(question, now)

    def wait_for(self, asked: Collection[Asked]) -> None:
        """Wait until all have an answer, or it is too late for it."""
        running = [each for each in asked if not each.outcome.done()]
        give_up_at = max((each.give_up_at for each in running), default=0.0)
        seconds = give_up_at - self._clock.monotonic()
        if running and seconds > 0:
            outcomes = [each.outcome for each in running]
            may_wait(outcomes, seconds)
            wait_for(outcomes, seconds)

    def _hand_back(self, question: Question, answer: Answer) -> None:
        key, now = question.key, self._clock.monotonic()
        with self._lock:
            if not self._is_known(key, now):
                asked = Asked(question, send_by=now, give_up_at=now)
                asked.hand_over_until = now + HAND_OVER_SECONDS
                asked.outcome.set_result(answer)
                self._answered[key] = asked
            if key in self._answered:
                self._answered[key].waiting += 1

    def _wait_for_one(self, asked: Asked) -> _Outcome:
        self.wait_for([asked])
        with self._lock:
            self._leave(asked)
        return asked.outcome.result() if asked.outcome.done() else _Failed(_TOO_SLOW)

    def _known(self, key: bytes, now: float) -> _Outcome | None:
        """A cached answer, or one that this request waited for. The caller holds the lock."""
        cached = self._cache.get(key)
        if cached is not None and now < cached.until:
            return cached.answer
        answered = self._answered.get(key)
        if answered is None or now >= answered.hand_over_until:
            return None
        self._leave(answered)
        return answered.outcome.result()

    def _is_known(self, key: bytes, now: float) -> bool:
        cached, answered = self._cache.get(key), self._answered.get(key)
        return (cached is not None and now < cached.until) or (
            answered is not None and now < answered.hand_over_until
        )

    def _leave(self, asked: Asked) -> None:
        """Count one request less that waits. The caller holds the lock."""
        asked.waiting -= 1
        key = asked.question.key
        if asked.waiting <= 0 and self._answered.get(key) is asked:
            del self._answered[key]

    def _join(self, question: Question, now: float) -> Asked | None:
        """Wait for the answer with this request too; None if the hook can't be asked now.

        The caller holds the lock.
        """
        asked = self._in_flight.get(question.key) or self._start(question, now)
        if asked is not None:
            asked.waiting += 1
        return asked

    def _start(self, question: Question, now: float) -> Asked | None:
        if self._is_closed or len(self._queue) >= MAX_QUEUED or not self._breaker.admits(now):
            return None
        is_free = self._threads < MAX_ASKED_AT_ONCE
        if not is_free and self._breaker.is_open(now):
            return None  # A trial does not wait for threads that hang.
        send_by = now if is_free else now + MAX_QUEUED_SECONDS
        asked = Asked(question, send_by, send_by + self._timeout_seconds + _MARGIN_SECONDS)
        asked.outcome.set_running_or_notify_cancel()  # Several requests wait for it: not to cancel.
        if is_free:
            try:
                threading.Thread(target=self._work, name=_THREAD_NAME, daemon=True).start()
            except RuntimeError:  # The system has no thread left, or Python is shutting down.
                return None
            self._threads += 1
        self._in_flight[question.key] = asked
        self._queue.append(asked)
        return asked

    def _work(self) -> None:
        """Ask what is queued until nothing is left."""
        while (asked := self._next()) is not None:
            self._finish(asked, self._outcome_of(asked))

    def _next(self) -> Asked | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._threads -= 1
            return None

    def _outcome_of(self, asked: Asked) -> _Outcome:
        now = self._clock.monotonic()
        with self._lock:
            is_late = now > asked.send_by + _MARGIN_SECONDS
            begun = None if is_late else self._breaker.begin(now)
        if begun is None:
            return _Failed(_TOO_SLOW if is_late else _NOT_POSSIBLE)
        asked.sent_at = now
        span = asked.span.begin("ask entitlement hook", {"server.address": self._client.host})
        outcome = self._sent(asked.question, span.header_fields(), begun)
        name = outcome.decision if isinstance(outcome, Answer) else outcome.outcome
        span.end({"tokensvc.outcome": name}, error="" if isinstance(outcome, Answer) else name)
        self._meter.asked_hook(name, self._clock.monotonic() - now)
        return outcome

    def _sent(
        self, question: Question, header_fields: Mapping[str, str], begun: object
    ) -> _Outcome:
        has_failed = False
        try:
            return read_answer(self._client.ask(question.body(self._clock.now()), header_fields))
        except NoAnswer as exc:
            has_failed = exc.is_failing
            return _Failed(str(exc))
        except InvalidAnswer as exc:
            return _Failed(f"its answer is not valid ({exc})", "invalid")
        except Exception:  # noqa: BLE001 # A bug: the request is refused, and the thread goes on.
            _log.exception("The entitlement hook can't be asked")
            return _Failed("an internal error")
        finally:
            with self._lock:
                self._breaker.end(begun, self._clock.monotonic(), has_failed=has_failed)

    def _finish(self, asked: Asked, outcome: _Outcome) -> None:
        """Keep the answer for as long as it may be used, and give it to the requests that wait."""
        key = asked.question.key
        now = self._clock.monotonic()
        with self._lock:
            self._failures = 0 if isinstance(outcome, Answer) else self._failures + 1
            if isinstance(outcome, Answer) and outcome.cache_seconds > 0:
                until = asked.sent_at + min(outcome.cache_seconds, MAX_CACHE_SECONDS)
                self._cache[key] = _Cached(outcome, until)
            self._in_flight.pop(key, None)
            if asked.waiting > 0:
                asked.hand_over_until = now + HAND_OVER_SECONDS
                self._answered[key] = asked
            asked.outcome.set_result(outcome)
