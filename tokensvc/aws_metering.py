"""Measures every attempt to call AWS: its service, its operation, its status and its time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tokensvc.aws_dates import SENT
from tokensvc.clock import Clock
from tokensvc.meter import Meter

if TYPE_CHECKING:
    import boto3

_NO_ANSWER: Final = 0


class MeteredCalls:
    """Measures the calls of the clients of a session. `AwsDates` must read its answers too."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock

    def read_answers_of(self, session: boto3.Session) -> None:
        """Measure the calls of all clients that this session creates from now on."""
        session.events.register("response-received", self._note_received)

    def _note_received(
        self,
        event_name: str,
        context: Mapping[str, Any],
        response_dict: Mapping[str, Any] | None,
        **_others: object,
    ) -> None:
        _, service, operation = event_name.split(".")
        status = _NO_ANSWER if response_dict is None else int(response_dict["status_code"])
        seconds = self._clock.monotonic() - context[SENT]
        self._meter.called_aws(service, operation, status, seconds)
