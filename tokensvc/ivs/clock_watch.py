"""Notices that this machine's clock is off, from the dates of AWS's answers.

A token of a clock that is behind has expired when it is issued. That of a clock that is ahead lives
too long, and its session version escapes a revocation. So nothing is signed while the clock is off.

That is so only when two answers in a row agree: a wrong date must not stop a service. Without a
recent answer the watch asks IVS, in a thread of its own. When IVS can't be reached, or the wall
clock was set since its answers, the offset is unknown, and an unknown clock is not off.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tokensvc.arns import Region
from tokensvc.aws_dates import DatedAnswer, clock_off
from tokensvc.clock import Clock, Moment
from tokensvc.errors import ClockOff, TokensvcError

ASK_AFTER_SECONDS: Final = 60.0
"""How long after the newest answer IVS is asked."""

ASK_AGAIN_SECONDS: Final = 10.0
"""The same while the clock is off, and after IVS could not be reached."""

USABLE_SECONDS: Final = 300.0
"""How long an answer counts. NTP may correct a clock slowly, which no step shows."""

_LOOK_SECONDS: Final = 1.0  # Until a step of the wall clock is noticed.
_SLOWEST_SECONDS: Final = 3.0  # A slower answer allows a range of offsets that says little.
_SMALLEST_STEP_SECONDS: Final = 1.0
_AGREEING_ANSWERS: Final = 2
_logger = logging.getLogger(__name__)


class ClockWatch:
    """Compares the clock with AWS's. Start it in the process that signs, after any fork.

    Args:
        ask: sends IVS in that region a request; raises TokensvcError when there is no answer.
        regions: the regions to ask, in turn.
        clock: the clock.
        skew_seconds: the allowed difference.
    """

    def __init__(
        self,
        ask: Callable[[Region], None],
        regions: Sequence[Region],
        clock: Clock,
        *,
        skew_seconds: float,
    ) -> None:
        self._ask = ask
        self._regions = regions
        self._clock = clock
        self._skew_seconds = skew_seconds
        self._answers: tuple[DatedAnswer, ...] = ()
        self._answers_lock = threading.Lock()
        self._look_lock = threading.Lock()
        self._asked = 0
        self._ask_from = float("-inf")  # By the monotonic clock.
        self._was_off = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the clock in a thread until `close`."""
        self._thread = threading.Thread(target=self._watch, name="watch clock", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def note(self, answer: DatedAnswer) -> None:
        """Take an answer of AWS into account; any thread may call this."""
        if answer.took_seconds > _SLOWEST_SECONDS:
            return
        with self._answers_lock:
            self._answers = (*self._answers, answer)[-_AGREEING_ANSWERS:]

    def failure(self, moment: Moment) -> ClockOff | None:
        """The error of requests for tokens at that moment; None unless the clock is off."""
        offsets = [answer.offset_seconds(moment) for answer in self._usable(moment)]
        if len(offsets) < _AGREEING_ANSWERS or min(offsets) * max(offsets) <= 0:
            return None
        return clock_off(min(offsets, key=abs), self._skew_seconds)

    def require_right(self, moment: Moment) -> None:
        """Return unless the clock is off at that moment. Waits for nothing.

        Raises:
            ClockOff: when it is off.
        """
        if (failure := self.failure(moment)) is not None:
            raise failure

    def look(self) -> None:
        """Ask IVS if an answer is due, and log when the clock begins or ceases to be off."""
        with self._look_lock:
            for _ in range(_AGREEING_ANSWERS):
                moment = Moment.of(self._clock)
                if moment.monotonic < max(self._ask_from, self._next_ask(moment)):
                    break
                self._ask_once()
            self._log_change(self.failure(Moment.of(self._clock)))

    def _log_change(self, failure: ClockOff | None) -> None:
        if failure is not None and not self._was_off:
            _logger.error("Nothing is signed while the clock is off: %s", failure)
        if failure is None and self._was_off:
            _logger.info("The clock is not known to be off any more.")
        self._was_off = failure is not None

    def _usable(self, moment: Moment) -> Sequence[DatedAnswer]:
        """The newest answers, without those that are old or from before a step of the clock."""
        smallest_step = max(self._skew_seconds, _SMALLEST_STEP_SECONDS)
        return [
            answer
            for answer in self._answers
            if moment.monotonic - answer.received.monotonic <= USABLE_SECONDS
            and abs(moment.wall_step_since(answer.received)) <= smallest_step
        ]

    def _next_ask(self, moment: Moment) -> float:
        """When to ask IVS next, by the monotonic clock."""
        usable = self._usable(moment)
        if not usable:
            return moment.monotonic
        newest = usable[-1]
        if clock_off(newest.offset_seconds(moment), self._skew_seconds) is None:
            return newest.received.monotonic + ASK_AFTER_SECONDS
        if self.failure(moment) is None:
            return moment.monotonic  # A second answer has to agree.
        return newest.received.monotonic + ASK_AGAIN_SECONDS

    def _ask_once(self) -> None:
        region = self._regions[self._asked % len(self._regions)]
        self._asked += 1
        earlier = self._answers
        try:
            self._ask(region)
        except TokensvcError as exc:
            _logger.debug("The clock can't be compared with AWS's: %s", exc)
        if self._answers is earlier:
            self._ask_from = self._clock.monotonic() + ASK_AGAIN_SECONDS

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                _logger.exception("Can't watch the clock")
                self._ask_from = self._clock.monotonic() + ASK_AGAIN_SECONDS
            self._stop.wait(_LOOK_SECONDS)
