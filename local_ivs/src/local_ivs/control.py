"""The control API under `/_local/`: it controls Local IVS itself; AWS has no such API.

Plain JSON over loopback, without signatures. It takes channels live, plans faults, moves the clock
and lists the recent requests. `GET /_local/` lists its calls. Web pages of other origins can't use
it: it has no CORS, requires a JSON content type, and serves no host name that DNS could point at
this machine.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from local_ivs import streams
from local_ivs.api import METHODS
from local_ivs.errors import ControlError
from local_ivs.faults import ANY_OPERATION, Fault, FaultKind, Faults
from local_ivs.hosts import USE_INSTEAD, is_local
from local_ivs.operations import READING, WRITING
from local_ivs.timestamps import rfc3339

if TYPE_CHECKING:
    from local_ivs.clock import MovableClock
    from local_ivs.database import Database
    from local_ivs.recent import RecentRequests

STREAM_HEALTHS = ("HEALTHY", "STARVING", "UNKNOWN")  # botocore model: StreamHealth
MAX_OFFSET_SECONDS = 10 * 366 * 86_400.0
INDEX = {
    "PUT /_local/streams": "Take a channel live, or offline with live false: "
    '{"channel_arn": "arn:aws:ivs:...", "live": true, "health": "HEALTHY"}',
    "POST /_local/faults": 'Plan a fault: {"operation": "GetChannel", "kind": "error", "error": '
    '"ThrottlingException", "seconds": 0, "times": 1}. The operation * matches any operation. '
    "Kinds: slow, error, drop (no effect, no response), lose_response (effect, but no response); "
    "seconds is the delay.",
    "GET /_local/faults": "List the pending faults.",
    "DELETE /_local/faults": "Delete the pending faults.",
    "PUT /_local/clock": 'Set the clock ahead of the machine\'s: {"offset_seconds": 3600}; a '
    "negative number sets it behind.",
    "GET /_local/clock": "Show the time and the offset.",
    "GET /_local/requests": "List the recent requests, newest first.",
    "GET /_local/overview": "Show the whole state, as the page at / does.",
}


def create_blueprint(database: Database, clock: MovableClock, recent: RecentRequests) -> Blueprint:
    """The routes under `/_local/`."""
    views = Control(database, clock, recent)
    blueprint = Blueprint("local", __name__, url_prefix="/_local")
    blueprint.get("/")(views.index)
    blueprint.put("/streams")(views.put_stream)
    blueprint.post("/faults")(views.post_fault)
    blueprint.get("/faults")(views.get_faults)
    blueprint.delete("/faults")(views.delete_faults)
    blueprint.get("/clock")(views.get_clock)
    blueprint.put("/clock")(views.put_clock)
    blueprint.get("/requests")(views.get_requests)
    blueprint.route("/<path:path>", methods=METHODS)(views.not_found)
    protect(blueprint)
    return blueprint


def protect(blueprint: Blueprint) -> None:
    """Refuse requests to other hosts than an IP address or localhost; return errors as JSON."""
    blueprint.before_request(_require_local_host)
    blueprint.register_error_handler(ControlError, error_response)


class Control:
    """The views of the calls in `INDEX`."""

    def __init__(self, database: Database, clock: MovableClock, recent: RecentRequests) -> None:
        self._database = database
        self._clock = clock
        self._recent = recent
        self._faults = Faults(database)

    def index(self) -> Response:
        """List the calls of the control API."""
        return jsonify(service="Local IVS", calls=INDEX)

    def not_found(self, path: str) -> Response:
        """Refuse a call that doesn't exist.

        Raises:
            ControlError: always.
        """
        raise ControlError(
            f"{request.method} /_local/{path} does not exist. `GET /_local/` lists the calls.", 404
        )

    def put_stream(self) -> Response:
        """Take a channel live or offline."""
        document = _document("channel_arn", "live", "health")
        arn = _member(document, "channel_arn", str)
        live = _member(document, "live", bool)
        health = _member(document, "health", str, default=STREAM_HEALTHS[0])
        set_live(self._database, arn, live=live, health=health, now=self._clock.now())
        return jsonify(channel_arn=arn, live=live)

    def post_fault(self) -> tuple[Response, int]:
        """Plan a fault."""
        fault = read_fault(_document("operation", "kind", "error", "seconds", "times"))
        self._faults.plan(fault)
        return jsonify(asdict(fault)), 201

    def get_faults(self) -> Response:
        """List the pending faults."""
        return jsonify(faults=[asdict(fault) for fault in self._faults.pending()])

    def delete_faults(self) -> Response:
        """Delete the pending faults."""
        self._faults.clear()
        return self.get_faults()

    def get_clock(self) -> Response:
        """Show the time and the offset."""
        now, offset_seconds = self._clock.now(), self._clock.offset_seconds()
        return jsonify(now=rfc3339(now), offset_seconds=offset_seconds)

    def put_clock(self) -> Response:
        """Set the offset of the clock."""
        offset_seconds = _member(_document("offset_seconds"), "offset_seconds", (int, float))
        if not abs(offset_seconds) <= MAX_OFFSET_SECONDS:
            raise ControlError(
                f"offset_seconds must be at most {MAX_OFFSET_SECONDS:.0f} (ten years), ahead or "
                "behind."
            )
        self._clock.move(offset_seconds)
        return self.get_clock()

    def get_requests(self) -> Response:
        """List the recent requests."""
        return jsonify(requests=[each.document() for each in self._recent.latest()])


def error_response(error: ControlError) -> tuple[Response, int]:
    """The JSON response to an invalid request."""
    return jsonify(error=str(error)), error.http_status


def read_fault(document: dict[str, Any]) -> Fault:
    """The fault that a JSON document describes.

    Raises:
        ControlError: a member is missing or invalid; the message names it.
    """
    operation = _member(document, "operation", str)
    if operation not in {ANY_OPERATION, *READING, *WRITING}:
        raise ControlError(
            f"Local IVS does not serve the operation {operation}. Use * to match any operation."
        )
    kind = _member(document, "kind", str)
    if kind not in tuple(FaultKind):
        raise ControlError(f"kind must be one of {', '.join(FaultKind)}.")
    return Fault(
        operation=operation,
        kind=FaultKind(kind),
        error=_member(document, "error", str, default=""),
        seconds=_member(document, "seconds", (int, float), default=0.0),
        times=_member(document, "times", int, default=1),
    )


def set_live(database: Database, channel_arn: str, *, live: bool, health: str, now: float) -> None:
    """Start or end the channel's stream; a running stream continues, with the new health.

    Raises:
        ControlError: the channel doesn't exist, or the health is unknown.
    """
    if health not in STREAM_HEALTHS:
        raise ControlError(f"health must be one of {', '.join(STREAM_HEALTHS)}.")
    with database.transaction() as connection:
        known = connection.execute("SELECT 1 FROM channels WHERE arn = ?", (channel_arn,))
        if known.fetchone() is None:
            raise ControlError(
                f"Channel {channel_arn} does not exist. Create it with CreateChannel.", 404
            )
        if live:
            streams.start(connection, channel_arn, health, now)
        else:
            streams.end(connection, channel_arn, now)


def _require_local_host() -> None:
    """Refuse other host names, which a web page may have."""
    if not is_local(request.host_url):
        raise ControlError(
            f"Local IVS serves this path under an IP address or as localhost only. {USE_INSTEAD}",
            403,
        )


def _document(*members: str) -> dict[str, Any]:
    """The request's JSON object; only these members are allowed.

    Raises:
        ControlError: the body isn't a JSON object, or has other members.
    """
    try:
        document = request.get_json(silent=True)
        # SQLite can't take a string with an unpaired surrogate (an escape such as \ud800).
        json.dumps(document, ensure_ascii=False).encode()
    except (RecursionError, UnicodeEncodeError):
        document = None
    if not isinstance(document, dict):
        raise ControlError("Send a JSON object with Content-Type: application/json.")
    if unknown := sorted(document.keys() - set(members)):
        raise ControlError(
            f"Unknown members: {', '.join(unknown)}. `GET /_local/` shows the members of each call."
        )
    return document


def _member(
    document: dict[str, Any],
    name: str,
    kind: type[Any] | tuple[type[Any], ...],
    default: Any = None,
) -> Any:
    """The member's value; the default, if there is one, when the member is absent.

    Raises:
        ControlError: the member is missing or has the wrong type.
    """
    value = document.get(name, default)
    # In Python a boolean is an integer; in JSON it isn't a number.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ControlError(
            f"{name} is missing or has the wrong type. `GET /_local/` shows an example."
        )
    return value
