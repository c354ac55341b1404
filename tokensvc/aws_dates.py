"""How far this machine's clock is from the clock of AWS, by the Date of AWS's answers.

A Date has whole seconds and an answer takes time, so an answer allows a range of offsets. Only what
is certain counts: a slow answer must not look like a wrong clock.

Answers that refuse a request count too: AWS refuses the signature of a clock that is minutes off.
An answer without an AWS request ID doesn't count: a proxy or a captive portal sent it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from tokensvc.clock import Clock, Moment
from tokensvc.errors import ClockOff, IvsUnavailable

if TYPE_CHECKING:
    import boto3
    from botocore.awsrequest import AWSRequest

_DATE_RESOLUTION_SECONDS: Final = 1.0  # RFC 9110 §5.6.7: a Date has whole seconds
# The two clocks of a `Moment` are read one after the other, and a busy machine may pause between.
_READING_SECONDS: Final = 0.5
_REQUEST_IDS: Final = ("x-amzn-requestid", "x-amz-request-id")
SENT: Final = "tokensvc_sent"
"""Where the context of an attempt has the monotonic time at which it was sent."""


@dataclass(frozen=True, slots=True)
class DatedAnswer:
    """An answer of AWS that shows AWS's clock.

    Attributes:
        received: when it was received, by this machine's clocks.
        took_seconds: how long before that its request was sent.
        aws_at: its Date, Unix seconds: AWS's clock in some moment between the two.
    """

    received: Moment
    took_seconds: float
    aws_at: float

    def offset_seconds(self, moment: Moment) -> float:
        """How many seconds the wall clock is certainly ahead of AWS's at that moment.

        The value is negative when the clock is behind, and 0 when no offset is certain: it is the
        offset nearest to 0 that explains the answer. A step of the wall clock since the answer is
        included.
        """
        wall_at = self.received.now + moment.wall_step_since(self.received)
        least = wall_at - self.took_seconds - self.aws_at - _DATE_RESOLUTION_SECONDS
        most = wall_at - self.aws_at
        if least > _READING_SECONDS:
            return least - _READING_SECONDS
        return min(most + _READING_SECONDS, 0.0)


def clock_off(offset_seconds: float, skew_seconds: float) -> ClockOff | None:
    """The error for a clock that is that far ahead of AWS's; None within the allowed skew."""
    if abs(offset_seconds) <= skew_seconds:
        return None
    return ClockOff(
        f"The clock of this machine is {abs(offset_seconds):.0f} s"
        f" {'ahead of' if offset_seconds > 0 else 'behind'} the clock of IVS. The allowed"
        f" difference is {skew_seconds} s (rotation.clock_skew_seconds).",
        hint="Synchronize the clock of this machine by NTP, for example with the Amazon Time Sync"
        " Service.",
    )


def require_offset_seconds(answer: DatedAnswer | None, moment: Moment) -> float:
    """The offset that the answer shows, as `DatedAnswer.offset_seconds`.

    Raises:
        IvsUnavailable: when there is no such answer.
    """
    if answer is None:
        raise IvsUnavailable(
            "The clock of this machine can't be compared with the clock of IVS: no answer had a"
            " date and an AWS request ID.",
            hint="Check the network, AWS_ENDPOINT_URL_IVS and any proxy.",
        )
    return answer.offset_seconds(moment)


class AwsDates:
    """Reads the Date of every answer that the clients of a boto3 session get; thread-safe.

    Args:
        clock: the clock to compare with AWS's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: DatedAnswer | None = None
        self._listeners: list[Callable[[DatedAnswer], None]] = []

    @property
    def latest(self) -> DatedAnswer | None:
        """The newest answer; None before the first."""
        return self._latest

    def listen(self, on_answer: Callable[[DatedAnswer], None]) -> None:
        """Call `on_answer` with every answer from now on, in the thread that received it."""
        self._listeners.append(on_answer)

    def read_answers_of(self, session: boto3.Session) -> None:
        """Read the answers of all clients that this session creates from now on."""
        session.events.register("request-created", self._note_sent)
        session.events.register("response-received", self._note_received)

    def _note_sent(self, request: AWSRequest, **_others: object) -> None:
        # botocore emits this once for each attempt, and gives the context to the answer's event.
        request.context[SENT] = self._clock.monotonic()

    def _note_received(
        self,
        context: Mapping[str, Any],
        response_dict: Mapping[str, Any] | None,
        **_others: object,
    ) -> None:
        received = Moment.of(self._clock)
        headers = {} if response_dict is None else response_dict["headers"]
        if not any(headers.get(name) for name in _REQUEST_IDS):
            return
        try:
            aws_at = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except ValueError:
            return
        answer = DatedAnswer(received, received.monotonic - context[SENT], aws_at)
        self._latest = answer
        for on_answer in self._listeners:
            on_answer(answer)
