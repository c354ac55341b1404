"""Measures every attempt to call AWS: its service, its operation, its status and its time.

An attempt that a request has caused is noted in the span of the request too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tokensvc.aws_dates import SENT
from tokensvc.clock import Clock
from tokensvc.meter import Meter
from tokensvc.spans import CURRENT, NO_SPAN, Span

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
        parsed_response: Mapping[str, Any] | None,
        **_others: object,
    ) -> None:
        _, service, operation = event_name.split(".")
        status = _NO_ANSWER if response_dict is None else int(response_dict["status_code"])
        seconds = self._clock.monotonic() - context[SENT]
        self._meter.called_aws(service, operation, status, seconds)
        if (span := CURRENT.get()) is not NO_SPAN:
            region = str(context["client_region"])
            _note_in(span, service, operation, region, status, seconds, parsed_response or {})


def _note_in(
    span: Span,
    service: str,
    operation: str,
    region: str,
    status: int,
    seconds: float,
    parsed_response: Mapping[str, Any],
) -> None:
    """Note the attempt in the span of the request that caused it."""
    attributes: dict[str, str | int] = {
        "rpc.system": "aws-api",
        "rpc.service": service,
        "rpc.method": operation,
        "cloud.region": region,
    }
    if status != _NO_ANSWER:
        attributes["http.response.status_code"] = status
    if request_id := parsed_response.get("ResponseMetadata", {}).get("RequestId"):
        attributes["aws.request_id"] = str(request_id)
    refusal = str(parsed_response.get("Error", {}).get("Code", ""))
    error = refusal or ("no_answer" if status == _NO_ANSWER else "")
    span.note(f"{service}.{operation}", seconds, attributes, error=error)
